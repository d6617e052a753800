//! What the log asks of its driver, and why it may have to wait.

use super::buffer::Buffer;
use crate::{
    format::Sealer,
    geometry::{Lsn, Place, SegmentName, Slot},
};
use std::sync::Arc;

/// One thing to do on the store. The driver does it outside of any lock, and tells the log how it ended.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    /// Make a segment with this header, its whole space reserved. Then [`super::Log::made`].
    Make {
        slot: Slot,
        name: SegmentName,
        header: Vec<u8>,
    },
    /// Write `length` bytes of the buffer at `offset`. Then [`super::Log::appended`].
    Append {
        lsn: Lsn,
        name: SegmentName,
        offset: u32,
        length: u32,
        buffer: Arc<Buffer>,
    },
    /// Bring all that was written to the segment to stable storage, its name too. Then [`super::Log::synced`].
    Sync { name: SegmentName, upto: Lsn },
    /// Replace the head, if it still is `expected` (none: if there is none). Then [`super::Log::head_replaced`].
    ReplaceHead { expected: Option<Vec<u8>>, new: Vec<u8> },
    /// Delete a segment, and keep its file for a later one where fewer than `spares` wait. Then [`super::Log::deleted`].
    Delete {
        slot: Slot,
        name: SegmentName,
        spares: usize,
    },
}

/// Which actions a thread is ready to do; each has those before it too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Haste {
    /// Writing closed records: what a writer does before it goes on.
    Append,
    /// Syncing: what a flush waits for.
    Sync,
    /// Making the next segment: what a writer waits for who has come to the end of the last.
    Make,
    /// Everything.
    Leisure,
}

/// Why the log cannot take something now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blocked {
    /// A page of the map must be loaded from this place and admitted first.
    Page { number: u32, at: Place },
    /// All buffers wait to be written.
    Buffers,
    /// The next segment is being made.
    Segment,
    /// No room: cleaning must make some first.
    Space,
}

/// For whom room is made. Each leaves ready segments to those below it, which make room in the end, so that a full
/// store can always be cleaned, and opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Purpose {
    /// The first checkpoint of an epoch.
    Opening,
    /// A checkpoint that lets go of whole segments: it gives back what it takes.
    Release,
    /// Any other checkpoint.
    Checkpoint,
    /// Cleaning: empties segments.
    Clean,
    /// A discard: makes something to clean.
    Discard,
    /// A write from above.
    Write,
}

impl Purpose {
    /// How many ready segments it leaves to the others.
    pub(super) fn leaves(self) -> usize {
        match self {
            Purpose::Opening => 0,
            Purpose::Release => 1,
            Purpose::Checkpoint => 3,
            Purpose::Clean => 4,
            Purpose::Discard => 5,
            Purpose::Write => 6,
        }
    }
}

/// Part of what a read covers.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Blocks without a cell.
    Zeros { count: usize },
    /// Cells that are not on the store yet, copied.
    Held {
        slot: Slot,
        sealer: Arc<Sealer>,
        block: u64,
        offset: u32,
        cells: Vec<u8>,
    },
    /// Cells on the store, one after the other. The segment is pinned until [`super::Log::unpin`].
    Stored {
        slot: Slot,
        name: SegmentName,
        sealer: Arc<Sealer>,
        block: u64,
        offset: u32,
        count: usize,
    },
}
