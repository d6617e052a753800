//! The tail: the one open record, the batch that it is in, and how they give way to the next.

use super::{Blocked, Log, Purpose, buffer::Buffer, durable::Pending, segments::Stage};
use crate::{
    fault::{Fault, Outcome},
    format::{
        Sealer,
        head::Mark,
        record::{Extent, Kind, MAX_EXTENTS, RecordHeader},
    },
    geometry::{BLOCK, CELL, Lsn, Place, RECORD_BUFFER, RECORD_HEADER, SegmentName, Slot},
};
use std::sync::Arc;

/// Room in cells below which a batch is closed and not added to.
const WORTH: usize = 8;

/// Up to so many bytes, a batch that is flushed is short.
const SHORT: u32 = 64 << 10;

/// Where a full batch ends on the store: filesystems write whole pages side by side and past their cache, but make
/// each writer of a part of one wait for all the others.
const PAGE: u32 = 4096;

/// Records that will be appended at once: closed ones, and perhaps the open one behind them.
#[derive(Debug)]
pub(crate) struct Batch {
    slot: Slot,
    name: SegmentName,
    /// Where in the segment the batch begins.
    start: u32,
    /// Bytes of closed records.
    closed: u32,
    /// The last closed record.
    last: Option<Mark>,
    sealer: Arc<Sealer>,
    buffer: Buffer,
}

/// The open record: the last one of the batch.
#[derive(Debug)]
pub(crate) struct Record {
    extents: Vec<Extent>,
    cells: usize,
    most: usize,
}

/// Cells that were sealed one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    slot: Slot,
    offset: u32,
    pub(crate) count: usize,
}

impl Run {
    pub(crate) fn places(self) -> impl Iterator<Item = Place> {
        let offsets = (self.offset..).step_by(CELL).take(self.count);
        offsets.map(move |offset| Place::new(self.slot, offset))
    }
}

impl Record {
    fn is_full(&self) -> bool {
        self.cells >= self.most || self.extents.len() >= MAX_EXTENTS
    }

    fn note(&mut self, kind: Kind, first: u64, count: u16) {
        if let Some(last) = self.extents.last_mut()
            && last.kind == kind
            && last.first + u64::from(last.count) == first
            && let Some(sum) = last.count.checked_add(count)
        {
            last.count = sum;
            return;
        }
        self.extents.push(Extent { kind, first, count });
    }
}

impl Batch {
    /// The offset in the segment at which the open record begins, or the next one will.
    pub(super) fn end(&self) -> u32 {
        self.start + self.closed
    }

    /// The segment's name.
    pub(super) fn name(&self) -> SegmentName {
        self.name
    }

    /// Whether a flush that comes now comes before much was written: it is one of many small ones.
    pub(super) fn is_short(&self) -> bool {
        self.closed <= SHORT
    }

    /// Whether there is anything in it that may be appended.
    pub(super) fn has_records(&self) -> bool {
        self.closed > 0
    }

    /// The cell at this place, where it is in this batch.
    pub(super) fn cell(&self, slot: Slot, offset: u32) -> Option<&[u8]> {
        let start = offset.checked_sub(self.start).filter(|_| slot == self.slot)? as usize;
        self.buffer.bytes().get(start..start + CELL)
    }

    /// How many cells a further record may have.
    fn room(&self) -> usize {
        room_behind(self.closed)
    }
}

/// How many cells a further record may have in a buffer that holds so many bytes, the padding at its end left free.
fn room_behind(closed: u32) -> usize {
    let left = RECORD_BUFFER.saturating_sub(closed as usize);
    left.saturating_sub(RECORD_HEADER + PAGE as usize) / CELL
}

