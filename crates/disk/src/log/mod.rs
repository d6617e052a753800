//! The sealed log: a state machine without I/O, clock or randomness. It takes writes, discards, reads, flushes and
//! the ends of actions; it gives [`Action`]s.
//!
//! | room | subject |
//! |---|---|
//! | [`map`] | which cell holds a block |
//! | [`segments`] | which segments there are, how much of each is live |
//! | [`tail`] | sealing into the open record; closing it; the next segment |
//! | [`durable`] | which actions may be done now, and what their ends mean |
//! | [`checkpoint`] | writing the map down and moving the head |
//! | [`clean`] | choosing what to clean; moving what is live |
//! | [`rotate`] | another key, a larger disk; cleaning what is under the key before |
//! | [`locate`] | where the cells of a read are |
//!
//! INVARIANT: the map changes in the order of the records, so after a crash the state is that after some record,
//! and after every record up to the last flush.
//!
//! INVARIANT: a record goes to the store only when all records of earlier segments are on stable storage.
//!
//! INVARIANT: a segment is deleted only after a head whose checkpoint does not need it is on stable storage.

pub(crate) mod action;
#[cfg(feature = "judge")]
pub(crate) mod audit;
pub(crate) mod buffer;
mod checkpoint;
mod clean;
mod durable;
mod locate;
pub(crate) mod map;
pub(crate) mod rotate;
#[cfg(test)]
mod scene;
pub(crate) mod segments;
mod tail;

pub(crate) use action::{Action, Blocked, Haste, Piece, Purpose};
pub(crate) use checkpoint::Step;
pub(crate) use clean::{FEW_SPARES, MOST_VICTIMS, Victim};

use crate::keys::Ring;
use crate::{
    fault::Outcome,
    format::{
        Witness,
        head::{Head, Mark},
        page::Page,
    },
    geometry::{BLOCK, Geometry, Lsn, MAX_CELLS, Place, SegmentName, Slot, TAG},
};
use buffer::{Arena, Pool};
use checkpoint::Checkpointing;
use durable::Pending;
use map::Map;
use rotate::Change;
use segments::{Segments, Stage};
use std::collections::VecDeque;
use tail::{Batch, Record};

/// How much memory a log may take.
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    /// Buffers of 1 MiB for records that are not on the store yet.
    pub buffers: usize,
    /// Pages of the map, 4 KiB each.
    pub pages: usize,
}

impl Default for Memory {
    /// 8 MiB of buffers, and the map of 200 GiB.
    fn default() -> Self {
        Memory {
            buffers: 8,
            pages: 64 << 10,
        }
    }
}

/// The state. See the module.
#[derive(Debug)]
pub(crate) struct Log {
    pub(crate) map: Map,
    pub(crate) segments: Segments,
    keys: Ring,
    head: Head,
    next_sequence: u64,

    tail: Option<(Slot, u32)>,
    /// The last record before the tail's segment. No record of this segment goes to the store before that is on
    /// stable storage, so each may say that it is.
    earlier: Lsn,
    batch: Option<Batch>,
    open: Option<Record>,
    previous: [u8; TAG],
    next_lsn: Lsn,
    ready: VecDeque<Slot>,
    making: u32,
    no_room: bool,
    /// A writer may go on once although more space is used than should be: it has cleaned.
    grace: bool,
    /// How many dead bytes the last cleaning left that freed next to nothing.
    futile: Option<u64>,
    /// The epoch's first checkpoint is not the head's yet.
    opening: bool,
    upkeep: bool,

    pending: VecDeque<Pending>,
    durable: Mark,
    sync_wanted: Lsn,
    /// The last flush came soon, and nothing has filled a batch since: the next one will come soon too.
    expects_flush: bool,
    /// Somebody waits for more than was asked for.
    hurried: bool,
    syncing: bool,
    pool: Pool,

    checkpointing: Checkpointing,
    since_checkpoint: u64,
    /// The head that is being written.
    moving: Option<Head>,
    /// What the head is to say otherwise, apart from checkpoints.
    change: Option<Change>,
    /// Segments that a rotation has emptied, and the head's generation then.
    emptied: Vec<(Slot, SegmentName, u64)>,
    /// The record that ends a clean life is written: nothing may follow it.
    ended: bool,
    /// The number of the checkpoint's first record, and its tag once it is closed.
    watched: Option<(Lsn, Option<[u8; TAG]>)>,
    salts: Vec<[u8; 32]>,
}

/// What recovery found, or creation made up.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) head: Head,
    pub(crate) map: Map,
    pub(crate) segments: Segments,
    /// The last record.
    pub(crate) last: Mark,
    pub(crate) next_sequence: u64,
    /// Segments with records that no flush is known of. They were read, perhaps out of a cache: whoever builds upon
    /// them syncs them first.
    pub(crate) unproven: Vec<SegmentName>,
}

