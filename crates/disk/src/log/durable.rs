//! From closed record to stable storage: which actions may be done now, in what order, and what their ends mean.

use super::{
    Action, Haste, Log, Purpose, buffer::Buffer, checkpoint::Checkpointing, segments::Stage, tail::Batch,
};
use crate::{
    fault::{Fault, Outcome},
    format::{head::Mark, segment_header::SegmentHeader},
    geometry::{CELL, Lsn, RECORD_HEADER, SegmentName, Slot},
};
use std::sync::Arc;

/// How many batches may be closed ahead of a flush that does not come.
const MOST_AHEAD: usize = 16;

/// How far a closed record has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Waits,
    Moves,
    Written,
}

/// A closed batch of records that is not on stable storage yet; `mark` is its last record.
#[derive(Debug)]
pub(crate) struct Pending {
    mark: Mark,
    slot: Slot,
    name: SegmentName,
    offset: u32,
    length: u32,
    buffer: Option<Arc<Buffer>>,
    way: Way,
}

impl Pending {
    pub(super) fn new(
        mark: Mark,
        slot: Slot,
        name: SegmentName,
        offset: u32,
        length: u32,
        buffer: Buffer,
    ) -> Self {
        Pending {
            mark,
            slot,
            name,
            offset,
            length,
            buffer: Some(Arc::new(buffer)),
            way: Way::Waits,
        }
    }

    /// Whether it is in the segment in this slot.
    pub(super) fn is_in(&self, slot: Slot) -> bool {
        self.slot == slot
    }

    /// Whether its buffer is still in use.
    #[cfg(feature = "judge")]
    pub(super) fn is_held(&self) -> bool {
        self.buffer.is_some()
    }

    /// The cell at this place, where it is in this record's memory.
    pub(super) fn cell(&self, slot: Slot, offset: u32) -> Option<&[u8]> {
        if slot != self.slot {
            return None;
        }
        let start = offset.checked_sub(self.offset)?;
        let within = start >= RECORD_HEADER as u32 && start + CELL as u32 <= self.length;
        let start = start as usize;
        self.buffer
            .as_ref()
            .filter(|_| within)
            .and_then(|buffer| buffer.bytes().get(start..start + CELL))
    }
}

impl Log {
    /// Has everything up to now brought to stable storage; answers the record that must be durable for that.
    pub(crate) fn request_flush(&mut self) -> Lsn {
        self.expects_flush = self.batch.as_ref().is_none_or(Batch::is_short);
        self.close_batch();
        let upto = self.last_closed();
        self.sync_wanted = self.sync_wanted.max(upto);
        upto
    }

    /// Somebody waits for what was taken up to now to be on stable storage. One round of that at a time: what comes while
    /// records are on their way for those before is brought there together, afterwards.
    pub(crate) fn hurry(&mut self) {
        self.hurried = true;
    }

    fn begin_round(&mut self) {
        if self.hurried && !self.syncing && self.sync_wanted <= self.durable.lsn {
            self.hurried = false;
            self.close_batch();
            self.sync_wanted = self.sync_wanted.max(self.last_closed());
        }
    }

    /// Closes the batch although it has room, where a flush is likely to come soon: so that its bytes are on their way
    /// when it does.
    ///
    /// Not while something is on its way, or somebody waits for a flush: what comes meanwhile goes together.
    pub(crate) fn anticipate_flush(&mut self) {
        let asked = self.syncing || self.sync_wanted > self.durable.lsn;
        let moves = self.pending.iter().any(|record| record.way == Way::Moves);
        let filled = self.batch.as_ref().is_some_and(Batch::has_records);
        let worth = filled && !asked && !moves && self.pending.len() < MOST_AHEAD;
        if self.expects_flush && worth {
            self.close_batch();
        }
    }

    /// Whether this record and all before it are on stable storage.
    pub(crate) fn is_durable(&self, lsn: Lsn) -> bool {
        self.durable.lsn >= lsn
    }

    /// Whether all that was taken is on stable storage.
    pub(crate) fn is_quiet(&self) -> bool {
        self.batch.is_none() && self.pending.is_empty()
    }

    /// Whether an action is under way.
    pub(crate) fn is_moving(&self) -> bool {
        self.syncing
            || self.making > 0
            || self.moving.is_some()
            || self.pending.iter().any(|record| record.way == Way::Moves)
    }

    /// Has a new segment's salt ready: the log makes none up.
    pub(crate) fn offer_salt(&mut self, salt: [u8; 32]) {
        self.salts.push(salt);
    }

    /// Whether a salt must be offered before a segment can be made.
    pub(crate) fn wants_salt(&self) -> bool {
        self.salts.is_empty()
    }

