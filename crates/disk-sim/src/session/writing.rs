//! Writes and discards, with a write cache and without, and what the oracle makes of those that went wrong.

use super::{Session, Went};
use crate::{Wrong, oracle::content, store::SimStore};
use cofferdam_disk::{BLOCK, Fault, Volume, volume::Flushed};
use std::sync::mpsc;

impl Session {
    pub(super) fn write(&mut self, first: usize, count: usize) -> Result<Went, Wrong> {
        let stamps: Vec<_> = (0..count).map(|_| self.oracle.fresh()).collect();
        let mut bytes = Vec::with_capacity(count * BLOCK);
        for (block, stamp) in (first..).zip(&stamps) {
            bytes.extend(content(block, *stamp));
        }
        if !self.through {
            let done = self.volume()?.write((first * BLOCK) as u64, &bytes);
            return self.changed(first, &stamps, done, "write");
        }
        self.durably(first, &stamps, "write", |volume, then| {
            volume.write_durably((first * BLOCK) as u64, &bytes, then);
        })
    }

    pub(super) fn discard(&mut self, first: usize, count: usize) -> Result<Went, Wrong> {
        let (offset, length) = ((first * BLOCK) as u64, (count * BLOCK) as u64);
        if self.through {
            return self.durably(first, &vec![0; count], "discard", |volume, then| {
                volume.discard_durably(offset, length, then);
            });
        }
        let done = self.volume()?.discard(offset, length);
        self.changed(first, &vec![0; count], done, "discard")
    }

    /// A change that is answered once it is durable.
    fn durably(
        &mut self,
        first: usize,
        stamps: &[u64],
        act: &str,
        begin: impl FnOnce(&Volume<SimStore>, Flushed),
    ) -> Result<Went, Wrong> {
        let (tell, told) = mpsc::channel();
        begin(self.volume()?, Box::new(move |outcome| drop(tell.send(outcome))));
        let mut answer = told.try_recv().ok();
        if let Some(Err(fault)) = answer {
            return self.changed(first, stamps, Err(fault), act);
        }
        let went = self.changed(first, stamps, Ok(()), act)?;
        // Some are left to whoever comes next.
        if answer.is_none() && self.oracle.stamp(first).is_multiple_of(4) {
            return Ok(went);
        }
        if let Err(fault) = self.volume()?.hasten() {
            return self.excuse(&fault, act);
        }
        answer = answer.or_else(|| told.try_recv().ok());
        match answer {
            Some(Ok(())) => {
                self.oracle.flushed();
                self.witness = Some(self.volume()?.witness());
                Ok(Went::On)
            }
            Some(Err(fault)) => self.excuse(&fault, act),
            None => Err(Wrong::new(format!("nobody has said how a {act} ended"))),
        }
    }

    /// Blocks got stamps, or some of them did.
    fn changed(
        &mut self,
        first: usize,
        stamps: &[u64],
        done: Result<(), Fault>,
        act: &str,
    ) -> Result<Went, Wrong> {
        let Err(fault) = done else {
            self.set(first, stamps);
            return Ok(Went::On);
        };
        let excuse = self.excuse(&fault, act);
        if excuse != Ok(Went::On) {
            // Any part of it may have got into the log.
            self.set(first, stamps);
            return excuse;
        }
        // It goes on: a first part of it was done, and that can be read.
        let mut done = 0;
        for (index, stamp) in stamps.iter().enumerate() {
            let block = first + index;
            let found = self.read_one(block)?;
            let before = self.oracle.stamp(block);
            if found != *stamp && found != before {
                return Err(Wrong::new(format!(
                    "block {block} is {found} after {act}: {fault}"
                )));
            }
            if found != before {
                if done < index && stamps[done..index].iter().any(|stamp| *stamp != 0) {
                    return Err(Wrong::new(format!("{act} was done in part, not from the front")));
                }
                done = index + 1;
            }
        }
        self.set(first, &stamps[..done]);
        Ok(Went::On)
    }

    fn set(&mut self, first: usize, stamps: &[u64]) {
        for (block, stamp) in (first..).zip(stamps) {
            self.oracle.set(block, *stamp);
        }
    }
}
