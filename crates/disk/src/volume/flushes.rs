//! Flushes that wait, and writes that are answered once they are durable: whichever thread ends what they wait for does
//! what comes next, and answers them. The thread that asked goes its way meanwhile.
//!
//! INVARIANT: while a flush waits here, some thread has an action of the log's under way, or is between two. It looks here
//! after each (see [`super::perform`]), so none waits for ever: a thread that stops looking, because it has done so much for
//! others, comes back ([`Volume::go_on`], and the keeper does not rest). What [`Volume::write_durably`] leaves here waits
//! for [`Volume::hasten`] besides, or for the next flush.
//!
//! INVARIANT: one is added under the log's lock, and only to a volume that has not failed.

use super::Volume;
use crate::{
    fault::{Fault, Outcome},
    geometry::Lsn,
    store::Store,
};
use std::sync::{Mutex, MutexGuard, PoisonError, atomic::Ordering, mpsc};

/// Who is told how a flush ended; from any thread, which holds no lock then.
pub type Flushed = Box<dyn FnOnce(Outcome) + Send>;

/// Those who wait, each for its record.
#[derive(Default)]
pub(super) struct Flushes(Mutex<Vec<(Lsn, Flushed)>>);

impl Flushes {
    fn add(&self, upto: Lsn, then: Flushed) {
        self.lock().push((upto, then));
    }

    /// Whether anybody waits.
    pub(super) fn are_awaited(&self) -> bool {
        !self.lock().is_empty()
    }

    /// Takes out those whose record is on stable storage.
    pub(super) fn take_durable(&self, durable: Lsn) -> Vec<Flushed> {
        let ripe = |(upto, _): &mut (Lsn, Flushed)| *upto <= durable;
        self.lock().extract_if(.., ripe).map(|(_, then)| then).collect()
    }

    /// Takes out all.
    pub(super) fn take_all(&self) -> Vec<Flushed> {
        self.lock().drain(..).map(|(_, then)| then).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Lsn, Flushed)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Store> Volume<S> {
    /// Brings everything that was written before to stable storage. Those who ask at the same time share one sync.
    ///
    /// # Errors
    /// [`Fault::Fenced`] where another process has opened the volume since; otherwise as for [`Volume::write`].
    pub fn flush(&self) -> Outcome {
        let (tell, told) = mpsc::sync_channel(1);
        self.flush_then(Box::new(move |outcome| {
            // Nobody listens where this thread has met an error of its own.
            drop(tell.send(outcome));
        }))?;
        while self.go_on()? {}
        told.recv().unwrap_or(Err(Fault::Failed))
    }

    /// As [`Volume::flush`], without waiting for what other threads have under way: `then` is told once, by this thread
    /// or another. Afterwards the thread calls [`Volume::go_on`] until there is nothing left.
    ///
    /// # Errors
    /// What this thread did for it and failed at; the volume is closed for good then, and `then` told so.
    pub fn flush_then(&self, then: Flushed) -> Outcome {
        let now = {
            let mut log = self.lock();
            if self.failed.load(Ordering::SeqCst) {
                Some((then, Err(Fault::Failed)))
            } else {
                let upto = log.request_flush();
                if log.is_durable(upto) {
                    Some((then, Ok(())))
                } else {
                    self.flushes.add(upto, then);
                    None
                }
            }
        };
        match now {
            Some((then, outcome)) => {
                then(outcome.and_then(|()| self.still_ours()));
                Ok(())
            }
            None => self.go_on().map(drop),
        }
    }

    /// Has `then` told once everything that was taken is on stable storage. Nothing is done for that here.
    pub(super) fn when_durable(&self, then: Flushed) {
        let now = {
            let log = self.lock();
            let upto = log.last_closed();
            if self.failed.load(Ordering::SeqCst) {
                Some((then, Err(Fault::Failed)))
            } else if log.is_durable(upto) {
                Some((then, Ok(())))
            } else {
                self.flushes.add(upto, then);
                None
            }
        };
        if let Some((then, outcome)) = now {
            then(outcome.and_then(|()| self.still_ours()));
        }
    }

    /// Does what [`Volume::write_durably`] has left: for a thread that has nothing better to do. Those who do it at the same
    /// time share one sync. Answers as [`Volume::go_on`].
    ///
    /// # Errors
    /// What this thread failed at; the volume is closed for good then, and all who wait are told so.
    pub fn hasten(&self) -> Outcome<bool> {
        if self.flushes.are_awaited() {
            self.lock().hurry();
        }
        self.go_on()
    }

    /// Answers flushes whose records are on stable storage.
    pub(super) fn answer(&self, flushes: Vec<Flushed>) {
        if flushes.is_empty() {
            return;
        }
        let outcome = self.still_ours();
        for then in flushes {
            then(outcome.clone());
        }
    }

    /// A flush is good for nothing where somebody else has opened the volume since.
    fn still_ours(&self) -> Outcome {
        if self.store.head_is_ours().map_err(Fault::store("read the head"))? {
            return Ok(());
        }
        self.fail();
        Err(Fault::Fenced)
    }
}
