//! A page of the map: the places of 819 neighbouring blocks, five bytes each, and a zero at the end.
//!
//! Pages are sealed as cells of kind *page*, addressed by their number: page `n` has the blocks from
//! `n × 819` on.

use crate::geometry::{BLOCK, Place};

/// Blocks in a page.
pub(crate) const PAGE_BLOCKS: u64 = (BLOCK / Place::BYTES) as u64;

/// Which page has a block, and which entry of it.
pub(crate) fn position(block: u64) -> (u32, usize) {
    let page = u32::try_from(block / PAGE_BLOCKS).unwrap_or(u32::MAX);
    (page, usize::try_from(block % PAGE_BLOCKS).unwrap_or(0))
}

/// A page in memory, as it is stored.
#[derive(Clone)]
pub(crate) struct Page(Box<[u8]>);

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Page")
    }
}

impl Page {
    /// A page without a single block.
    pub(crate) fn empty() -> Self {
        Page(vec![0; BLOCK].into_boxed_slice())
    }

    /// A page as read from the store; none where it has not the length of one.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes.len() == BLOCK).then(|| Page(bytes.into()))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// An entry; nowhere for one beyond the page.
    pub(crate) fn get(&self, entry: usize) -> Place {
        let start = entry * Place::BYTES;
        self.0
            .get(start..)
            .and_then(|rest| rest.first_chunk())
            .map_or(Place::NOWHERE, |bytes| Place::from_bytes(*bytes))
    }

    /// Sets an entry; answers what was there.
    pub(crate) fn set(&mut self, entry: usize, place: Place) -> Place {
        let start = entry * Place::BYTES;
        let Some(bytes) = self.0.get_mut(start..).and_then(|rest| rest.first_chunk_mut()) else {
            return Place::NOWHERE;
        };
        let before = Place::from_bytes(*bytes);
        *bytes = place.to_bytes();
        before
    }
}
