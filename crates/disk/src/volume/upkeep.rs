//! Upkeep: checkpoints, cleaning, room for writes. One thread at a time.

use super::{Volume, scan::Scan};
use crate::{
    fault::{Fault, Outcome},
    format::record::Kind,
    geometry::{Place, Slot},
    log::{Blocked, Haste, MOST_VICTIMS, Step, Victim},
    store::Store,
};
use std::{
    sync::{PoisonError, atomic::Ordering},
    time::Duration,
};

/// Pages that a checkpoint seals before it lets writes in between.
const PAGES_AT_ONCE: usize = 128;

/// How long upkeep of its own accord waits for those who need a turn to have taken it.
const STAND_BACK: Duration = Duration::from_micros(100);

/// How often a write on a store that is short of room cleans before it fails.
const MOST_ROUNDS: usize = 16;

impl<S: Store> Volume<S> {
    /// Does what is worth doing now; answers whether there was anything.
    ///
    /// # Errors
    /// What closes the volume for good; [`Fault::Full`] and damage are not among them.
    pub fn tend(&self) -> Outcome<bool> {
        // Who waits for a turn gets it before the one who had the last: a mutex alone does not see to that.
        while self.upkeep_wanted.load(Ordering::SeqCst) > 0 {
            self.alive()?;
            std::thread::sleep(STAND_BACK);
        }
        let _turn = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        let mut done = self.leisure()?;
        let (release, clean, checkpoint) = {
            let log = self.lock();
            (log.wants_release(), log.wants_cleaning(), log.wants_checkpoint())
        };
        let before = self.lock().used();
        let cleaned = clean && !release && self.clean_some()?;
        // Beside cleaning too: what is cold would wait as long as anything is written.
        let rotated = !release && self.rotate_some()?;
        if release || checkpoint || cleaned || rotated {
            match self.checkpoint(false) {
                Ok(()) => done = true,
                Err(Fault::Full) => {}
                Err(fault) => return Err(fault),
            }
            self.leisure()?;
        }
        if cleaned {
            self.lock().note_cleaned(before);
        }
        Ok(done)
    }

    /// Makes room for writes; answers whether one may go on.
    pub(super) fn make_room(&self) -> Outcome<bool> {
        let _turn = self.take_turn();
        // A store that could not make a segment just now may be able to: it is asked once more before a write fails.
        let mut last = false;
        for _ in 0..MOST_ROUNDS {
            self.lock().try_room_again();
            self.leisure()?;
            if self.lock().has_room() {
                return Ok(true);
            }
            let (idle, pays, before) = {
                let log = self.lock();
                (log.has_idle(), log.cleaning_pays(), log.used())
            };
            let cleaned = !idle && pays && self.clean_some()?;
            if !idle && !cleaned {
                if last {
                    break;
                }
                last = true;
                continue;
            }
            match self.checkpoint(false) {
                Ok(()) => {}
                Err(Fault::Full) => break,
                Err(fault) => return Err(fault),
            }
            self.leisure()?;
            let mut log = self.lock();
            if !idle {
                log.note_cleaned(before);
            }
            if log.let_pass() {
                return Ok(true);
            }
        }
        Ok(self.lock().let_pass())
    }

    /// Sees to it that the next opening finds room for its checkpoint, so far as there is anything to clean: a volume
    /// that is opened and killed time and again takes a segment each time.
    pub(super) fn leave_room_to_open(&self) -> Outcome {
        while self.lock().wants_first_segment() {
            self.do_one(Haste::Make)?;
        }
        if self.lock().has_room() {
            return Ok(());
        }
        match self.make_room() {
            Err(fault) if self.alive().is_err() => Err(fault),
            Err(fault) => {
                self.report(&fault);
                Ok(())
            }
            Ok(_) => Ok(()),
        }
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

    /// Cleans as many segments as one checkpoint lets go; answers whether anything was cleaned, be it in part.
    fn clean_some(&self) -> Outcome<bool> {
        let mut done = Vec::new();
        while done.len() < MOST_VICTIMS {
            let Some(victim) = self.lock().choose_victim(&done)? else {
                break;
            };
            done.push(victim.slot);
            if !self.clean_one(&victim)? || !self.lock().wants_cleaning() {
                break;
            }
        }
        Ok(!done.is_empty())
    }

    /// Moves all that is alive in a segment to the tail, and unpins it; answers whether all of it was.
    pub(super) fn clean_one(&self, victim: &Victim) -> Outcome<bool> {
        let cleaned = self.clean(victim);
        self.lock().unpin(victim.slot);
        match cleaned {
            Ok(()) => Ok(true),
            Err(Fault::Full) => Ok(false),
            // A segment that cannot be read stays, and whoever reads the block hears of it. A write that failed has closed
            // the volume.
            Err(fault @ (Fault::Corrupt { .. } | Fault::Store { .. })) if self.alive().is_ok() => {
                self.report(&fault);
                self.lock().spare(victim.slot);
                Ok(false)
            }
            Err(fault) => Err(fault),
        }
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
