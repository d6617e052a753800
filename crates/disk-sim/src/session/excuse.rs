//! Which failures of the engine are right: those that were ordered, and those of a store without room.

use super::{Session, Went};
use crate::Wrong;
use cofferdam_disk::{BLOCK, Fault};

impl Session {
    /// Whether a failure is one that was ordered.
    pub(super) fn excuse(&self, fault: &Fault, act: &str) -> Result<Went, Wrong> {
        let wrong = || Err(Wrong::new(format!("{act}: {fault}")));
        match fault {
            _ if self.store.is_dead() => Ok(Went::Down),
            Fault::Full if self.is_full()? => Ok(Went::On),
            Fault::Store { .. } if self.faults.write_error_at.is_some() => {
                // What failed once must not be acknowledged ever after.
                if self.volume()?.flush().is_ok() {
                    return Err(Wrong::new(format!(
                        "a flush was acknowledged after {act}: {fault}"
                    )));
                }
                Ok(Went::Down)
            }
            Fault::Store { .. } if self.faults.read_error_at.is_some() => Ok(Went::On),
            _ => wrong(),
        }
    }

    /// Whether the store has so little room that a write may fail.
    fn is_full(&self) -> Result<bool, Wrong> {
        if self.ground.room > 1 << 20 {
            return Ok(false);
        }
        let usage = self.volume()?.usage();
        let cells = u64::from(self.ground.geometry.cells());
        // Room that nobody can be promised: ready segments, the tail, checkpoints.
        let room = self.ground.room.saturating_sub(12) as u64 * cells;
        Ok(usage.live_cells * 10 >= room * 6)
    }

    /// At rest no more space is used than is allowed.
    pub(super) fn within_space(&self) -> Result<Went, Wrong> {
        let usage = self.volume()?.usage();
        let segment = u64::from(usage.segment_bytes);
        let used = u64::from(usage.segments) * segment;
        let most = usage.live_cells * BLOCK as u64 * 14 / 10 + 14 * segment;
        if used > most {
            return Err(Wrong::new(format!("too much space is used: {usage:?}")));
        }
        Ok(Went::On)
    }
}
