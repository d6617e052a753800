//! Writes and discards.

use super::{Flushed, Volume};
use crate::{
    fault::{Fault, Outcome},
    geometry::BLOCK,
    log::{Blocked, Haste},
    store::Store,
};

impl<S: Store> Volume<S> {
    /// Writes at `offset`; offset and length are multiples of 4096. It is on stable storage after the next
    /// [`Volume::flush`], as with a disk's write cache.
    ///
    /// # Errors
    /// [`Fault::Full`], [`Fault::Failed`], [`Fault::Fenced`], [`Fault::Store`].
    pub fn write(&self, offset: u64, data: &[u8]) -> Outcome {
        self.alive()?;
        let (mut first, _) = self.range(offset, data.len() as u64)?;
        let mut rest = data;
        while !rest.is_empty() {
            let (taken, upkeep) = {
                let mut log = self.lock();
                let taken = log.write(first, rest)?;
                if taken == Ok(rest.len() / BLOCK) {
                    log.close_record();
                }
                (taken, log.take_upkeep_sign())
            };
            self.stir_keeper(upkeep);
            match taken {
                Ok(count) => {
                    first += count as u64;
                    rest = rest.get(count * BLOCK..).unwrap_or_default();
                }
                Err(blocked) => self.unblock(blocked)?,
            }
        }
        Ok(())
    }

    /// As [`Volume::write`], for a disk without a write cache: `then` is told once, when the bytes are on stable storage or
    /// could not be brought there. What is to be done for that is left to [`Volume::hasten`].
    pub fn write_durably(&self, offset: u64, data: &[u8], then: Flushed) {
        match self.write(offset, data) {
            Ok(()) => self.when_durable(then),
            Err(fault) => then(Err(fault)),
        }
    }

    /// As [`Volume::discard`], told as of [`Volume::write_durably`].
    pub fn discard_durably(&self, offset: u64, length: u64, then: Flushed) {
        match self.discard(offset, length) {
            Ok(()) => self.when_durable(then),
            Err(fault) => then(Err(fault)),
        }
    }

    /// Forgets what blocks hold; they read as zeros.
    ///
    /// # Errors
    /// As for [`Volume::write`].
    pub fn discard(&self, offset: u64, length: u64) -> Outcome {
        self.alive()?;
        let (mut first, mut count) = self.range(offset, length)?;
        while count > 0 {
            let (done, upkeep) = {
                let mut log = self.lock();
                (log.discard(first, count)?, log.take_upkeep_sign())
            };
            self.stir_keeper(upkeep);
            match done {
                Ok(done) => {
                    first += done;
                    count -= done.min(count);
                    if count == 0 {
                        self.lock().close_record();
                    }
                }
                Err(blocked) => self.unblock(blocked)?,
            }
        }
        Ok(())
    }

    /// Writes to the store what is ready for it, and what a flush will soon ask for. For a thread that has answered whoever
    /// wrote, so that nobody waits for it; without it the same is done by the next flush, or once all buffers are full.
    ///
    /// # Errors
    /// As for [`Volume::write`]; then the volume is closed for good, and whoever comes next hears of it.
    pub fn settle(&self) -> Outcome {
        self.alive()?;
        self.lock().anticipate_flush();
        while self.do_one(Haste::Append)? {}
        Ok(())
    }

    /// Does what there is to do until a record is on stable storage.
    pub(super) fn until_durable(&self, upto: crate::geometry::Lsn) -> Outcome {
        loop {
            if self.lock().is_durable(upto) {
                return Ok(());
            }
            if !self.do_one(Haste::Sync)? {
                let log = self.lock();
                // Looked at again under the lock: what ends in between is not missed.
                if !log.is_durable(upto) && log.is_moving() {
                    drop(self.wait(log));
                }
            }
        }
    }

    /// Does what something waits for, or waits for whoever does it.
    pub(super) fn unblock(&self, blocked: Blocked) -> Outcome {
        self.alive()?;
        match blocked {
            Blocked::Page { number, at } => self.load_page(number, at),
            Blocked::Space => {
                if self.make_room()? {
                    return Ok(());
                }
                Err(Fault::Full)
            }
            Blocked::Buffers | Blocked::Segment => {
                if !self.do_one(Haste::Make)? {
                    let log = self.lock();
                    if log.is_moving() {
                        drop(self.wait(log));
                    }
                }
                Ok(())
            }
        }
    }
}
