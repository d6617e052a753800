//! Where the cells of a read are: on the store, in memory on their way there, or nowhere.

use super::{Blocked, Log, Piece};
use crate::{
    fault::{Fault, Outcome},
    geometry::{CELL, Place, Slot},
};

/// The most bytes of cells that a piece in memory copies under the lock.
const HELD: usize = 64 * CELL;

impl Log {
    /// Where these blocks are, in order. Segments in the answer are pinned, each piece once.
    pub(crate) fn locate(&mut self, first: u64, count: u64) -> Outcome<Result<Vec<Piece>, Blocked>> {
        if let Some((number, at)) = self.map.missing(first..first + count) {
            return Ok(Err(Blocked::Page { number, at }));
        }
        let mut pieces = Vec::with_capacity(1);
        for block in first..first + count {
            let place = self.map.get(block);
            if !self.extend(pieces.last_mut(), place) {
                let piece = self.piece(block, place)?;
                pieces.push(piece);
            }
        }
        Ok(Ok(pieces))
    }

    /// Where the cell of a page is that has to be loaded; none where it is no longer there.
    pub(crate) fn locate_page(&mut self, number: u32, at: Place) -> Outcome<Option<Piece>> {
        if self.map.page_place(number) != at {
            return Ok(None);
        }
        self.piece(u64::from(number), at).map(Some)
    }

    /// Adds the cell to the piece before it, where they lie together.
    fn extend(&self, last: Option<&mut Piece>, place: Place) -> bool {
        match last {
            Some(Piece::Zeros { count }) if place.is_nowhere() => {
                *count += 1;
                true
            }
            Some(Piece::Stored {
                slot, offset, count, ..
            }) if follows(place, *slot, *offset, *count) => {
                if self.held(place).is_some() {
                    return false;
                }
                *count += 1;
                true
            }
            Some(Piece::Held {
                slot, offset, cells, ..
            }) if cells.len() < HELD && follows(place, *slot, *offset, cells.len() / CELL) => {
                let Some(cell) = self.held(place) else {
                    return false;
                };
                cells.extend_from_slice(cell);
                true
            }
            _ => false,
        }
    }

    fn piece(&mut self, block: u64, place: Place) -> Outcome<Piece> {
        if place.is_nowhere() {
            return Ok(Piece::Zeros { count: 1 });
        }
        let (slot, offset) = (place.slot(), place.offset());
        if !self.is_readable(slot) {
            return Err(Fault::corrupt("the map", "it names a segment that is not there"));
        }
        let sealer = self.segments.sealer(slot)?;
        if let Some(cell) = self.held(place) {
            return Ok(Piece::Held {
                cells: cell.to_vec(),
                slot,
                sealer,
                block,
                offset,
            });
        }
        let segment = self
            .segments
            .get_mut(slot)
            .ok_or_else(|| Fault::corrupt("the map", "it names a segment that is not there"))?;
        segment.pins += 1;
        Ok(Piece::Stored {
            slot,
            name: segment.name,
            sealer,
            block,
            offset,
            count: 1,
        })
    }

    /// The cell in memory, where it is not on the store yet.
    fn held(&self, place: Place) -> Option<&[u8]> {
        let (slot, offset) = (place.slot(), place.offset());
        if let Some(cell) = self.batch.as_ref().and_then(|batch| batch.cell(slot, offset)) {
            return Some(cell);
        }
        self.pending
            .iter()
            .rev()
            .find_map(|record| record.cell(slot, offset))
    }
}

fn follows(place: Place, slot: Slot, offset: u32, count: usize) -> bool {
    !place.is_nowhere() && place.slot() == slot && place.offset() as usize == offset as usize + count * CELL
}