impl Log {
    /// Seals blocks (or pages, or pieces of a checkpoint) as cells of the open record, as many as it takes.
    pub(super) fn seal(
        &mut self,
        kind: Kind,
        first: u64,
        data: &[u8],
        purpose: Purpose,
    ) -> Outcome<Result<Run, Blocked>> {
        if let Err(blocked) = self.ensure_room(purpose)? {
            return Ok(Err(blocked));
        }
        let (Some(batch), Some(record)) = (&mut self.batch, &mut self.open) else {
            return Ok(Err(Blocked::Segment));
        };
        let count = (data.len() / BLOCK).min(record.most - record.cells);
        let start = batch.closed as usize + RECORD_HEADER + record.cells * CELL;
        let offset = batch.start + u32::try_from(start).unwrap_or(u32::MAX);
        let cells = batch.buffer.bytes_mut().get_mut(start..).unwrap_or_default();
        let places = (offset..).step_by(CELL);
        for (((block, cell), place), number) in data
            .chunks_exact(BLOCK)
            .zip(cells.chunks_exact_mut(CELL))
            .zip(places)
            .zip(first..)
            .take(count)
        {
            batch.sealer.seal_cell(place, kind.address(number), block, cell);
        }
        record.note(kind, first, u16::try_from(count).unwrap_or(u16::MAX));
        record.cells += count;
        Ok(Ok(Run {
            slot: batch.slot,
            offset,
            count,
        }))
    }

    /// Notes a discard in the open record, which has room for it.
    pub(super) fn note_discard(&mut self, first: u64, count: u64) {
        if let (Some(record), Ok(count)) = (&mut self.open, u16::try_from(count)) {
            record.note(Kind::Discard, first, count);
        }
    }

    /// Notes in the open record, which has room for it, that nothing follows.
    pub(super) fn note_close(&mut self) {
        if let Some(record) = &mut self.open {
            record.note(Kind::Close, 0, 0);
        }
    }

    /// Sees to it that the open record has room for one cell and one extent.
    pub(super) fn ensure_room(&mut self, purpose: Purpose) -> Outcome<Result<(), Blocked>> {
        if self.ended {
            return Err(Fault::Failed);
        }
        if self.open.as_ref().is_some_and(Record::is_full) {
            self.close_record();
        }
        if self.open.is_some() {
            return Ok(Ok(()));
        }
        if self.batch.as_ref().is_some_and(|batch| batch.room() < WORTH) {
            self.expects_flush = false;
            self.close_batch();
        }
        let geometry = self.geometry();
        if self.tail.map_or(0, |(_, offset)| geometry.room_at(offset)) == 0 {
            self.close_batch();
            if let Err(blocked) = self.roll(purpose) {
                return Ok(Err(blocked));
            }
        }
        if self.batch.is_none()
            && let Err(blocked) = self.open_batch()?
        {
            return Ok(Err(blocked));
        }
        let Some(batch) = &self.batch else {
            return Ok(Err(Blocked::Buffers));
        };
        self.open = Some(Record {
            extents: Vec::new(),
            cells: 0,
            most: geometry.room_at(batch.end()).min(batch.room()),
        });
        Ok(Ok(()))
    }

    fn open_batch(&mut self) -> Outcome<Result<(), Blocked>> {
        let Some((slot, start)) = self.tail else {
            return Ok(Err(Blocked::Segment));
        };
        let sealer = self.segments.sealer(slot)?;
        let Some(mut buffer) = self.pool.take() else {
            return Ok(Err(Blocked::Buffers));
        };
        buffer.label(sealer.name(), start);
        self.batch = Some(Batch {
            slot,
            name: sealer.name(),
            start,
            closed: 0,
            last: None,
            sealer,
            buffer,
        });
        Ok(Ok(()))
    }

    /// Goes on in the next ready segment.
    fn roll(&mut self, purpose: Purpose) -> Result<(), Blocked> {
        if purpose == Purpose::Write && self.is_over_budget() && !self.grace {
            return Err(Blocked::Space);
        }
        if self.ready.len() <= self.reserve(purpose) {
            return Err(if self.no_room {
                Blocked::Space
            } else {
                Blocked::Segment
            });
        }
        let next = self.ready.pop_front().ok_or(Blocked::Segment)?;
        if let Some((slot, _)) = self.tail
            && let Some(segment) = self.segments.get_mut(slot)
        {
            segment.stage = Stage::Closed;
        }
        let align = self.geometry().align;
        if let Some(segment) = self.segments.get_mut(next) {
            segment.stage = Stage::Open;
            segment.used = align;
        }
        self.tail = Some((next, align));
        self.earlier = self.last_closed();
        self.upkeep = true;
        self.grace &= purpose != Purpose::Write;
        Ok(())
    }

