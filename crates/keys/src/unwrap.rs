//! Unwrapping: from a file and a host's identities to the key.
//!
//! What is cheapest is tried first: X25519 identities, the host's own before others; then providers; then plugins. A
//! provider or a plugin that fails does not end the search, but if nothing else opens the key its problem is told.

use crate::identity::Identities;
use crate::plugin;
use crate::provider::Providers;
use crate::recipient::{Kind, Recipient};
use crate::wrapped::{WrappedKey, corrupt};
use age::{DecryptError, Decryptor};
use age_core::format::{FileKey, Stanza};
use cofferdam_linux::memory;
use cofferdam_model::{Problem, Result};
use cofferdam_vault::VolumeKey;
use std::cell::RefCell;
use std::{io, iter};

/// Unwraps a key. That it is the volume's is for the caller to check, against the volume's commitment. This may wait
/// for plugins and tokens.
///
/// # Errors
/// `denied` where the host is no recipient; `corrupt` where the file was changed; otherwise the problem of the provider
/// or the plugin that should have opened it.
pub fn unwrap(wrapped: &WrappedKey, identities: &Identities, providers: &Providers) -> Result<VolumeKey> {
    let search = Search {
        identities,
        providers,
        problem: RefCell::new(None),
    };
    memory::scrubbed(|| {
        let payload = Decryptor::new_buffered(wrapped.file())
            .and_then(|header| header.decrypt(iter::once(&search as &dyn age::Identity)))
            .map_err(|error| search.failed(&error))?;
        VolumeKey::read(payload).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => corrupt("what it holds does not verify"),
            _ => crate::problem::no_memory(error),
        })
    })
}

/// All identities and providers as one.
struct Search<'a> {
    identities: &'a Identities,
    providers: &'a Providers,
    /// What went wrong first.
    problem: RefCell<Option<Problem>>,
}

impl Search<'_> {
    fn failed(&self, error: &DecryptError) -> Problem {
        match error {
            DecryptError::NoMatchingKeys => self.problem.take().unwrap_or_else(|| self.no_recipient()),
            DecryptError::InvalidMac => corrupt("its recipients were changed"),
            _ => corrupt("its header is broken"),
        }
    }

    fn no_recipient(&self) -> Problem {
        Problem::denied("the key of this volume is not wrapped for this host").remedy(format!(
            "on a host that can open it, run: cofferdam volume share VOLUME --recipient {}",
            self.identities.host().recipient()
        ))
    }

    /// What an attempt came to; a problem is kept for later.
    fn kept<T>(&self, attempt: Result<Option<T>>) -> Option<T> {
        attempt.unwrap_or_else(|problem| {
            self.problem.borrow_mut().get_or_insert(problem);
            None
        })
    }

    fn by_providers(&self, stanzas: &[Stanza]) -> Option<FileKey> {
        stanzas.iter().find_map(|stanza| {
            let provider = self.providers.of_stanza(&stanza.tag)?;
            let reference = match stanza.args.as_slice() {
                [text] => text.parse::<Recipient>().ok(),
                _ => None,
            };
            let reference = reference.filter(
                |recipient| matches!(recipient.kind, Kind::Provider(scheme) if scheme == provider.scheme()),
            );
            let attempt = reference
                .ok_or_else(|| corrupt("it has a copy for no recipient"))
                .and_then(|reference| provider.unwrap(reference.as_str(), &stanza.body));
            Some(self.kept(attempt)?.to_age())
        })
    }

    fn by_plugins(&self, stanzas: &[Stanza]) -> Option<FileKey> {
        self.identities
            .plugins()
            .find_map(|identity| self.kept(plugin::unwrap(identity, stanzas)))
    }
}

impl age::Identity for Search<'_> {
    fn unwrap_stanza(&self, stanza: &Stanza) -> Option<std::result::Result<FileKey, DecryptError>> {
        self.unwrap_stanzas(std::slice::from_ref(stanza))
    }

    fn unwrap_stanzas(&self, stanzas: &[Stanza]) -> Option<std::result::Result<FileKey, DecryptError>> {
        let mut x25519 = self.identities.x25519();
        x25519
            .find_map(|identity| identity.unwrap_stanzas(stanzas))
            .or_else(|| self.by_providers(stanzas).map(Ok))
            .or_else(|| self.by_plugins(stanzas).map(Ok))
    }
}
