//! A record: one event, with its place in the chain. One line of JSON; the line's bytes, without the newline, are the
//! leaf of the Merkle tree.

use crate::event::Event;
use cofferdam_model::{Problem, Result, Sha256};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The longest line, in bytes, without its newline. A decision about as many volumes as one request can carry, with as
/// many and as long reasons as are kept, fits twice.
pub(crate) const LINE_MAX: usize = 512 << 10;

/// What the first record has for the hash of the record before it.
pub(crate) const NOTHING_BEFORE: Sha256 = Sha256::from_bytes([0; 32]);

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Counts the records, from 0.
    pub index: u64,
    /// When it happened, by the clock of whoever recorded it. Records are ordered by index; a clock may go back.
    pub at: Timestamp,
    /// The leaf hash of the record before; zeros for the first.
    pub previous: Sha256,
    /// What happened.
    pub event: Event,
}

impl Record {
    /// A record of `event`, its texts bounded.
    pub(crate) fn new(index: u64, at: Timestamp, previous: Sha256, event: Event) -> Self {
        Record {
            index,
            at,
            previous,
            event: event.bounded(),
        }
    }

    /// The line, without its newline.
    ///
    /// # Errors
    /// `invalid` where it would be longer than a line may be; `internal` where it cannot be written as JSON.
    pub(crate) fn line(&self) -> Result<Vec<u8>> {
        let line = serde_json::to_vec(self)
            .map_err(|error| Problem::internal(format!("cannot write a record as JSON: {error}")))?;
        if line.len() > LINE_MAX {
            let message = format!("an event is too large for the ledger: {} bytes", line.len());
            return Err(Problem::invalid(message).remedy("ask for fewer volumes at once"));
        }
        Ok(line)
    }

    /// Reads a line, without its newline.
    ///
    /// # Errors
    /// `corrupt` where it is none that this version writes.
    pub fn parse(line: &[u8]) -> Result<Self> {
        serde_json::from_slice(line).map_err(|error| {
            Problem::corrupt(format!("it is no record that this version knows: {error}"))
                .remedy("read it with the version of Cofferdam that wrote it")
        })
    }
}
