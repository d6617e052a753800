//! The map: which cell holds a block. Kept in pages that are loaded when they are needed and, while they are
//! clean, may be let go of: memory is bounded however large the volume.
//!
//! INVARIANT: a page that is not resident is clean, and its cell is at the place that the directory names.

use crate::{
    format::page::{PAGE_BLOCKS, Page, position},
    geometry::Place,
};
use std::ops::Range;

/// So many clean pages stay however many are dirty, or those that one request needs would drive each other out.
const AT_LEAST: usize = 4;

/// A page as the directory has it.
#[derive(Debug, Default)]
struct Entry {
    place: Place,
    page: Option<Page>,
    dirty: bool,
    /// Looked at since the last sweep.
    recent: bool,
}

/// All pages.
#[derive(Debug)]
pub(crate) struct Map {
    entries: Vec<Entry>,
    resident: usize,
    dirty: usize,
    limit: usize,
    hand: usize,
}

impl Map {
    /// The map of a disk with so many blocks, its pages at `places` (missing ones are empty), at most about
    /// `limit` of them in memory.
    pub(crate) fn new(blocks: u64, places: &[Place], limit: usize) -> Self {
        let pages = usize::try_from(blocks.div_ceil(PAGE_BLOCKS)).unwrap_or(usize::MAX);
        let entry = |number| Entry {
            place: places.get(number).copied().unwrap_or_default(),
            ..Entry::default()
        };
        Map {
            entries: (0..pages).map(entry).collect(),
            resident: 0,
            dirty: 0,
            limit: limit.max(4),
            hand: 0,
        }
    }

    /// Makes room for more blocks; those that are there stay.
    pub(crate) fn grow(&mut self, blocks: u64) {
        let pages = usize::try_from(blocks.div_ceil(PAGE_BLOCKS)).unwrap_or(usize::MAX);
        if pages > self.entries.len() {
            self.entries.resize_with(pages, Entry::default);
        }
    }

    /// Pages in all.
    pub(crate) fn count(&self) -> usize {
        self.entries.len()
    }

    /// Pages in memory.
    pub(crate) fn resident(&self) -> usize {
        self.resident
    }

    /// Pages that differ from their cell.
    pub(crate) fn dirty(&self) -> usize {
        self.dirty
    }

    /// The first page, with the place of its cell, that must be loaded before these blocks can be looked up.
    pub(crate) fn missing(&self, blocks: Range<u64>) -> Option<(u32, Place)> {
        if blocks.is_empty() {
            return None;
        }
        let (first, last) = (position(blocks.start).0, position(blocks.end - 1).0);
        (first..=last).find_map(|number| {
            let entry = self.entries.get(number as usize)?;
            (entry.page.is_none() && !entry.place.is_nowhere()).then_some((number, entry.place))
        })
    }

    /// Where a block is. Its page must not be [`Map::missing`].
    pub(crate) fn get(&mut self, block: u64) -> Place {
        let (number, index) = position(block);
        let Some(entry) = self.entries.get_mut(number as usize) else {
            return Place::NOWHERE;
        };
        entry.recent = true;
        entry.page.as_ref().map_or(Place::NOWHERE, |page| page.get(index))
    }

    /// Says where a block is from now on; answers where it was. Its page must not be [`Map::missing`].
    pub(crate) fn set(&mut self, block: u64, place: Place) -> Place {
        let (number, index) = position(block);
        let Some(entry) = self.entries.get_mut(number as usize) else {
            return Place::NOWHERE;
        };
        debug_assert!(entry.page.is_some() || entry.place.is_nowhere());
        if entry.page.is_none() {
            if place.is_nowhere() {
                return Place::NOWHERE;
            }
            self.resident += 1;
        }
        let page = entry.page.get_or_insert_with(Page::empty);
        let before = page.set(index, place);
        if before != place && !entry.dirty {
            entry.dirty = true;
            self.dirty += 1;
        }
        entry.recent = true;
        before
    }

    /// The blocks from `from` on, below `end`, that have a cell or whose page is not in memory: the next such.
    pub(crate) fn next_mapped(&self, from: u64, end: u64) -> Option<u64> {
        let mut block = from;
        while block < end {
            let (number, index) = position(block);
            let entry = self.entries.get(number as usize)?;
            match &entry.page {
                None if entry.place.is_nowhere() => block += PAGE_BLOCKS - index as u64,
                Some(page) if page.get(index).is_nowhere() => block += 1,
                _ => return Some(block),
            }
        }
        None
    }

    /// Takes in a page that was loaded from `place`; ignored where the directory no longer says so.
    pub(crate) fn admit(&mut self, number: u32, place: Place, page: Page) {
        self.sweep();
        let Some(entry) = self.entries.get_mut(number as usize) else {
            return;
        };
        if entry.page.is_none() && entry.place == place {
            entry.page = Some(page);
            entry.recent = true;
            self.resident += 1;
        }
    }

    /// Where a page's cell is.
    pub(crate) fn page_place(&self, number: u32) -> Place {
        self.entries
            .get(number as usize)
            .map_or(Place::NOWHERE, |entry| entry.place)
    }

    /// Whether a page is in memory.
    pub(crate) fn is_resident(&self, number: u32) -> bool {
        self.entries
            .get(number as usize)
            .is_some_and(|entry| entry.page.is_some())
    }

