//! Walking the records of a segment, through a window so that many small records cost few reads.

use super::read::{Cells, memory_for, read_cells};
use crate::{
    fault::{Fault, Outcome},
    format::{
        Sealer,
        record::{Kind, RecordHeader},
        segment_header::{SEGMENT_HEADER, SegmentHeader},
    },
    geometry::{BLOCK, CELL, RECORD_HEADER, SegmentName, TAG},
    keys::Ring,
    store::Store,
};
use cofferdam_linux::aligned::AlignedBuffer;
use std::{io, ops::Range};

/// How much is read at once.
const WINDOW: usize = 256 << 10;

/// Reads and verifies a segment's own header; none where it is missing, torn or somebody else's.
pub(super) fn open_segment(
    store: &impl Store,
    keys: &Ring,
    name: SegmentName,
    volume: [u8; 16],
) -> Outcome<Option<(SegmentHeader, Sealer)>> {
    let mut memory = AlignedBuffer::new(SEGMENT_HEADER + 8192);
    let start = match store.read(name, 0, SEGMENT_HEADER, &mut memory) {
        Ok(start) => start,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(Fault::store("read")(error)),
    };
    let bytes = memory.get(start..).unwrap_or_default();
    let header = SegmentHeader::decode(bytes, keys.of(name)).map_err(Fault::memory)?;
    Ok(header.filter(|(header, _)| header.name == name && header.volume == volume))
}

/// Reads records one after the other.
pub(super) struct Scan<'a, S> {
    store: &'a S,
    name: SegmentName,
    sealer: &'a Sealer,
    end: u32,
    memory: AlignedBuffer,
    window: Range<u32>,
    start: usize,
}

impl<'a, S: Store> Scan<'a, S> {
    /// Walks the segment's bytes below `end`.
    pub(super) fn new(store: &'a S, name: SegmentName, sealer: &'a Sealer, end: u32) -> Self {
        Scan {
            store,
            name,
            sealer,
            end,
            memory: AlignedBuffer::new(WINDOW + 8192),
            window: 0..0,
            start: 0,
        }
    }

    /// The header of the record at `offset` and its tag; none where there is no record that this key wrote.
    pub(super) fn header(&mut self, offset: u32) -> Outcome<Option<(RecordHeader, [u8; TAG])>> {
        let Some(bytes) = self.bytes(offset, RECORD_HEADER)? else {
            return Ok(None);
        };
        let mut sealed = [0; RECORD_HEADER];
        sealed.copy_from_slice(bytes);
        let found = RecordHeader::open(self.sealer, offset, &mut sealed);
        Ok(found.filter(|(header, _)| header.length <= self.end - offset))
    }

    fn bytes(&mut self, offset: u32, length: usize) -> Outcome<Option<&[u8]>> {
        let end = offset.saturating_add(u32::try_from(length).unwrap_or(u32::MAX));
        if end > self.end {
            return Ok(None);
        }
        if offset < self.window.start || end > self.window.end {
            let most = (self.end - offset).min(WINDOW as u32);
            // A file that was cut is read as far as it goes.
            if !self.load(offset, most)? && !self.load(offset, end - offset)? {
                return Ok(None);
            }
        }
        let from = self.start + (offset - self.window.start) as usize;
        Ok(self.memory.get(from..from + length))
    }

    fn load(&mut self, offset: u32, length: u32) -> Outcome<bool> {
        self.window = 0..0;
        match self
            .store
            .read(self.name, offset, length as usize, &mut self.memory)
        {
            Ok(start) => {
                self.start = start;
                self.window = offset..offset + length;
                Ok(true)
            }
            Err(error) if is_missing(&error) => Ok(false),
            Err(error) => Err(Fault::store("read")(error)),
        }
    }

    /// Reads and verifies the cells of a record at `offset`, and hands each to `take`: kind, number, offset, block.
    pub(super) fn cells(
        &self,
        offset: u32,
        header: &RecordHeader,
        mut take: impl FnMut(Kind, u64, u32, &[u8]) -> Outcome,
    ) -> Outcome {
        let count = header.cells();
        if count == 0 {
            return Ok(());
        }
        let mut memory = AlignedBuffer::new(memory_for(count * BLOCK));
        let first = offset + RECORD_HEADER as u32;
        let skew = read_cells(self.store, self.name, first, count, &mut memory)?;
        for (index, (kind, number, place)) in header.places(offset).enumerate() {
            let start = skew + index * CELL;
            let memory = memory.get_mut(start..start + CELL).unwrap_or_default();
            let cell = Cells {
                name: self.name,
                sealer: self.sealer,
                offset: place,
                count: 1,
            };
            cell.open(kind.address(number), memory, 0)?;
            take(kind, number, place, memory.get(..BLOCK).unwrap_or_default())?;
        }
        Ok(())
    }

    /// Reads and verifies one cell.
    pub(super) fn cell(&self, kind: Kind, number: u64, offset: u32) -> Outcome {
        let mut memory = AlignedBuffer::new(memory_for(BLOCK));
        let skew = read_cells(self.store, self.name, offset, 1, &mut memory)?;
        let cell = Cells {
            name: self.name,
            sealer: self.sealer,
            offset,
            count: 1,
        };
        cell.open(kind.address(number), &mut memory, skew)?;
        Ok(())
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof
    )
}
