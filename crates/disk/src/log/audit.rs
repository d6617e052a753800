//! Whether the log's own numbers agree with each other: for tests, while nothing else moves.

use super::Log;
use crate::geometry::{Place, Slot};
use std::collections::BTreeMap;

/// Live cells by slot, as somebody counted them.
pub(crate) type Live = BTreeMap<Slot, u32>;

impl Log {
    /// Compares the segment table with a recount, and the buffers with those that there were.
    pub(crate) fn audit(&self, live: &Live) -> Result<(), String> {
        for (slot, segment) in self.segments.iter() {
            let counted = live.get(&slot).copied().unwrap_or(0);
            if counted != segment.live {
                let name = segment.name;
                return Err(format!(
                    "segment {name} has {counted} live cells, not {}",
                    segment.live
                ));
            }
            if segment.used > self.geometry().segment || segment.live > self.geometry().cells() {
                return Err(format!("segment {} is fuller than full", segment.name));
            }
        }
        if let Some(slot) = live.keys().find(|slot| self.segments.get(**slot).is_none()) {
            return Err(format!("the map names {slot:?}, which is not there"));
        }
        let count = self.segments.iter().count();
        if count != self.segments.count() as usize {
            return Err(format!("{count} segments, not {}", self.segments.count()));
        }
        let sum: u64 = live.values().map(|cells| u64::from(*cells)).sum();
        if sum != self.segments.live() {
            return Err(format!("{sum} live cells, not {}", self.segments.live()));
        }
        self.audit_memory()
    }

    fn audit_memory(&self) -> Result<(), String> {
        let held = self.pending.iter().filter(|record| record.is_held()).count();
        let buffers = self.pool.free() + held + usize::from(self.batch.is_some());
        if buffers != self.pool.total() {
            return Err(format!("{buffers} buffers of {}", self.pool.total()));
        }
        self.map.audit()
    }

    /// The place of every cell that a page names, and of the page's own.
    pub(crate) fn audit_page(place: Place, page: Option<&crate::format::page::Page>, live: &mut Live) {
        let mut note = |place: Place| {
            if !place.is_nowhere() {
                *live.entry(place.slot()).or_default() += 1;
            }
        };
        note(place);
        for entry in 0..usize::try_from(crate::format::page::PAGE_BLOCKS).unwrap_or(0) {
            note(page.map_or(Place::NOWHERE, |page| page.get(entry)));
        }
    }
}
