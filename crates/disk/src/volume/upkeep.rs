//! Upkeep: checkpoints, cleaning, room for writes. One thread at a time.

use super::{Volume, scan::Scan};
use crate::{
    fault::{Fault, Outcome},
    format::record::Kind,
    geometry::{Place, Slot},
    log::{Blocked, Haste, Step, Victim},
    store::Store,
};
use std::sync::PoisonError;

/// Pages that a checkpoint seals before it lets writes in between.
const PAGES_AT_ONCE: usize = 128;

/// The most segments that are cleaned before a checkpoint lets them go.
const MOST_VICTIMS: usize = 8;

impl<S: Store> Volume<S> {
    /// Does what is worth doing now; answers whether there was anything.
    ///
    /// # Errors
    /// What closes the volume for good; [`Fault::Full`] and damage are not among them.
    pub fn tend(&self) -> Outcome<bool> {
        let _turn = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        let mut done = self.leisure()?;
        let (release, clean, checkpoint) = {
            let log = self.lock();
            (log.wants_release(), log.wants_cleaning(), log.wants_checkpoint())
        };
        let cleaned = clean && !release && self.clean_some()?;
        done |= cleaned;
        // A page of the map that lived in what was cleaned moves with the checkpoint, and with nothing else.
        if release || checkpoint || cleaned || (clean && self.lock().has_idle()) {
            match self.checkpoint(false) {
                Ok(()) => done = true,
                Err(Fault::Full) => {}
                Err(fault) => return Err(fault),
            }
            self.leisure()?;
        }
        Ok(done)
    }

    /// Makes room for writes; answers whether there is more than before.
    pub(super) fn make_room(&self) -> Outcome<bool> {
        let _turn = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        let before = {
            let mut log = self.lock();
            log.try_room_again();
            log.segments.count()
        };
        self.leisure()?;
        if self.lock().has_room() {
            return Ok(true);
        }
        if !self.lock().has_idle() {
            self.clean_some()?;
        }
        match self.checkpoint(false) {
            Ok(()) | Err(Fault::Full) => {}
            Err(fault) => return Err(fault),
        }
        self.leisure()?;
        let log = self.lock();
        Ok(log.has_room() || log.segments.count() < before)
    }

    /// Does every action that there is.
    fn leisure(&self) -> Outcome<bool> {
        let mut any = false;
        while self.do_one(Haste::Leisure)? {
            any = true;
        }
        Ok(any)
    }

    /// Writes a checkpoint and moves the head. With `closing` nothing may be written afterwards.
    ///
    /// # Errors
    /// [`Fault::Full`] where there is no room for it: then it can go on later.
    pub(super) fn checkpoint(&self, closing: bool) -> Outcome {
        loop {
            let step = self.lock().checkpoint_step(PAGES_AT_ONCE, closing)?;
            match step {
                Ok(Step::More) => while self.do_one(Haste::Append)? {},
                Ok(Step::Sealed(upto)) => {
                    self.until_durable(upto)?;
                    break;
                }
                Err(Blocked::Space) => return Err(Fault::Full),
                Err(blocked) => self.unblock(blocked)?,
            }
        }
        while !self.lock().head_has_moved() {
            if !self.do_one(Haste::Leisure)? {
                let log = self.lock();
                if !log.head_has_moved() && log.is_moving() {
                    drop(self.wait(log));
                }
            }
        }
        Ok(())
    }

    /// Cleans until a checkpoint will free more than was written; answers whether anything was moved.
    fn clean_some(&self) -> Outcome<bool> {
        let mut any = false;
        for _ in 0..MOST_VICTIMS {
            let Some(victim) = self.lock().choose_victim()? else {
                break;
            };
            let cleaned = self.clean(&victim);
            self.lock().unpin(victim.slot);
            match cleaned {
                Ok(()) => any = true,
                Err(Fault::Full) => break,
                // A segment that cannot be read stays, and whoever reads the block hears of it. A write that failed
                // has closed the volume.
                Err(fault @ (Fault::Corrupt { .. } | Fault::Store { .. })) if self.alive().is_ok() => {
                    self.report(&fault);
                    self.lock().spare(victim.slot);
                    break;
                }
                Err(fault) => return Err(fault),
            }
            if !self.lock().wants_cleaning() {
                break;
            }
        }
        Ok(any)
    }

    /// Moves all that is alive in a segment to the tail.
    fn clean(&self, victim: &Victim) -> Outcome {
        let mut scan = Scan::new(&self.store, victim.name, &victim.sealer, victim.records.end);
        let mut offset = victim.records.start;
        while offset < victim.records.end {
            let Some((header, _)) = scan.header(offset)? else {
                return Err(Fault::at(victim.name, offset, "a record does not verify"));
            };
            let mut live = false;
            for (kind, number, place) in header.places(offset) {
                live |= self.is_live(kind, number, Place::new(victim.slot, place))?;
            }
            if live {
                scan.cells(offset, &header, |kind, number, place, block| match kind {
                    Kind::Data => self.move_block(number, victim.slot, place, block),
                    _ => Ok(()),
                })?;
            }
            offset += header.length;
        }
        Ok(())
    }

    fn is_live(&self, kind: Kind, number: u64, place: Place) -> Outcome<bool> {
        loop {
            let live = self.lock().is_live(kind, number, place);
            match live {
                Ok(live) => return Ok(live),
                Err(blocked) => self.unblock(blocked)?,
            }
        }
    }

    fn move_block(&self, number: u64, slot: Slot, offset: u32, block: &[u8]) -> Outcome {
        loop {
            let moved = self.lock().relocate(number, Place::new(slot, offset), block)?;
            match moved {
                Ok(()) => break,
                Err(Blocked::Space) => return Err(Fault::Full),
                Err(blocked) => self.unblock(blocked)?,
            }
        }
        while self.do_one(Haste::Append)? {}
        Ok(())
    }
}
