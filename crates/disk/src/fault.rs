//! What can go wrong with a sealed disk, by who must act.

use crate::geometry::{Lsn, SegmentName};
use std::{fmt, io};
use thiserror::Error;

/// What every fallible call here returns.
pub type Outcome<T = ()> = Result<T, Fault>;

/// A failure. Every kind but [`Fault::Full`] and [`Fault::Invalid`] is worth a record in a ledger.
#[derive(Debug, Clone, Error)]
pub enum Fault {
    /// Bytes on the store are not what was written there.
    #[error(
        "{place} is damaged or was tampered with: {what}; restore the store from a copy, and look who can write to it"
    )]
    Corrupt {
        /// Which bytes: the head, a segment and an offset, a block.
        place: String,
        /// What is wrong with them.
        what: &'static str,
    },
    /// The store is an older copy of itself.
    #[error(
        "the store is older than its witness: it ends at record {found}, {expected} was seen; an older copy has been put back"
    )]
    RolledBack {
        /// The last record found.
        found: u64,
        /// The record that was seen before.
        expected: u64,
    },
    /// The key is that of another volume.
    #[error("this key is not the volume's key; use the one that the volume was created with")]
    WrongKey,
    /// The volume was being encrypted anew, and the key before is missing.
    #[error(
        "parts of the volume are under its previous key, which is missing: give that too; where it was encrypted anew to the \
         end, an older copy of the store has been put back"
    )]
    PreviousKey,
    /// Another process has opened the volume since.
    #[error("another process has opened this volume since (a later epoch); this one has stopped writing")]
    Fenced,
    /// Another process has it open.
    #[error("the volume is open in another process; close it there first")]
    Busy,
    /// The store does not answer as it must.
    #[error("the store cannot {act}: {source}")]
    Store {
        /// What was asked of it.
        act: &'static str,
        /// What it said.
        #[source]
        source: std::sync::Arc<io::Error>,
    },
    /// No room on the store, even after cleaning.
    #[error("the store is full; make room below it or discard blocks (fstrim)")]
    Full,
    /// An earlier failure to write has closed the volume for good.
    #[error(
        "an earlier write to the store failed, so nothing more is accepted; close the volume and open it again"
    )]
    Failed,
    /// The request is malformed.
    #[error("{0}")]
    Invalid(&'static str),
    /// Memory for keys could not be had or locked.
    #[error("no locked memory for keys: {0}; raise the limit on locked memory (RLIMIT_MEMLOCK)")]
    Memory(std::sync::Arc<io::Error>),
}

impl Fault {
    pub(crate) fn corrupt(place: impl fmt::Display, what: &'static str) -> Self {
        Fault::Corrupt {
            place: place.to_string(),
            what,
        }
    }

    pub(crate) fn at(segment: SegmentName, offset: u32, what: &'static str) -> Self {
        Self::corrupt(format_args!("segment {segment} at byte {offset}"), what)
    }

    pub(crate) fn memory(error: io::Error) -> Self {
        Fault::Memory(error.into())
    }

    pub(crate) fn rolled_back(found: Lsn, expected: Lsn) -> Self {
        Fault::RolledBack {
            found: found.0,
            expected: expected.0,
        }
    }

    /// The store failed to `act`.
    pub fn store(act: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Fault::Store {
            act,
            source: source.into(),
        }
    }
}
