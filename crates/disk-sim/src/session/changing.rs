//! Another key, and a larger disk.

use super::{KeyState, Session, Went};
use crate::Wrong;
use cofferdam_disk::{BLOCK, Geometry};

impl Session {
    pub(super) fn rotate(&mut self) -> Result<Went, Wrong> {
        if self.keys.is_rotating() {
            return Ok(Went::On);
        }
        self.keys = self.keys.next();
        let key = self.keys.key()?;
        match self.volume()?.rotate(key) {
            Ok(()) => {
                self.keys.begin();
                Ok(Went::On)
            }
            Err(fault) => match self.excuse(&fault, "rotate")? {
                Went::On => Err(Wrong::new(format!("it needs no room, and says: {fault}"))),
                Went::Down => Ok(Went::Down),
            },
        }
    }

    /// Forgets the key before once the volume says that nothing is under it.
    pub(super) fn look_at_rotation(&mut self) -> Result<(), Wrong> {
        if self.keys.is_rotating() && !self.store.is_dead() && self.volume()?.rotation().is_none() {
            self.keys.end();
        }
        Ok(())
    }

    pub(super) fn grow(&mut self, blocks: usize) -> Result<Went, Wrong> {
        let Geometry { segment, align, .. } = self.ground.geometry;
        if Geometry::new(blocks as u64, segment, align).is_none() {
            return Ok(Went::On);
        }
        if let Err(fault) = self.volume()?.grow((blocks * BLOCK) as u64) {
            return self.excuse(&fault, "grow");
        }
        self.look_at_size()?;
        if self.oracle.blocks() != blocks {
            return Err(Wrong::new("it has not grown"));
        }
        Ok(Went::On)
    }

    /// Takes over the size that the disk has: growing may have come to its end before its process did.
    pub(super) fn look_at_size(&mut self) -> Result<(), Wrong> {
        let blocks = self.volume()?.size() / BLOCK as u64;
        self.ground.geometry.blocks = blocks;
        self.oracle.grow(usize::try_from(blocks).unwrap_or(usize::MAX))
    }

    /// The keys, as whoever keeps them remembers them.
    pub fn keys(&self) -> KeyState {
        self.keys
    }
}
