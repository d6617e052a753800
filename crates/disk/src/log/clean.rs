//! Cleaning: segments with little left alive have that moved to the tail, and go with the next checkpoint.

use super::{Blocked, Log, Purpose, segments::Stage};
use crate::{
    fault::{Fault, Outcome},
    format::{Sealer, record::Kind},
    geometry::{CELL, Place, SegmentName, Slot},
};
use std::{ops::Range, sync::Arc};

/// Cleaning begins when the space used is so many thousandths of what the live cells need …
const BEGIN: u64 = 1260;
/// … and so many segments more.
const BEGIN_SLACK: u64 = 8;
/// Writes from above wait for cleaning when it is this many thousandths …
const WAIT: u64 = 1300;
/// … and so many segments more. With the cells' own overhead this stays below 1.4 times the live data.
const WAIT_SLACK: u64 = 11;

/// How many files of deleted segments wait to be used again at most: writing them again is twice as fast as new ones.
const SPARES: usize = 16;
/// … and where space is what is short.
pub(crate) const FEW_SPARES: usize = 4;

/// The most segments that are cleaned before a checkpoint lets them go.
pub(crate) const MOST_VICTIMS: usize = 8;

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

    /// How many files of deleted segments may wait to be used again: many as long as that is not what fills the space
    /// that the live data is allowed, or three quarters of what the disk may come to.
    pub(super) fn spares(&self) -> usize {
        let disk = self.geometry().blocks / u64::from(self.geometry().cells().max(1));
        let most = self.allowed(WAIT, WAIT_SLACK).max(disk / 4 * 3);
        if u64::from(self.segments.count()) + SPARES as u64 <= most {
            SPARES
        } else {
            FEW_SPARES
        }
    }

    /// How many ready segments are left to those who need them more.
    pub(super) fn reserve(&self, purpose: Purpose) -> usize {
        let checkpoint = match purpose {
            Purpose::Opening | Purpose::Release | Purpose::Checkpoint => 0,
            Purpose::Clean | Purpose::Discard | Purpose::Write => {
                self.cells_for_checkpoint() / u64::from(self.geometry().cells().max(1))
            }
        };
        purpose.leaves() + usize::try_from(checkpoint).unwrap_or(0)
    }

    /// Whether writes from above must wait for cleaning.
    pub(super) fn is_over_budget(&self) -> bool {
        self.accountable() > self.allowed(WAIT, WAIT_SLACK)
    }

    /// Whether the store has no room for more than what is reserved.
    fn is_short(&self) -> bool {
        self.no_room && self.ready.len() <= self.reserve(Purpose::Write)
    }

    /// Whether a write from above would find room.
    pub(crate) fn has_room(&self) -> bool {
        !self.is_over_budget() && !self.is_short()
    }

    /// Whether not even one segment is ready, and there may be room for it.
    pub(crate) fn wants_first_segment(&self) -> bool {
        self.ready.is_empty() && !self.no_room
    }

    /// Lets one write pass that has cleaned and yet finds more space used than should be, if the store has room:
    /// too much space is no reason to fail it.
    pub(crate) fn let_pass(&mut self) -> bool {
        self.grace = !self.is_short();
        self.grace
    }

    /// Whether a segment should be cleaned now.
    pub(crate) fn wants_cleaning(&self) -> bool {
        let idle = self
            .segments
            .iter()
            .filter(|(slot, segment)| self.is_idle(*slot) || segment.stage == Stage::Doomed)
            .count() as u64;
        let much = self.accountable().saturating_sub(idle) > self.allowed(BEGIN, BEGIN_SLACK);
        (much || (self.is_short() && idle == 0)) && self.cleaning_pays()
    }

    /// Bytes of records in segments.
    pub(crate) fn used(&self) -> u64 {
        self.segments
            .iter()
            .map(|(_, segment)| u64::from(segment.used))
            .sum()
    }

    fn dead(&self) -> u64 {
        self.used().saturating_sub(self.segments.live() * CELL as u64)
    }

    /// A round of cleaning has ended in a checkpoint; `before` was [`Log::used`]. Where it freed next to nothing, the
    /// next one waits until there is more to free.
    pub(crate) fn note_cleaned(&mut self, before: u64) {
        let futile = self.used() + u64::from(self.geometry().segment / 4) > before;
        self.futile = futile.then(|| self.dead());
    }

    /// Whether cleaning would free more than it takes: else it would go on for ever.
    pub(crate) fn cleaning_pays(&self) -> bool {
        let segment = u64::from(self.geometry().segment);
        if self.futile.is_some_and(|dead| self.dead() < dead + segment) {
            return false;
        }
        let cells = u64::from(self.geometry().cells());
        let mut dead: Vec<_> = self
            .segments
            .iter()
            .filter(|(slot, segment)| self.can_be_cleaned(*slot, segment))
            .map(|(_, segment)| cells - u64::from(segment.live).min(cells))
            .collect();
        dead.sort_unstable_by(|a, b| b.cmp(a));
        dead.iter().take(MOST_VICTIMS).sum::<u64>() >= cells + self.cells_for_checkpoint()
    }

    /// Whether there is something in a segment to clean, and all of it is on the store.
    fn can_be_cleaned(&self, slot: Slot, segment: &super::segments::Segment) -> bool {
        let (live, cells) = (u64::from(segment.live), u64::from(self.geometry().cells()));
        segment.stage == Stage::Closed
            && !segment.unreadable
            && live > 0
            && live * 10 <= cells * 9
            && !self.pending.iter().any(|record| record.is_in(slot))
    }

    /// Whether a checkpoint alone would make room.
    pub(crate) fn has_idle(&self) -> bool {
        self.segments.iter().any(|(slot, _)| self.is_idle(slot))
    }

    /// Whether room is wanted that a checkpoint alone would make.
    pub(crate) fn wants_release(&self) -> bool {
        let used = self.accountable();
        self.has_idle() && (used > self.allowed(BEGIN, BEGIN_SLACK) || self.is_short())
    }

    /// The segment whose cleaning pays best: much dead, and old enough for the rest to stay (the cost-benefit rule
    /// of Rosenblum and Ousterhout's log-structured file system, 1992); where the store is short of room, the one
    /// with the most dead. Not one of `done`.
    pub(crate) fn choose_victim(&mut self, done: &[Slot]) -> Outcome<Option<Victim>> {
        let cells = u64::from(self.geometry().cells());
        let (newest, short) = (self.next_sequence, self.is_short());
        let pays = |(slot, segment): (Slot, &super::segments::Segment)| {
            if done.contains(&slot) || !self.can_be_cleaned(slot, segment) {
                return None;
            }
            let live = u64::from(segment.live).min(cells);
            let age = newest.saturating_sub(segment.name.sequence).min(1 << 20);
            let worth = if short {
                cells - live
            } else {
                (cells - live) * age * 1024 / (cells + live)
            };
            Some((worth, slot))
        };
        let best = self
            .segments
            .iter()
            .filter_map(pays)
            .max_by_key(|(worth, _)| *worth);
        let Some((_, slot)) = best else {
            return Ok(None);
        };
        self.victim(slot).map(Some)
    }

    /// A segment that is to be cleaned, pinned.
    pub(super) fn victim(&mut self, slot: Slot) -> Outcome<Victim> {
        let sealer = self.segments.sealer(slot)?;
        let segment = self
            .segments
            .get_mut(slot)
            .ok_or(Fault::Invalid("a segment that is not there"))?;
        segment.pins += 1;
        let (name, used) = (segment.name, segment.used);
        Ok(Victim {
            slot,
            name,
            records: self.geometry().align..used,
            sealer,
        })
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
        Ok(self.put_blocks(number, block, Purpose::Clean)?.map(|_| ()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Haste,
        scene::{act, log},
    };
    use super::*;
    use crate::geometry::BLOCK;

    #[test]
    fn spare_files_are_few_where_they_would_fill_what_the_live_data_is_allowed() {
        // Cells of some 68 segments.
        let mut log = log(1024, 4);
        while act(&mut log, Haste::Leisure) {}
        assert_eq!(log.spares(), SPARES, "an empty disk");
        'writing: for block in (0..900).cycle() {
            loop {
                match log.write(block, &[1; BLOCK]).unwrap() {
                    Ok(_) => break,
                    Err(Blocked::Space) => break 'writing,
                    Err(_) => assert!(act(&mut log, Haste::Make), "it waits for nothing"),
                }
            }
            log.close_record();
        }
        let most = log.allowed(WAIT, WAIT_SLACK);
        assert!(u64::from(log.segments.count()) + SPARES as u64 > most);
        assert_eq!(log.spares(), FEW_SPARES, "written over and not cleaned");
    }
}
