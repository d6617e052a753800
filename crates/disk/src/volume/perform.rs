//! Doing the log's actions: outside of the lock, by whichever thread would otherwise wait for them.

use super::Volume;
use crate::{
    fault::{Fault, Outcome},
    log::{Action, Haste},
    store::Store,
};
use std::io;

/// So many actions for others at a time: a thread must be seen to get on, and the keeper has work of its own.
const MOST_LED: usize = 64;

impl<S: Store> Volume<S> {
    /// Does one action, and then what flushes wait for; answers whether there was one.
    ///
    /// # Errors
    /// Whatever closes the volume for good: a write, a sync or a head that failed.
    pub(super) fn do_one(&self, haste: Haste) -> Outcome<bool> {
        let any = self.do_next(haste)?;
        if any {
            self.go_on()?;
        }
        Ok(any)
    }

    /// Does some of what flushes wait for, where no other thread does: whoever waits for one has gone away, so the thread that ends
    /// an action does what comes next for it. Answers whether there is more: then the thread must call this again before it
    /// waits for anything.
    ///
    /// # Errors
    /// As [`Volume::hasten`].
    pub fn go_on(&self) -> Outcome<bool> {
        for _ in 0..MOST_LED {
            if !self.flushes.are_awaited() || !self.do_next(Haste::Sync)? {
                return Ok(false);
            }
        }
        Ok(self.flushes.are_awaited())
    }

    fn do_next(&self, haste: Haste) -> Outcome<bool> {
        self.alive()?;
        let action = {
            let mut log = self.lock();
            if haste >= Haste::Make && log.wants_salt() {
                let mut salt = [0; 32];
                (self.entropy)(&mut salt).map_err(Fault::store("give random numbers"))?;
                log.offer_salt(salt);
            }
            log.next_action(haste)?
        };
        let Some(action) = action else {
            return Ok(false);
        };
        let done = self.perform(action);
        if done.is_err() {
            self.fail();
        }
        done.map(|()| true)
    }

    fn perform(&self, action: Action) -> Outcome {
        match action {
            Action::Make { slot, name, header } => {
                let made = self.store.make(name, self.segment, &header);
                if let Err(error) = &made {
                    self.note_full(error);
                    // What may be left of it must not pass for a segment that was damaged later: see recovery.
                    self.store
                        .delete(name, 0)
                        .map_err(Fault::store("delete a segment that could not be made"))?;
                }
                self.lock().made(slot, made.is_ok());
            }
            Action::Append {
                lsn,
                name,
                offset,
                length,
                buffer,
            } => {
                let bytes = buffer.bytes().get(..length as usize).unwrap_or_default();
                self.store
                    .append(name, offset, bytes)
                    .map_err(Fault::store("write"))?;
                self.lock().appended(lsn, buffer);
            }
            Action::Sync { name, upto } => {
                // A sync that fails is never tried again: what the page cache dropped would pass for written.
                self.store.sync(name).map_err(Fault::store("sync"))?;
                let durable = {
                    let mut log = self.lock();
                    log.synced(upto);
                    self.flushes.take_durable(log.witness().mark.lsn)
                };
                self.answer(durable);
            }
            Action::ReplaceHead { expected, new } => {
                let replaced = self.store.replace_head(expected.as_deref(), &new);
                if !replaced.map_err(Fault::store("replace the head"))? {
                    return Err(Fault::Fenced);
                }
                self.lock().head_replaced()?;
            }
            Action::Delete { slot, name, spares } => {
                self.store
                    .delete(name, spares)
                    .map_err(Fault::store("delete a segment"))?;
                self.lock().deleted(slot);
            }
        }
        self.tell();
        Ok(())
    }

    /// No segment could be made. That is no failure: it is what cleaning, or an error to the writer, is for.
    fn note_full(&self, error: &io::Error) {
        let full = matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        );
        if !full {
            let fault = Fault::store("make a segment")(io::Error::from(error.kind()));
            self.report(&fault);
        }
    }
}
