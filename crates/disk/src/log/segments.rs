//! The segment table: which segments there are, and how much of each is live.

use crate::{
    fault::{Fault, Outcome},
    format::{Sealer, checkpoint::SegmentEntry},
    geometry::{Geometry, SegmentName, Slot},
    keys::Ring,
};
use cofferdam_vault::Suite;
use std::sync::Arc;

/// Where a segment is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Being made on the store.
    Making,
    /// Made, nothing in it yet.
    Ready,
    /// Records are appended to it.
    Open,
    /// Full, or of an earlier epoch: it never changes again.
    Closed,
    /// No checkpoint on the store needs it; to be deleted once nobody reads it.
    Doomed,
    /// Being deleted.
    Deleting,
}

/// One segment.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) name: SegmentName,
    pub(crate) salt: [u8; 32],
    pub(crate) live: u32,
    pub(crate) used: u32,
    pub(crate) stage: Stage,
    /// Reads under way.
    pub(crate) pins: u32,
    /// Damaged, so that it cannot be cleaned.
    pub(crate) unreadable: bool,
    sealer: Option<Arc<Sealer>>,
}

/// The most keys of segments that are held at once; deriving one again takes a few microseconds.
pub(crate) const MOST_KEYS: usize = 2048;

/// All of them, by slot.
#[derive(Debug)]
pub(crate) struct Segments {
    slots: Vec<Option<Segment>>,
    volume: [u8; 16],
    suite: Suite,
    ring: Ring,
    count: u32,
    live: u64,
    most: u32,
    keys: usize,
}

impl Segments {
    pub(crate) fn new(geometry: Geometry, volume: [u8; 16], suite: Suite, ring: Ring) -> Self {
        Segments {
            slots: Vec::new(),
            volume,
            suite,
            ring,
            count: 0,
            live: 0,
            most: geometry.slots(),
            keys: 0,
        }
    }

    /// From here on these keys and this geometry hold.
    pub(crate) fn have(&mut self, ring: &Ring, geometry: Geometry) {
        self.ring = ring.clone();
        self.most = geometry.slots();
    }

    /// Segments on the store, or on their way there.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// Live cells in all.
    pub(crate) fn live(&self) -> u64 {
        self.live
    }

    pub(crate) fn get(&self, slot: Slot) -> Option<&Segment> {
        self.slots.get(slot.0 as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: Slot) -> Option<&mut Segment> {
        self.slots.get_mut(slot.0 as usize)?.as_mut()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Slot, &Segment)> {
        (0..)
            .map(Slot)
            .zip(&self.slots)
            .filter_map(|(slot, segment)| Some((slot, segment.as_ref()?)))
    }

    /// Gives a new segment the first free slot; none where there is none left.
    pub(crate) fn allot(&mut self, name: SegmentName, salt: [u8; 32]) -> Option<Slot> {
        let index = self
            .slots
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.slots.len());
        let slot = Slot(u32::try_from(index).ok().filter(|index| *index < self.most)?);
        self.put(
            slot,
            SegmentEntry {
                slot,
                live: 0,
                used: 0,
                name,
                salt,
            },
            Stage::Making,
        );
        Some(slot)
    }

    /// Puts a segment that was found on the store into its slot; none where the slot is taken or out of range.
    pub(crate) fn restore(&mut self, entry: SegmentEntry, stage: Stage) -> Option<()> {
        let free = entry.slot.0 < self.most && self.get(entry.slot).is_none();
        free.then(|| self.put(entry.slot, entry, stage))
    }

    fn put(&mut self, slot: Slot, entry: SegmentEntry, stage: Stage) {
        let index = slot.0 as usize;
        if self.slots.len() <= index {
            self.slots.resize_with(index + 1, || None);
        }
        if let Some(place) = self.slots.get_mut(index) {
            *place = Some(Segment {
                name: entry.name,
                salt: entry.salt,
                live: entry.live,
                used: entry.used,
                stage,
                pins: 0,
                unreadable: false,
                sealer: None,
            });
            self.count += 1;
            self.live += u64::from(entry.live);
        }
    }

    /// Forgets a segment, whose slot is free again.
    pub(crate) fn forget(&mut self, slot: Slot) {
        if let Some(segment) = self.slots.get_mut(slot.0 as usize).and_then(Option::take) {
            self.count -= 1;
            self.live -= u64::from(segment.live);
        }
    }

    /// The segment's key, derived when it is first asked for.
    pub(crate) fn sealer(&mut self, slot: Slot) -> Outcome<Arc<Sealer>> {
        let (suite, volume) = (self.suite, self.volume);
        let segment = self
            .get_mut(slot)
            .ok_or_else(|| Fault::corrupt("the map", "it names a segment that is not there"))?;
        if let Some(sealer) = &segment.sealer {
            return Ok(Arc::clone(sealer));
        }
        if self.keys >= MOST_KEYS {
            self.forget_keys();
        }
        let ring = self.ring.clone();
        let segment = self
            .get_mut(slot)
            .ok_or_else(|| Fault::corrupt("the map", "it names a segment that is not there"))?;
        let sealer = Sealer::new(ring.of(segment.name), suite, &segment.salt, volume, segment.name)
            .map_err(Fault::memory)?;
        let sealer = Arc::new(sealer);
        segment.sealer = Some(Arc::clone(&sealer));
        self.keys += 1;
        Ok(sealer)
    }

    /// Wipes the keys of segments that nothing is reading or writing just now.
    fn forget_keys(&mut self) {
        for segment in self.slots.iter_mut().flatten() {
            segment.sealer.take_if(|sealer| Arc::strong_count(sealer) == 1);
        }
        self.keys = self
            .slots
            .iter()
            .flatten()
            .filter(|segment| segment.sealer.is_some())
            .count();
    }

    /// One more live cell.
    pub(crate) fn gain(&mut self, slot: Slot) {
        if let Some(segment) = self.get_mut(slot) {
            segment.live += 1;
            self.live += 1;
        }
    }

    /// One live cell less.
    pub(crate) fn lose(&mut self, slot: Slot) {
        if let Some(segment) = self.get_mut(slot) {
            debug_assert!(segment.live > 0, "{slot:?} has fewer than no live cells");
            segment.live = segment.live.saturating_sub(1);
            self.live = self.live.saturating_sub(1);
        }
    }

    /// The entries of a checkpoint whose first record is in the segment `from`: all that it needs. Those that it
    /// does not need are answered too: they may go once it is the head's.
    pub(crate) fn for_checkpoint(&self, from: u64) -> (Vec<SegmentEntry>, Vec<Slot>) {
        let (mut needed, mut idle) = (Vec::new(), Vec::new());
        for (slot, segment) in self.iter() {
            let empty = segment.live == 0 && segment.name.sequence < from;
            match segment.stage {
                Stage::Closed if empty => idle.push(slot),
                Stage::Open | Stage::Closed => needed.push(SegmentEntry {
                    slot,
                    live: segment.live,
                    used: segment.used,
                    name: segment.name,
                    salt: segment.salt,
                }),
                Stage::Making | Stage::Ready | Stage::Doomed | Stage::Deleting => {}
            }
        }
        (needed, idle)
    }
}
