//! Providers: services that keep a key of their own, and wrap file keys under it on request.
//!
//! A provider's copy is one stanza of the age file:
//!
//! | part | what |
//! |---|---|
//! | type | `cofferdam-` and the provider's scheme |
//! | the one argument | the recipient's text, which names the key to the provider |
//! | body | what the provider made of the file key |
//!
//! Programs other than Cofferdam pass such stanzas over, as the format asks of them.

use crate::file_key::FileKey;
use cofferdam_model::{Problem, Result};
use std::fmt;

/// What the type of a provider's stanza begins with.
const STANZA_PREFIX: &str = "cofferdam-";

/// A service that wraps file keys under keys that it keeps.
///
/// Calls may wait for a device or a network, so they belong on a thread that may wait.
pub trait Provider: Send + Sync {
    /// What the text of its recipients begins with, before the colon.
    fn scheme(&self) -> &str;

    /// The file key, wrapped under the key that `reference` (a recipient's text) names. The result must be
    /// authenticated, and bound to the reference and to this purpose.
    ///
    /// # Errors
    /// Each says what to do: `invalid` or `missing` where there is no such key, `denied`, `unavailable`.
    fn wrap(&self, reference: &str, file_key: &FileKey) -> Result<Vec<u8>>;

    /// The file key again. None where the reference names a key that is not in this provider's keeping, which is no
    /// error: a file has copies for other hosts, too. Both arguments may be an attacker's.
    ///
    /// # Errors
    /// `corrupt` where the bytes do not verify; `missing`, `denied`, `unavailable`.
    fn unwrap(&self, reference: &str, wrapped: &[u8]) -> Result<Option<FileKey>>;
}

/// The providers that a host has set up.
#[derive(Default)]
pub struct Providers(Vec<Box<dyn Provider>>);

impl Providers {
    /// None.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// These and one more.
    ///
    /// # Errors
    /// `conflict` where one serves its scheme already.
    pub fn with(mut self, provider: Box<dyn Provider>) -> Result<Self> {
        let scheme = provider.scheme();
        if self.of(scheme).is_some() {
            return Err(Problem::conflict(format!("two providers serve {scheme}:"))
                .remedy("leave one of them in the settings"));
        }
        self.0.push(provider);
        Ok(self)
    }

    pub(crate) fn of(&self, scheme: &str) -> Option<&dyn Provider> {
        let found = self.0.iter().find(|provider| provider.scheme() == scheme)?;
        Some(found.as_ref())
    }

    /// The provider whose stanzas are of this type.
    pub(crate) fn of_stanza(&self, stanza_type: &str) -> Option<&dyn Provider> {
        self.of(stanza_type.strip_prefix(STANZA_PREFIX)?)
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schemes = self.0.iter().map(|provider| provider.scheme());
        out.debug_list().entries(schemes).finish()
    }
}

/// The type of the stanzas of a scheme.
pub(crate) fn stanza_type(scheme: &str) -> String {
    format!("{STANZA_PREFIX}{scheme}")
}