    /// Closes the open record: from here on it never changes. Whatever is acknowledged lies in a closed record, so that
    /// it is found again where this process ends and its memory stays.
    pub(crate) fn close_record(&mut self) {
        let geometry = self.geometry();
        let (Some(record), Some(batch)) = (self.open.take(), &mut self.batch) else {
            return;
        };
        if record.extents.is_empty() {
            return;
        }
        let used = RECORD_HEADER + record.cells * CELL;
        let mut length = geometry.aligned(u32::try_from(used).unwrap_or(u32::MAX));
        if room_behind(batch.closed + length) < WORTH {
            let end = batch.end() + length;
            length += end.next_multiple_of(PAGE) - end;
        }
        let start = batch.closed as usize;
        let bytes = batch.buffer.bytes_mut();
        let bytes = bytes.get_mut(start..start + length as usize).unwrap_or_default();
        if let Some(rest) = bytes.get_mut(used..) {
            rest.fill(0);
        }
        let lsn = self.next_lsn;
        let header = RecordHeader {
            lsn,
            durable: self.durable.lsn.max(self.earlier),
            previous: self.previous,
            length,
            extents: record.extents,
        };
        // INVARIANT: each offset of a segment has one header in its life, so this nonce is used once.
        let Some(tag) = header.seal(&batch.sealer, batch.start + batch.closed, bytes) else {
            return;
        };
        batch.closed += length;
        batch.last = Some(Mark { lsn, tag });
        batch.buffer.hold(batch.closed);
        let (slot, end) = (batch.slot, batch.end());
        self.tail = Some((slot, end));
        self.previous = tag;
        self.next_lsn = lsn.next();
        self.since_checkpoint += u64::from(length);
        if let Some(segment) = self.segments.get_mut(slot) {
            segment.used = end;
        }
        self.note_record_of_checkpoint(lsn, tag);
    }

    /// Closes the batch: it may be appended.
    pub(super) fn close_batch(&mut self) {
        self.close_record();
        let Some(batch) = self.batch.take() else {
            return;
        };
        match batch.last {
            None => self.pool.give_back(batch.buffer),
            Some(last) => self.pending.push_back(Pending::new(
                last,
                batch.slot,
                batch.name,
                batch.start,
                batch.closed,
                batch.buffer,
            )),
        }
    }

    /// The last record that is closed.
    pub(crate) fn last_closed(&self) -> Lsn {
        Lsn(self.next_lsn.0.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Action, Haste,
        scene::{act, log_of},
    };
    use super::*;
    use crate::geometry::{Geometry, MAX_SEGMENT};

    #[test]
    fn full_batches_end_at_a_page_and_flushed_ones_where_they_end() {
        let mut log = log_of(Geometry::new(1 << 16, MAX_SEGMENT, 512).unwrap(), 4);
        while act(&mut log, Haste::Make) {}
        let data = vec![7; 1 << 20];
        let mut ends = Vec::new();
        let mut first = 0;
        while first < 4 * 256 {
            let rest = &data[..(256 - first as usize % 256) * BLOCK];
            first += log.write(first, rest).unwrap().unwrap() as u64;
            log.close_record();
            while let Some(action) = log.next_action(Haste::Append).unwrap() {
                let Action::Append {
                    lsn,
                    offset,
                    length,
                    buffer,
                    ..
                } = action
                else {
                    panic!("{action:?}");
                };
                ends.push(offset + length);
                log.appended(lsn, buffer);
            }
        }
        assert!(ends.len() >= 3, "{ends:?}");
        assert!(ends.iter().all(|end| end.is_multiple_of(PAGE)), "{ends:?}");
        let before = log.batch.as_ref().unwrap().end();
        log.write(9000, &data[..BLOCK]).unwrap().unwrap();
        log.close_record();
        let after = log.batch.as_ref().unwrap().end();
        assert_eq!(after - before, 5120, "a small record is not padded");
    }
}
