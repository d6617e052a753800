//! The tail: the one open record, what is sealed into it, and how it gives way to the next.

use super::{Blocked, Log, Purpose, buffer::Buffer, durable::Pending, segments::Stage};
use crate::{
    fault::Outcome,
    format::{
        Sealer,
        record::{Extent, Kind, MAX_EXTENTS, RecordHeader},
    },
    geometry::{BLOCK, CELL, Lsn, Place, RECORD_HEADER, Slot},
};
use std::sync::Arc;

/// The open record.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) slot: Slot,
    pub(crate) offset: u32,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) buffer: Buffer,
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

    /// The cell at this offset of the segment, where it is in this record.
    pub(crate) fn cell(&self, offset: u32) -> Option<&[u8]> {
        let end = RECORD_HEADER + self.cells * CELL;
        let start = offset.checked_sub(self.offset)? as usize;
        (start + CELL <= end)
            .then(|| self.buffer.bytes().get(start..start + CELL))
            .flatten()
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
        let Some(record) = &mut self.open else {
            return Ok(Err(Blocked::Segment));
        };
        let count = (data.len() / BLOCK).min(record.most - record.cells);
        let start = RECORD_HEADER + record.cells * CELL;
        let offset = record.offset + u32::try_from(start).unwrap_or(u32::MAX);
        let cells = record.buffer.bytes_mut().get_mut(start..).unwrap_or_default();
        let places = (offset..).step_by(CELL);
        for (((block, cell), place), number) in data
            .chunks_exact(BLOCK)
            .zip(cells.chunks_exact_mut(CELL))
            .zip(places)
            .zip(first..)
            .take(count)
        {
            record.sealer.seal_cell(place, kind.address(number), block, cell);
        }
        record.note(kind, first, u16::try_from(count).unwrap_or(u16::MAX));
        record.cells += count;
        Ok(Ok(Run {
            slot: record.slot,
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
        if self.open.as_ref().is_some_and(Record::is_full) {
            self.close_record();
        }
        if self.open.is_some() {
            return Ok(Ok(()));
        }
        let geometry = self.geometry();
        let room = self.tail.map_or(0, |(_, offset)| geometry.room_at(offset));
        if room == 0
            && let Err(blocked) = self.roll(purpose)
        {
            return Ok(Err(blocked));
        }
        let Some((slot, offset)) = self.tail else {
            return Ok(Err(Blocked::Segment));
        };
        let sealer = self.segments.sealer(slot)?;
        let Some(buffer) = self.pool.take() else {
            return Ok(Err(Blocked::Buffers));
        };
        // The first record after a pause: somebody must see to it that it is flushed some day.
        self.upkeep |= self.pending.is_empty();
        self.open = Some(Record {
            slot,
            offset,
            sealer,
            buffer,
            extents: Vec::new(),
            cells: 0,
            most: geometry.room_at(offset),
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
        self.upkeep = true;
        self.grace &= purpose != Purpose::Write;
        Ok(())
    }

    /// Closes the open record: from here on it never changes, and may be appended.
    pub(super) fn close_record(&mut self) {
        let Some(mut record) = self.open.take() else {
            return;
        };
        if record.extents.is_empty() {
            self.pool.give_back(record.buffer);
            return;
        }
        let used = RECORD_HEADER + record.cells * CELL;
        let length = self.geometry().aligned(u32::try_from(used).unwrap_or(u32::MAX));
        let bytes = record.buffer.bytes_mut();
        if let Some(rest) = bytes.get_mut(used..length as usize) {
            rest.fill(0);
        }
        let lsn = self.next_lsn;
        let header = RecordHeader {
            lsn,
            durable: self.durable.lsn,
            previous: self.previous,
            length,
            extents: std::mem::take(&mut record.extents),
        };
        // INVARIANT: each offset of a segment has one header in its life, so this nonce is used once.
        let Some(tag) = header.seal(&record.sealer, record.offset, bytes) else {
            return;
        };
        self.note_record_of_checkpoint(lsn, tag);
        self.previous = tag;
        self.next_lsn = lsn.next();
        self.since_checkpoint += u64::from(length);
        let end = record.offset + length;
        self.tail = Some((record.slot, end));
        let Some(segment) = self.segments.get_mut(record.slot) else {
            return;
        };
        segment.used = end;
        self.pending.push_back(Pending::new(
            lsn,
            tag,
            record.slot,
            segment.name,
            record.offset,
            length,
            record.buffer,
        ));
    }

    /// The last record that is closed.
    pub(super) fn last_closed(&self) -> Lsn {
        Lsn(self.next_lsn.0.saturating_sub(1))
    }
}
