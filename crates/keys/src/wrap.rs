//! Wrapping: from a key and its recipients to a file.
//!
//! age is given one recipient that stands for all of them. It makes their copies and keeps the file key for the
//! payload, and it can say in our words what went wrong.

use crate::file_key::FileKey;
use crate::payload;
use crate::plugin;
use crate::provider::{Providers, stanza_type};
use crate::recipient::{Kind, Recipient};
use crate::wrapped::WrappedKey;
use age::{EncryptError, Encryptor, Recipient as _};
use age_core::format::Stanza;
use cofferdam_linux::memory;
use cofferdam_model::{Problem, Result};
use cofferdam_vault::VolumeKey;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::{io, iter};

/// The most recipients of one key.
pub const RECIPIENTS_MAX: usize = 60;

/// Stanzas, and the labels that say beside which others they may stand.
type Copies = (Vec<Stanza>, HashSet<String>);

/// Wraps a key for its recipients. One that is given twice counts once; the order says nothing. This may wait for
/// plugins and tokens.
///
/// # Errors
/// `invalid` where there is no recipient, there are more than [`RECIPIENTS_MAX`], or they may not stand beside each
/// other; `missing`, `denied`, `unavailable` where a plugin or a provider cannot make its copy. Nothing is wrapped then.
pub fn wrap(key: &VolumeKey, recipients: &[Recipient], providers: &Providers) -> Result<WrappedKey> {
    let recipients: BTreeSet<&Recipient> = recipients.iter().collect();
    if recipients.is_empty() {
        return Err(
            Problem::invalid("a key without a recipient could never be unwrapped")
                .remedy("give at least one --recipient"),
        );
    }
    if recipients.len() > RECIPIENTS_MAX {
        return Err(Problem::invalid(format!(
            "a key can have {RECIPIENTS_MAX} recipients, and these are {}",
            recipients.len()
        ))
        .remedy("leave some out"));
    }
    let everyone = Everyone {
        recipients,
        providers,
        outcome: RefCell::new(None),
    };
    WrappedKey::of_file(memory::scrubbed(|| everyone.file(key))?)
}

/// All recipients as one.
struct Everyone<'a> {
    recipients: BTreeSet<&'a Recipient>,
    providers: &'a Providers,
    /// The file key, or why some copy could not be made.
    outcome: RefCell<Option<Result<FileKey>>>,
}

impl Everyone<'_> {
    fn file(&self, key: &VolumeKey) -> Result<Vec<u8>> {
        let made = Encryptor::with_recipients(iter::once(self as &dyn age::Recipient));
        let unsaid = || Problem::internal("age could not make a file");
        let file_key = self.outcome.take().ok_or_else(unsaid)??;
        let mut file = Vec::new();
        // The writer for the payload is dropped unused: see payload.rs.
        drop(
            made.map_err(|_| unsaid())?
                .wrap_output(&mut file)
                .map_err(|_| unsaid())?,
        );
        payload::seal(key, &file_key, &mut file)?;
        Ok(file)
    }

    /// Every recipient's copies.
    fn copies(&self, file_key: &age_core::format::FileKey) -> Result<(Copies, FileKey)> {
        let own = FileKey::of_age(file_key)?;
        let mut all = Vec::new();
        let mut agreed: Option<HashSet<String>> = None;
        for recipient in &self.recipients {
            let (stanzas, labels) = self.copies_for(recipient, file_key, &own)?;
            if agreed.get_or_insert_with(|| labels.clone()) != &labels {
                return Err(incompatible());
            }
            all.extend(stanzas);
        }
        Ok(((all, agreed.unwrap_or_default()), own))
    }

    fn copies_for(
        &self,
        recipient: &Recipient,
        file_key: &age_core::format::FileKey,
        own: &FileKey,
    ) -> Result<Copies> {
        let made = match &recipient.kind {
            Kind::X25519(recipient) => recipient.wrap_file_key(file_key),
            Kind::Tag(recipient) => recipient.wrap_file_key(file_key),
            Kind::TagPq(recipient) => recipient.wrap_file_key(file_key),
            Kind::Plugin(recipient) => return plugin::wrap(recipient, file_key),
            Kind::Provider(scheme) => {
                let provider = self
                    .providers
                    .of(scheme)
                    .ok_or_else(|| no_provider(recipient, scheme))?;
                let stanza = Stanza {
                    tag: stanza_type(scheme),
                    args: vec![recipient.as_str().to_owned()],
                    body: provider.wrap(recipient.as_str(), own)?,
                };
                return Ok((vec![stanza], HashSet::new()));
            }
        };
        made.map_err(|_| Problem::internal(format!("age could not wrap a key for {recipient}")))
    }
}

impl age::Recipient for Everyone<'_> {
    fn wrap_file_key(
        &self,
        file_key: &age_core::format::FileKey,
    ) -> std::result::Result<Copies, EncryptError> {
        let (copies, outcome) = match self.copies(file_key) {
            Ok((copies, own)) => (Ok(copies), Ok(own)),
            // What age makes of this error is passed over for the problem.
            Err(problem) => (Err(EncryptError::Io(io::ErrorKind::Other.into())), Err(problem)),
        };
        self.outcome.replace(Some(outcome));
        copies
    }
}

fn no_provider(recipient: &Recipient, scheme: &str) -> Problem {
    Problem::missing(format!("nothing on this host can wrap a key for {recipient}")).remedy(format!(
        "set up {scheme} in the settings, or share the volume from a host that has it"
    ))
}

fn incompatible() -> Problem {
    Problem::invalid(
        "these recipients may not open the same volume: one of them demands to stand beside its like only",
    )
    .remedy("leave age1tagpq1… out: it cannot stand beside a host")
}
