//! The control plane's state: keys with values, committed all or nothing, watched in order.
//!
//! [`Registry`] is what every back end offers; [`Embedded`] is the one for a single host, on SQLite.
//! One suite of tests (`conformance`) runs on each back end, so that they cannot drift apart.
//!
//! Values are opaque here. What this crate does not do: encode records, cache them, decide anything.

mod commit;
#[cfg(test)]
mod conformance;
mod embedded;
mod watch;

pub use commit::{Commit, Entry, Revision};
pub use embedded::Embedded;
pub use watch::{Change, Watch};

use cofferdam_model::Result;

/// State that many parts of the daemon read and write.
///
/// Every commit that changes something gets the next [`Revision`]; there is one count for the whole registry,
/// and it never goes back. A commit that has returned `Ok` is on stable storage.
///
/// A call may wait for a disk or a network: keep it off the event loop, and out of the decision.
pub trait Registry: Send + Sync {
    /// The entry under `key`, or none.
    ///
    /// # Errors
    /// `Unavailable` or `Corrupt` when the state cannot be read.
    fn get(&self, key: &str) -> Result<Option<Entry>>;

    /// Every entry whose key begins with `prefix`, sorted by key (by bytes). All of them come from one moment.
    ///
    /// # Errors
    /// As for [`Registry::get`].
    fn list(&self, prefix: &str) -> Result<Vec<Entry>>;

    /// Checks what is expected, then writes and deletes: all of it, or nothing.
    ///
    /// Answers with the revision of the state afterwards. A commit that changes nothing (no puts, and no
    /// deleted key was there) succeeds without a new revision and without telling anybody.
    ///
    /// # Errors
    /// `Conflict` when an expectation does not hold, `Invalid` for an empty key or a key that is named twice,
    /// `Unavailable` when the storage cannot be written, `Corrupt` when it is damaged. On every error the state
    /// is what it was before.
    fn commit(&self, commit: Commit) -> Result<Revision>;

    /// Everything that is committed from now on under keys that begin with `prefix`, in order.
    ///
    /// To follow a state without a gap: watch first, then [`Registry::list`], then drop the changes whose
    /// revision the list already has.
    fn watch(&self, prefix: &str) -> Watch;
}