    /// The next thing to do on the store, if there is one.
    pub(crate) fn next_action(&mut self, haste: Haste) -> Outcome<Option<Action>> {
        if haste == Haste::Append {
            return Ok(self.next_append());
        }
        self.begin_round();
        if let Some(action) = self.next_sync().or_else(|| self.next_append()) {
            return Ok(Some(action));
        }
        if haste >= Haste::Make
            && let Some(action) = self.next_make()?
        {
            return Ok(Some(action));
        }
        if haste < Haste::Leisure {
            return Ok(None);
        }
        if let Some(action) = self.next_head()? {
            return Ok(Some(action));
        }
        Ok(self.next_delete())
    }

    fn next_append(&mut self) -> Option<Action> {
        // INVARIANT: only records of the oldest segment that is not durable yet.
        let slot = self.pending.front()?.slot;
        let record = self
            .pending
            .iter_mut()
            .take_while(|record| record.slot == slot)
            .find(|record| record.way == Way::Waits)?;
        record.way = Way::Moves;
        Some(Action::Append {
            lsn: record.mark.lsn,
            name: record.name,
            offset: record.offset,
            length: record.length,
            buffer: Arc::clone(record.buffer.as_ref()?),
        })
    }

    fn next_sync(&mut self) -> Option<Action> {
        if self.syncing {
            return None;
        }
        let first = self.pending.front()?;
        let (slot, name) = (first.slot, first.name);
        let mut upto = None;
        let mut rolled = false;
        for record in &self.pending {
            rolled = record.slot != slot;
            if rolled || record.way != Way::Written {
                break;
            }
            upto = Some(record.mark.lsn);
        }
        let upto = upto?;
        // One sync for all that was asked for, so far as it lies in this segment.
        let asked = self.sync_wanted > self.durable.lsn && upto >= self.sync_wanted;
        if !asked && !rolled {
            return None;
        }
        self.syncing = true;
        Some(Action::Sync { name, upto })
    }

    fn next_make(&mut self) -> Outcome<Option<Action>> {
        // One at a time, so that they come into use in the order of their numbers.
        // And none while the head is changed, after which another key may hold.
        let enough = self.ready.len() > self.reserve(Purpose::Write);
        if enough || self.making > 0 || self.no_room || self.change.is_some() {
            return Ok(None);
        }
        let Some(salt) = self.salts.pop() else {
            return Ok(None);
        };
        let name = SegmentName {
            epoch: self.head.epoch,
            sequence: self.next_sequence,
        };
        let Some(slot) = self.segments.allot(name, salt) else {
            self.no_room = true;
            return Ok(None);
        };
        let sealer = match self.segments.sealer(slot) {
            Ok(sealer) => sealer,
            Err(fault) => {
                self.segments.forget(slot);
                return Err(fault);
            }
        };
        self.next_sequence += 1;
        self.making += 1;
        let header = SegmentHeader {
            suite: self.head.suite,
            align: self.geometry().align,
            slot,
            volume: self.head.volume,
            name,
            salt,
        };
        Ok(Some(Action::Make {
            slot,
            name,
            header: header.encode(&sealer),
        }))
    }

    fn next_head(&mut self) -> Outcome<Option<Action>> {
        if let Some(change) = &self.change {
            // What is being made has its number, and its key.
            if self.moving.is_some() || self.making > 0 {
                return Ok(None);
            }
            let (head, keys) = self.changed_head(change);
            let expected = Some(self.head.encode(&self.keys)?);
            let new = head.encode(&keys)?;
            self.moving = Some(head);
            return Ok(Some(Action::ReplaceHead { expected, new }));
        }
        let Checkpointing::Sealed(sealed) = &self.checkpointing else {
            return Ok(None);
        };
        if self.moving.is_some() || self.durable.lsn < sealed.end.lsn {
            return Ok(None);
        }
        // The first head of a new volume has none before it.
        let expected = match self.head.generation {
            0 => None,
            _ => Some(self.head.encode(&self.keys)?),
        };
        let head = self.head_after(sealed);
        let new = head.encode(&self.keys)?;
        self.moving = Some(head);
        Ok(Some(Action::ReplaceHead { expected, new }))
    }

    fn next_delete(&mut self) -> Option<Action> {
        let free = |(slot, segment): (Slot, &super::segments::Segment)| {
            (segment.stage == Stage::Doomed && segment.pins == 0).then_some((slot, segment.name))
        };
        let (slot, name) = self.segments.iter().find_map(free)?;
        self.segments.get_mut(slot)?.stage = Stage::Deleting;
        // The file of one that recovery still looks at must not come back under its name with another segment in it.
        let spares = if self.head.replays(name) { 0 } else { self.spares() };
        Some(Action::Delete { slot, name, spares })
    }

