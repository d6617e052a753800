//! Cleaning: segments with little left alive have that moved to the tail, and go with the next checkpoint.

use super::{Blocked, Log, Purpose, segments::Stage};
use crate::{
    fault::Outcome,
    format::{Sealer, record::Kind},
    geometry::{Place, SegmentName, Slot},
};
use std::{ops::Range, sync::Arc};

/// Cleaning begins when the space used is so many thousandths of what the live cells need …
const BEGIN: u64 = 1280;
/// … and so many segments more.
const BEGIN_SLACK: u64 = 5;
/// Writes from above wait for cleaning when it is this many thousandths …
const WAIT: u64 = 1330;
/// … and so many segments more. With the cells' own overhead this stays below 1.4 times the live data.
const WAIT_SLACK: u64 = 8;

/// A segment that is being cleaned. It is pinned until [`Log::unpin`].
#[derive(Debug, Clone)]
pub(crate) struct Victim {
    pub(crate) slot: Slot,
    pub(crate) name: SegmentName,
    /// Where its records lie.
    pub(crate) records: Range<u32>,
    pub(crate) sealer: Arc<Sealer>,
}

impl Log {
    fn allowed(&self, thousandths: u64, slack: u64) -> u64 {
        let cells = u64::from(self.geometry().cells().max(1));
        (self.segments.live() * thousandths / 1000).div_ceil(cells) + slack
    }

    /// Segments that cleaning can do something about: damaged ones must not keep writers waiting for ever.
    fn accountable(&self) -> u64 {
        let damaged = self.segments.iter().filter(|(_, segment)| segment.unreadable);
        u64::from(self.segments.count()).saturating_sub(damaged.count() as u64)
    }

    /// Whether writes from above must wait for cleaning.
    pub(super) fn is_over_budget(&self) -> bool {
        self.accountable() > self.allowed(WAIT, WAIT_SLACK)
    }

    /// Whether a write from above would find room.
    pub(crate) fn has_room(&self) -> bool {
        !self.is_over_budget() && (self.ready.len() > super::tail::RESERVE || !self.no_room)
    }

    /// Whether a segment should be cleaned now.
    pub(crate) fn wants_cleaning(&self) -> bool {
        let idle = self
            .segments
            .iter()
            .filter(|(slot, segment)| self.is_idle(*slot) || segment.stage == Stage::Doomed)
            .count() as u64;
        self.accountable().saturating_sub(idle) > self.allowed(BEGIN, BEGIN_SLACK)
            || (self.no_room && self.ready.len() <= super::tail::RESERVE && idle == 0)
    }

    /// Whether a checkpoint alone would make room.
    pub(crate) fn has_idle(&self) -> bool {
        self.segments.iter().any(|(slot, _)| self.is_idle(slot))
    }

    /// How much space a checkpoint would free, in segments, against what is used.
    pub(crate) fn wants_release(&self) -> bool {
        let idle = self
            .segments
            .iter()
            .filter(|(slot, _)| self.is_idle(*slot))
            .count() as u64;
        let used = self.accountable();
        idle > 0
            && (used > self.allowed(BEGIN, BEGIN_SLACK)
                || (self.no_room && self.ready.len() <= super::tail::RESERVE))
    }

    /// The segment whose cleaning pays best: much dead, and old enough for the rest to stay (the cost-benefit rule
    /// of Rosenblum and Ousterhout's log-structured file system, 1992).
    pub(crate) fn choose_victim(&mut self) -> Outcome<Option<Victim>> {
        let cells = u64::from(self.geometry().cells());
        let newest = self.next_sequence;
        let pays = |(slot, segment): (Slot, &super::segments::Segment)| {
            let live = u64::from(segment.live);
            if segment.stage != Stage::Closed || segment.unreadable || live == 0 || live >= cells {
                return None;
            }
            let age = newest.saturating_sub(segment.name.sequence).min(1 << 20);
            let worth = (cells - live) * age * 1024 / (cells + live);
            Some((worth, slot, segment.name, segment.used))
        };
        let best = self
            .segments
            .iter()
            .filter_map(pays)
            .max_by_key(|(worth, ..)| *worth);
        let Some((_, slot, name, used)) = best else {
            return Ok(None);
        };
        let sealer = self.segments.sealer(slot)?;
        if let Some(segment) = self.segments.get_mut(slot) {
            segment.pins += 1;
        }
        Ok(Some(Victim {
            slot,
            name,
            records: self.geometry().align..used,
            sealer,
        }))
    }

    /// Leaves a segment out of the choice from now on: it cannot be read whole.
    pub(crate) fn spare(&mut self, slot: Slot) {
        if let Some(segment) = self.segments.get_mut(slot) {
            segment.unreadable = true;
        }
    }

    /// Whether a cell that was found at a place is what the map has. A page of the map that is alive is marked to be
    /// written again, which is all that it needs.
    pub(crate) fn is_live(&mut self, kind: Kind, number: u64, place: Place) -> Result<bool, Blocked> {
        match kind {
            Kind::Data => {
                let blocks = self.geometry().blocks;
                if number >= blocks {
                    return Ok(false);
                }
                if let Some((number, at)) = self.map.missing(number..number + 1) {
                    return Err(Blocked::Page { number, at });
                }
                Ok(self.map.get(number) == place)
            }
            Kind::Page => {
                let number = u32::try_from(number).unwrap_or(u32::MAX);
                if self.map.page_place(number) == place {
                    if !self.map.is_resident(number) {
                        return Err(Blocked::Page { number, at: place });
                    }
                    self.map.touch(number);
                }
                Ok(false)
            }
            Kind::Discard | Kind::Checkpoint | Kind::Close => Ok(false),
        }
    }

    /// Moves a block to the tail, if it still is where it was found.
    pub(crate) fn relocate(
        &mut self,
        number: u64,
        from: Place,
        block: &[u8],
    ) -> Outcome<Result<(), Blocked>> {
        match self.is_live(Kind::Data, number, from) {
            Err(blocked) => return Ok(Err(blocked)),
            Ok(false) => return Ok(Ok(())),
            Ok(true) => {}
        }
        Ok(self.put_blocks(number, block, Purpose::Upkeep)?.map(|_| ()))
    }
}
