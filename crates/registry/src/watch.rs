//! Watching: committed changes, told in order to whoever asked.
//!
//! A watch that nobody reads keeps its changes in memory; drop it when it is no longer needed.

use crate::Revision;
use std::{
    sync::mpsc::{Receiver, Sender, channel},
    time::Duration,
};

/// One key that a commit changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: String,
    /// Its new value; none when it was deleted.
    pub value: Option<Vec<u8>>,
    /// The commit. Changes of one commit carry the same revision and follow one another.
    pub revision: Revision,
}

/// Committed changes, oldest first.
#[derive(Debug)]
pub struct Watch(Receiver<Change>);

impl Watch {
    /// The next change, waiting for it; none once the registry is closed.
    pub fn wait(&self) -> Option<Change> {
        self.0.recv().ok()
    }

    /// The next change if it comes within `patience`.
    pub fn wait_at_most(&self, patience: Duration) -> Option<Change> {
        self.0.recv_timeout(patience).ok()
    }

    /// The next change if it is there already.
    pub fn ready(&self) -> Option<Change> {
        self.0.try_recv().ok()
    }
}

/// Everybody who watches.
#[derive(Debug, Default)]
pub(crate) struct Watchers(Vec<(String, Sender<Change>)>);

impl Watchers {
    /// Somebody more.
    pub(crate) fn add(&mut self, prefix: &str) -> Watch {
        let (sender, receiver) = channel();
        self.0.push((prefix.to_owned(), sender));
        Watch(receiver)
    }

    /// Tells everybody whom it concerns, and forgets those who left.
    pub(crate) fn tell(&mut self, changes: &[Change]) {
        self.0.retain(|(prefix, sender)| {
            changes
                .iter()
                .filter(|change| change.key.starts_with(prefix))
                .all(|change| sender.send(change.clone()).is_ok())
        });
    }
}