    /// Has a page written again with the next checkpoint, so that its cell may be given up. It must be resident.
    pub(crate) fn touch(&mut self, number: u32) {
        if let Some(entry) = self.entries.get_mut(number as usize)
            && entry.page.is_some()
            && !entry.dirty
        {
            entry.dirty = true;
            self.dirty += 1;
        }
    }

    /// The next dirty page from `from` on.
    pub(crate) fn next_dirty(&self, from: u32) -> Option<(u32, &Page)> {
        if self.dirty == 0 {
            return None;
        }
        (from..)
            .zip(self.entries.get(from as usize..)?)
            .find(|(_, entry)| entry.dirty)
            .and_then(|(number, entry)| Some((number, entry.page.as_ref()?)))
    }

    /// Says that a page was sealed at `place`; answers where it was before.
    pub(crate) fn cleaned(&mut self, number: u32, place: Place) -> Place {
        let Some(entry) = self.entries.get_mut(number as usize) else {
            return Place::NOWHERE;
        };
        if entry.dirty {
            entry.dirty = false;
            self.dirty -= 1;
        }
        let before = std::mem::replace(&mut entry.place, place);
        // Pages that were never loaded, but filled by writes, can be let go of from here on.
        self.sweep();
        before
    }

    /// The directory, for a checkpoint.
    pub(crate) fn directory(&self) -> Vec<Place> {
        self.entries.iter().map(|entry| entry.place).collect()
    }

    /// A page that is in memory.
    #[cfg(feature = "judge")]
    pub(crate) fn page(&self, number: u32) -> Option<&Page> {
        self.entries.get(number as usize)?.page.as_ref()
    }

    /// Whether the counts are what there is, and no more is in memory than may be.
    #[cfg(feature = "judge")]
    pub(crate) fn audit(&self) -> Result<(), String> {
        let resident = self.entries.iter().filter(|entry| entry.page.is_some()).count();
        let dirty = self.entries.iter().filter(|entry| entry.dirty).count();
        if (resident, dirty) != (self.resident, self.dirty) {
            return Err(format!(
                "{resident} pages in memory and {dirty} dirty, not {} and {}",
                self.resident, self.dirty
            ));
        }
        if resident > self.limit.max(dirty + AT_LEAST) + 1 {
            return Err(format!("{resident} pages in memory, {dirty} of them dirty"));
        }
        Ok(())
    }

    /// Lets go of clean pages that were not looked at lately, while there are more than the limit.
    fn sweep(&mut self) {
        let mut looks = 2 * self.entries.len();
        while self.resident >= self.limit.max(self.dirty + AT_LEAST) && looks > 0 {
            looks -= 1;
            self.hand = (self.hand + 1) % self.entries.len().max(1);
            let Some(entry) = self.entries.get_mut(self.hand) else {
                return;
            };
            if entry.page.is_none() || entry.dirty {
                continue;
            }
            if !std::mem::take(&mut entry.recent) {
                entry.page = None;
                self.resident -= 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Slot;

    fn place(n: u32) -> Place {
        Place::new(Slot(1), 512 + n * 16)
    }

    #[test]
    fn an_empty_map_has_nothing_and_misses_nothing() {
        let mut map = Map::new(10_000, &[], 100);
        assert_eq!(map.missing(0..10_000), None);
        assert_eq!(map.get(5), Place::NOWHERE);
        assert_eq!(map.next_mapped(0, 10_000), None);
        assert_eq!(map.set(5, Place::NOWHERE), Place::NOWHERE);
        assert_eq!((map.resident(), map.dirty()), (0, 0));
    }

    #[test]
    fn memory_is_bounded_and_what_was_let_go_is_asked_for_again() {
        let mut map = Map::new(PAGE_BLOCKS * 100, &[], 10);
        for page in 0..100 {
            map.set(page * PAGE_BLOCKS, place(7));
            map.cleaned(u32::try_from(page).unwrap(), place(9));
        }
        assert!(map.resident() <= 11, "{}", map.resident());
        assert_eq!(map.missing(0..1), Some((0, place(9))));
        let mut page = Page::empty();
        page.set(0, place(7));
        map.admit(0, place(8), page.clone());
        assert!(map.missing(0..1).is_some(), "loaded from where it no longer is");
        map.admit(0, place(9), page);
        assert_eq!((map.missing(0..1), map.get(0)), (None, place(7)));
    }

    #[test]
    fn pages_that_one_request_needs_stay_however_many_are_dirty() {
        let mut map = Map::new(PAGE_BLOCKS * 50, &[place(8), place(9)], 4);
        for page in 2..50 {
            map.set(page * PAGE_BLOCKS, place(1));
        }
        let both = PAGE_BLOCKS - 1..PAGE_BLOCKS + 1;
        for _ in 0..2 {
            if let Some((number, at)) = map.missing(both.clone()) {
                map.admit(number, at, Page::empty());
            }
        }
        assert_eq!(map.missing(both), None);
    }

    #[test]
    fn dirty_pages_stay() {
        let mut map = Map::new(PAGE_BLOCKS * 50, &[], 4);
        for page in 0..50 {
            map.set(page * PAGE_BLOCKS + 1, place(1));
        }
        map.sweep();
        assert_eq!((map.resident(), map.dirty()), (50, 50));
        assert_eq!(map.next_dirty(7).map(|(number, _)| number), Some(7));
        assert_eq!(map.next_mapped(0, 2000), Some(1));
        assert_eq!(map.next_mapped(2, 2000), Some(PAGE_BLOCKS + 1));
    }
}
