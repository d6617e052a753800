//! What is read and what is written: entries, revisions, commits.

use cofferdam_model::{Problem, Result};
use std::{collections::HashSet, fmt};

/// Counts the commits that changed something, over the whole registry. The empty registry has revision 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One key with its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The value, opaque to the registry.
    pub value: Vec<u8>,
    /// The commit that wrote this value.
    pub revision: Revision,
}

/// Several changes that happen together, if what is expected holds.
///
/// ```
/// # use cofferdam_registry::Commit;
/// let _commit = Commit::new()
///     .expect_absent("volume/payments.pgdata")
///     .put("volume/payments.pgdata", "{}");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Commit {
    /// Each key must have this revision; none means that the key must not exist.
    pub expect: Vec<(String, Option<Revision>)>,
    /// Keys and their new values.
    pub puts: Vec<(String, Vec<u8>)>,
    /// Keys to delete. One that does not exist is no error.
    pub deletes: Vec<String>,
}

impl Commit {
    /// A commit that expects and changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// The key must have been written by this commit.
    #[must_use]
    pub fn expect(mut self, key: impl Into<String>, revision: Revision) -> Self {
        self.expect.push((key.into(), Some(revision)));
        self
    }

    /// The key must not exist.
    #[must_use]
    pub fn expect_absent(mut self, key: impl Into<String>) -> Self {
        self.expect.push((key.into(), None));
        self
    }

    /// Writes the key.
    #[must_use]
    pub fn put(mut self, key: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.puts.push((key.into(), value.into()));
        self
    }

    /// Deletes the key.
    #[must_use]
    pub fn delete(mut self, key: impl Into<String>) -> Self {
        self.deletes.push(key.into());
        self
    }

    /// Refuses what has no single meaning: an empty key, or one that is changed twice.
    ///
    /// # Errors
    /// `Invalid`, naming the key.
    pub(crate) fn check(&self) -> Result<()> {
        let mut seen = HashSet::new();
        let expected = self.expect.iter().map(|(key, _)| key);
        let changed = || self.puts.iter().map(|(key, _)| key).chain(&self.deletes);
        if expected.chain(changed()).any(String::is_empty) {
            return Err(Problem::invalid("a registry key is empty"));
        }
        match changed().find(|key| !seen.insert(key.as_str())) {
            Some(key) => Err(Problem::invalid(format!("one commit changes {key:?} twice"))
                .remedy("put or delete each key once")),
            None => Ok(()),
        }
    }
}
