//! Reads: where the cells are, the cells from the store, the blocks out of the cells.

use super::Volume;
use crate::{
    fault::{Fault, Outcome},
    format::{Sealer, page::Page, record::Kind},
    geometry::{BLOCK, CELL, Place, SegmentName, TAG},
    log::{Blocked, Piece, segments::Segments},
    store::Store,
};
use cofferdam_linux::aligned::AlignedBuffer;
use std::{io, sync::PoisonError};

/// The memory that a read of `length` bytes needs, in bytes.
pub const fn memory_for(length: usize) -> usize {
    length / BLOCK * CELL + 8192
}

/// Damage that is kept until somebody asks; more is only answered to the reader.
const MOST_DAMAGE: usize = 64;

impl<S: Store> Volume<S> {
    /// Reads `length` bytes at `offset`, both multiples of 4096, into the front of `memory`, which begins at a page
    /// and has at least [`memory_for`] bytes.
    ///
    /// # Errors
    /// [`Fault::Corrupt`] where a block is not what was written; never other bytes. [`Fault::Store`].
    pub fn read<'m>(&self, offset: u64, length: usize, memory: &'m mut [u8]) -> Outcome<&'m mut [u8]> {
        self.alive()?;
        let (first, count) = self.range(offset, length as u64)?;
        if memory.len() < memory_for(length) {
            return Err(Fault::Invalid("too little memory for the read"));
        }
        let pieces = self.locate(first, count)?;
        let mut done = Ok(());
        let mut at = 0;
        for piece in &pieces {
            if done.is_ok() {
                let rest = memory.get_mut(at..).unwrap_or_default();
                done = self.read_piece(piece, Kind::Data, rest).map(|bytes| at += bytes);
            }
        }
        self.unpin(&pieces);
        if let Err(fault) = done {
            self.report(&fault);
            memory.fill(0);
            return Err(fault);
        }
        Ok(memory.get_mut(..length).unwrap_or_default())
    }

    fn locate(&self, first: u64, count: u64) -> Outcome<Vec<Piece>> {
        loop {
            let located = self.lock().locate(first, count)?;
            match located {
                Ok(pieces) => return Ok(pieces),
                Err(Blocked::Page { number, at }) => self.load_page(number, at)?,
                Err(_) => return Err(Fault::Invalid("a read cannot be blocked by writes")),
            }
        }
    }

    pub(super) fn unpin(&self, pieces: &[Piece]) {
        let mut log = None;
        for piece in pieces {
            if let Piece::Stored { slot, .. } = piece {
                log.get_or_insert_with(|| self.lock()).unpin(*slot);
            }
        }
    }

    /// Loads a page of the map that something waits for.
    pub(super) fn load_page(&self, number: u32, at: Place) -> Outcome {
        let Some(piece) = self.lock().locate_page(number, at)? else {
            return Ok(());
        };
        let mut memory = AlignedBuffer::new(memory_for(BLOCK));
        let read = self.read_piece(&piece, Kind::Page, &mut memory);
        let page = memory.get(..BLOCK).and_then(Page::from_bytes);
        if let Some(page) = page.filter(|_| read.is_ok()) {
            self.lock().admit(number, at, page);
        }
        // Not before: the pin is what keeps this slot, and so this place, from meaning another segment's.
        self.unpin(std::slice::from_ref(&piece));
        read.map(|_| ()).inspect_err(|fault| self.report(fault))
    }

    /// Reads one piece to the front of memory; answers how many bytes of blocks it has.
    pub(super) fn read_piece(&self, piece: &Piece, kind: Kind, memory: &mut [u8]) -> Outcome<usize> {
        match piece {
            Piece::Zeros { count } => {
                let bytes = count * BLOCK;
                memory.get_mut(..bytes).unwrap_or_default().fill(0);
                Ok(bytes)
            }
            Piece::Held {
                sealer,
                block,
                offset,
                cells,
                ..
            } => {
                let place = memory.get_mut(..cells.len()).unwrap_or_default();
                place.copy_from_slice(cells);
                let cells = Cells {
                    name: sealer.name(),
                    sealer,
                    offset: *offset,
                    count: cells.len() / CELL,
                };
                cells.open(kind.address(*block), memory, 0)
            }
            Piece::Stored {
                name,
                sealer,
                block,
                offset,
                count,
                ..
            } => {
                let skew = read_cells(&self.store, *name, *offset, *count, memory)?;
                let cells = Cells {
                    name: *name,
                    sealer,
                    offset: *offset,
                    count: *count,
                };
                cells.open(kind.address(*block), memory, skew)
            }
        }
    }

    /// Keeps a fault that somebody should hear of, for [`Volume::take_damage`].
    pub fn report(&self, fault: &Fault) {
        let mut damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        if damage.len() < MOST_DAMAGE {
            damage.push(fault.clone());
        }
    }
}

/// Reads cells that lie together; answers where in memory they begin.
pub(super) fn read_cells(
    store: &impl Store,
    name: SegmentName,
    offset: u32,
    count: usize,
    memory: &mut [u8],
) -> Outcome<usize> {
    store
        .read(name, offset, count * CELL, memory)
        .map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Fault::at(name, offset, "the segment is missing"),
            io::ErrorKind::UnexpectedEof => Fault::at(name, offset, "the segment is too short"),
            _ => Fault::store("read")(error),
        })
}

/// Reads a page of the map from the store.
pub(super) fn read_page(
    store: &impl Store,
    segments: &mut Segments,
    number: u32,
    at: Place,
) -> Outcome<Page> {
    let sealer = segments.sealer(at.slot())?;
    let mut memory = AlignedBuffer::new(memory_for(BLOCK));
    let skew = read_cells(store, sealer.name(), at.offset(), 1, &mut memory)?;
    let cell = Cells {
        name: sealer.name(),
        sealer: &sealer,
        offset: at.offset(),
        count: 1,
    };
    cell.open(Kind::Page.address(u64::from(number)), &mut memory, skew)?;
    let page = memory.get(..BLOCK).and_then(Page::from_bytes);
    page.ok_or(Fault::Invalid("a page without its bytes"))
}

/// Cells in memory that lay together in a segment.
pub(super) struct Cells<'a> {
    pub(super) name: SegmentName,
    pub(super) sealer: &'a Sealer,
    pub(super) offset: u32,
    pub(super) count: usize,
}

impl Cells<'_> {
    /// Opens the cells, which begin at `skew` in memory and have addresses from `first` on; moves the blocks to the
    /// front. Answers their bytes.
    pub(super) fn open(&self, first: u64, memory: &mut [u8], skew: usize) -> Outcome<usize> {
        for (index, address) in (0..self.count).zip(first..) {
            let offset = self.offset + u32::try_from(index * CELL).unwrap_or(u32::MAX);
            let end = skew + (index + 1) * CELL;
            let buffer = memory.get_mut(index * BLOCK..end).unwrap_or_default();
            self.sealer
                .open_cell(offset, address, buffer, skew + index * TAG)
                .map_err(|_| Fault::at(self.name, offset, "a cell does not verify"))?;
        }
        Ok(self.count * BLOCK)
    }
}