    /// A segment was made, or there was no room for it.
    pub(crate) fn made(&mut self, slot: Slot, there_was_room: bool) {
        self.making = self.making.saturating_sub(1);
        if there_was_room {
            if let Some(segment) = self.segments.get_mut(slot) {
                segment.stage = Stage::Ready;
            }
            self.ready.push_back(slot);
        } else {
            self.no_room = true;
            self.segments.forget(slot);
        }
    }

    /// Segments may be made again: something has been deleted, or time has passed.
    pub(crate) fn try_room_again(&mut self) {
        self.no_room = false;
    }

    /// A record was written.
    pub(crate) fn appended(&mut self, lsn: Lsn, buffer: Arc<Buffer>) {
        if let Some(record) = self.pending.iter_mut().find(|record| record.mark.lsn == lsn) {
            record.way = Way::Written;
            record.buffer = None;
        }
        if let Ok(buffer) = Arc::try_unwrap(buffer) {
            self.pool.give_back(buffer);
        }
    }

    /// Everything up to a record is on stable storage.
    pub(crate) fn synced(&mut self, upto: Lsn) {
        self.syncing = false;
        while let Some(record) = self.pending.pop_front_if(|record| record.mark.lsn <= upto) {
            self.durable = record.mark;
        }
    }

    /// The head was replaced.
    ///
    /// # Errors
    /// None of its own; [`Fault::Invalid`] where none was to be replaced.
    pub(crate) fn head_replaced(&mut self) -> Outcome {
        if let Some(change) = self.change.take()
            && let Some(head) = self.moving.take()
        {
            self.head_has_changed(head, &change);
            return Ok(());
        }
        let state = std::mem::replace(&mut self.checkpointing, Checkpointing::Idle);
        let (Checkpointing::Sealed(sealed), Some(head)) = (state, self.moving.take()) else {
            return Err(Fault::Invalid("no checkpoint waits for its head"));
        };
        self.opening = false;
        // The very head that was written: what has come since is for the next one.
        self.head = head;
        for slot in sealed.idle {
            self.doom(slot);
        }
        Ok(())
    }

    /// A segment is gone.
    pub(crate) fn deleted(&mut self, slot: Slot) {
        self.segments.forget(slot);
        self.no_room = false;
    }
}

#[cfg(test)]
mod tests {
    use super::super::scene::{act, log_of};
    use super::*;
    use crate::geometry::{BLOCK, Geometry, MAX_SEGMENT};

    fn log() -> Log {
        let mut log = log_of(Geometry::new(4096, MAX_SEGMENT, 512).unwrap(), 4);
        while act(&mut log, Haste::Make) {}
        log
    }

    fn write(log: &mut Log, first: u64, blocks: usize) {
        let (mut first, mut left) = (first, blocks);
        while left > 0 {
            let done = log.write(first, &vec![1; left * BLOCK]).unwrap().unwrap();
            first += done as u64;
            left -= done;
        }
        log.close_record();
    }

    fn flush(log: &mut Log) {
        let upto = log.request_flush();
        while !log.is_durable(upto) {
            assert!(act(log, Haste::Sync), "the flush waits for nothing");
        }
    }

    /// Whether what was written would be on its way before a flush asks for it.
    fn goes_ahead(log: &mut Log) -> bool {
        log.anticipate_flush();
        act(log, Haste::Append)
    }

    #[test]
    fn where_flushes_come_soon_writes_go_ahead_of_them() {
        let mut log = log();
        write(&mut log, 0, 1);
        assert!(!goes_ahead(&mut log), "nobody has flushed yet");
        flush(&mut log);
        for block in 1..20 {
            write(&mut log, block, 1);
            assert_eq!(goes_ahead(&mut log), block <= MOST_AHEAD as u64, "block {block}");
        }
        flush(&mut log);
        write(&mut log, 20, 1);
        let asked = log.request_flush();
        write(&mut log, 21, 1);
        assert!(goes_ahead(&mut log), "the flush itself");
        assert!(
            !goes_ahead(&mut log),
            "somebody waits for a flush: what comes meanwhile goes together"
        );
        while !log.is_durable(asked) {
            assert!(act(&mut log, Haste::Sync));
        }
        assert!(goes_ahead(&mut log));
    }

    #[test]
    fn where_much_is_written_between_flushes_nothing_goes_ahead() {
        let mut log = log();
        write(&mut log, 0, 1);
        flush(&mut log);
        for round in 0..8 {
            write(&mut log, round * 40, 40);
        }
        while act(&mut log, Haste::Append) {}
        write(&mut log, 400, 1);
        assert!(
            !goes_ahead(&mut log),
            "a batch has become full since the last flush"
        );
        flush(&mut log);
        write(&mut log, 401, 1);
        assert!(!goes_ahead(&mut log), "there was much to flush");
        flush(&mut log);
        write(&mut log, 402, 1);
        assert!(goes_ahead(&mut log));
    }
}
