//! A volume opened again after its process has ended, perhaps after several openings that died.

use super::{Session, everything, options};
use crate::{
    Wrong,
    store::{Faults, SimStore},
};
use cofferdam_disk::{Arena, Fault, Rescue, Volume, volume::Succession};
use std::{io, os::fd::OwnedFd};

/// How a volume is opened again.
#[derive(Debug, Clone, Default)]
pub struct Opening {
    /// Whether the power failed: then nothing is left in memory either.
    pub power: bool,
    /// The acts at which openings die before one comes through, and whether the power fails with them.
    pub deaths: Vec<(u64, bool)>,
    /// Whether the newest witness is held against it.
    pub with_witness: bool,
    /// Whether its memory is to outlive it.
    pub with_arena: bool,
}

/// A volume, and what a successor would find.
type Opened = (Volume<SimStore>, Option<OwnedFd>);

impl Session {
    /// Opens the volume after its process has ended; then everything is read.
    ///
    /// # Errors
    /// What the engine did wrong.
    pub fn recover(&mut self, opening: &Opening) -> Result<(), Wrong> {
        self.volume = None;
        self.end(opening.power);
        let power = opening.deaths.iter().any(|(_, power)| *power);
        if self.arena.is_some() && !power && self.faults.write_error_at.is_none() {
            self.oracle.outlived();
        }
        let carried = self.carry();
        let mut deaths = carried.iter().map(|at| (*at, true)).chain(opening.deaths.clone());
        let (volume, arena) = loop {
            let death = deaths.next();
            self.faults = Faults {
                crash_at: death.map(|(act, _)| act),
                ..Faults::default()
            };
            self.store = self.store.again(self.faults);
            match self.open(opening)? {
                Ok(opened) if !self.store.is_dead() => break opened,
                Err(fault) if !self.store.is_dead() => return Err(Wrong::new(format!("open: {fault}"))),
                _ => {
                    self.carried = None;
                    self.end(death.is_some_and(|(_, power)| power));
                }
            }
        };
        // It came through before its death: that is called off, or put off.
        match self.carry() {
            Some(at) => self.order_death(at),
            None => self.order(Faults::default()),
        }
        (self.volume, self.arena) = (Some(volume), arena);
        self.look_at_size()?;
        let moment = self.oracle.explains(&everything(self.volume()?, false)?)?;
        self.oracle.went_back_to(moment);
        self.witness = Some(self.volume()?.witness());
        if self.keys.is_rotating() {
            self.keys.begin();
        }
        self.look_at_rotation()
    }

    /// The ordered death, as the next process counts its acts.
    fn carry(&mut self) -> Option<u64> {
        let (acts, _) = self.store.counts();
        self.carried = self.carried.filter(|_| !self.store.is_dead());
        self.carried = self.carried.map(|at| at.saturating_sub(acts));
        self.carried
    }

    fn open(&self, opening: &Opening) -> Result<Result<Opened, Fault>, Wrong> {
        let broken = |error: io::Error| Wrong::new(error.to_string());
        let mut options = options(&self.ground, self.witness);
        options.witness = options.witness.filter(|_| opening.with_witness);
        let rescue = self.arena.as_ref().map(OwnedFd::try_clone).transpose();
        let rescue = rescue.map_err(broken)?.map(Rescue::new).into_iter().collect();
        let (file, arena) = if opening.with_arena {
            let (file, arena) = Arena::new(self.ground.memory.buffers).map_err(broken)?;
            (Some(file), Some(arena))
        } else {
            (None, None)
        };
        let succession = Succession { arena, rescue };
        let volume = Volume::succeed(self.store.clone(), self.keys.keys()?, &options, succession);
        Ok(volume.map(|volume| (volume, file)))
    }
}