impl Log {
    /// A log that goes on where `found` ends, in segments of its own.
    pub(crate) fn resume(keys: Ring, found: Found, memory: Memory, arena: Option<Arena>) -> Self {
        Log {
            map: found.map,
            segments: found.segments,
            keys,
            head: found.head,
            next_sequence: found.next_sequence,
            tail: None,
            earlier: found.last.lsn,
            batch: None,
            open: None,
            previous: found.last.tag,
            next_lsn: found.last.lsn.next(),
            ready: VecDeque::new(),
            making: 0,
            no_room: false,
            grace: false,
            futile: None,
            opening: true,
            upkeep: false,
            pending: VecDeque::new(),
            durable: found.last,
            sync_wanted: found.last.lsn,
            expects_flush: false,
            hurried: false,
            syncing: false,
            pool: Pool::new(memory.buffers, arena),
            checkpointing: Checkpointing::Idle,
            since_checkpoint: 0,
            moving: None,
            change: None,
            emptied: Vec::new(),
            ended: false,
            watched: None,
            salts: Vec::new(),
        }
    }

    pub(crate) fn geometry(&self) -> Geometry {
        self.head.geometry
    }

    /// Writes whole blocks, as many as fit into the open record; answers how many. Call again with the rest.
    pub(crate) fn write(&mut self, first: u64, data: &[u8]) -> Outcome<Result<usize, Blocked>> {
        // As much as a record takes: so few pages are needed at once.
        let count = (data.len() / BLOCK).min(MAX_CELLS) as u64;
        if let Some((number, at)) = self.map.missing(first..first + count) {
            return Ok(Err(Blocked::Page { number, at }));
        }
        self.put_blocks(first, data, Purpose::Write)
    }

    /// Forgets what blocks hold: they read as zeros. Answers how many blocks from `first` on are done.
    pub(crate) fn discard(&mut self, first: u64, count: u64) -> Outcome<Result<u64, Blocked>> {
        let end = first + count;
        let Some(start) = self.map.next_mapped(first, end) else {
            return Ok(Ok(count));
        };
        if let Some((number, at)) = self.map.missing(start..start + 1) {
            return Ok(Err(Blocked::Page { number, at }));
        }
        if let Err(blocked) = self.ensure_room(Purpose::Discard)? {
            return Ok(Err(blocked));
        }
        // As far as the pages that are in memory go: the rest is for the next call.
        let mut stop = start;
        while stop < end && stop - start < u64::from(u16::MAX) {
            if self.map.missing(stop..stop + 1).is_some() {
                break;
            }
            let before = self.map.set(stop, Place::NOWHERE);
            if !before.is_nowhere() {
                self.segments.lose(before.slot());
            }
            stop += 1;
        }
        self.note_discard(start, stop - start);
        Ok(Ok(stop - first))
    }

    /// Takes in a page of the map that was read and verified.
    pub(crate) fn admit(&mut self, number: u32, at: Place, page: Page) {
        self.map.admit(number, at, page);
    }

    /// Whether something has happened since this was last asked that upkeep may have to follow.
    pub(crate) fn take_upkeep_sign(&mut self) -> bool {
        std::mem::take(&mut self.upkeep)
    }

    /// A read of a segment has ended.
    pub(crate) fn unpin(&mut self, slot: Slot) {
        if let Some(segment) = self.segments.get_mut(slot) {
            segment.pins = segment.pins.saturating_sub(1);
        }
    }

    /// What to remember outside of the store.
    pub(crate) fn witness(&self) -> Witness {
        Witness {
            volume: self.head.volume,
            epoch: self.head.epoch,
            mark: self.durable,
        }
    }

    fn put_blocks(&mut self, first: u64, data: &[u8], purpose: Purpose) -> Outcome<Result<usize, Blocked>> {
        let run = match self.seal(crate::format::record::Kind::Data, first, data, purpose)? {
            Ok(run) => run,
            Err(blocked) => return Ok(Err(blocked)),
        };
        for (block, place) in (first..).zip(run.places()) {
            let before = self.map.set(block, place);
            self.segments.gain(place.slot());
            if !before.is_nowhere() {
                self.segments.lose(before.slot());
            }
        }
        Ok(Ok(run.count))
    }

    /// Whether the segment is one that records can still be read from.
    fn is_readable(&self, slot: Slot) -> bool {
        self.segments
            .get(slot)
            .is_some_and(|segment| matches!(segment.stage, Stage::Open | Stage::Closed))
    }
}
