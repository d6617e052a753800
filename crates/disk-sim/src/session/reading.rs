//! What is read, compared with what must be.

use super::{Session, Went};
use crate::{Wrong, oracle::stamp_of, store::SimStore};
use cofferdam_disk::{BLOCK, Fault, Store, Volume, volume::memory_for};
use cofferdam_linux::aligned::AlignedBuffer;
use std::ops::Range;

/// Blocks that are read at once when everything is.
const AT_ONCE: usize = 100;

impl Session {
    /// Reads blocks and compares them with what they must be now.
    pub(super) fn read(&mut self, blocks: Range<usize>) -> Result<Went, Wrong> {
        let found = match self.blocks(blocks.clone()) {
            Ok(found) => found?,
            Err(fault) => return self.excuse(&fault, "read"),
        };
        for (block, found) in blocks.zip(found) {
            let expected = self.oracle.stamp(block);
            if found != expected {
                return Err(Wrong::new(format!("block {block} is {found}, not {expected}")));
            }
        }
        Ok(Went::On)
    }

    pub(super) fn read_one(&self, block: usize) -> Result<u64, Wrong> {
        let found = self
            .blocks(block..block + 1)
            .or_else(|_| self.blocks(block..block + 1));
        let found = found.map_err(|fault| Wrong::new(format!("block {block}: {fault}")))??;
        Ok(found[0])
    }

    fn blocks(&self, blocks: Range<usize>) -> Result<Result<Vec<u64>, Wrong>, Fault> {
        match &self.volume {
            Some(volume) => stamps(volume, blocks),
            None => Ok(Err(Wrong::new("it is not open"))),
        }
    }
}

/// The stamps of all blocks. Unless `damaged`, every block must be readable.
///
/// # Errors
/// Blocks that cannot be read or are mangled.
pub fn everything(volume: &Volume<SimStore>, damaged: bool) -> Result<Vec<Option<u64>>, Wrong> {
    let blocks = usize::try_from(volume.size()).unwrap_or(usize::MAX) / BLOCK;
    let mut all = Vec::with_capacity(blocks);
    for first in (0..blocks).step_by(AT_ONCE) {
        let range = first..(first + AT_ONCE).min(blocks);
        match stamps(volume, range.clone()) {
            Ok(found) => all.extend(found?.into_iter().map(Some)),
            Err(Fault::Corrupt { .. }) if damaged => {
                for block in range {
                    match stamps(volume, block..block + 1) {
                        Ok(found) => all.extend(found?.into_iter().map(Some)),
                        Err(Fault::Corrupt { .. }) => all.push(None),
                        Err(fault) => return Err(Wrong::new(format!("block {block}: {fault}"))),
                    }
                }
            }
            Err(fault) => return Err(Wrong::new(format!("blocks {range:?}: {fault}"))),
        }
    }
    Ok(all)
}

/// The stamps of some blocks, where they can be read; the inner error where they are mangled.
///
/// # Errors
/// As [`Volume::read`].
pub fn stamps<S: Store>(volume: &Volume<S>, blocks: Range<usize>) -> Result<Result<Vec<u64>, Wrong>, Fault> {
    let length = blocks.len() * BLOCK;
    let mut memory = AlignedBuffer::new(memory_for(length));
    let bytes = volume.read((blocks.start * BLOCK) as u64, length, &mut memory)?;
    Ok(blocks
        .zip(bytes.chunks_exact(BLOCK))
        .map(|(block, bytes)| stamp_of(block, bytes))
        .collect())
}
