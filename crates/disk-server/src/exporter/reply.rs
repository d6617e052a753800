//! Writes and flushes that have no answer yet. A thread that took one goes on; whoever ends it answers.

use super::{Abort, Errno};
use cofferdam_linux::fuse::{Body, Channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The requests of one channel that have no answer yet, by their numbers, and since when.
#[derive(Debug)]
pub(super) struct Unanswered(Mutex<Vec<(u64, Instant)>>);

impl Default for Unanswered {
    /// With room for all that the kernel hands out at a time: nothing asks for memory then.
    fn default() -> Self {
        Unanswered(Mutex::new(Vec::with_capacity(256)))
    }
}

impl Unanswered {
    fn add(&self, unique: u64) {
        self.lock().push((unique, Instant::now()));
    }

    fn remove(&self, unique: u64) {
        self.lock().retain(|(other, _)| *other != unique);
    }

    /// How long the oldest has been waiting; zero where there is none.
    pub(super) fn longest(&self) -> Duration {
        let longest = self.lock().iter().map(|(_, since)| since.elapsed()).max();
        longest.unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A channel, and what its answers need.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) channel: Channel,
    /// Ends the connection where its requests would wait for ever.
    pub(super) abort: Abort,
    pub(super) unanswered: Unanswered,
}

/// The right to answer one request, once. Dropped without an answer, it says `EIO`.
#[derive(Debug)]
#[must_use = "the kernel waits for the answer"]
pub struct Reply {
    line: Arc<Line>,
    unique: u64,
    success: Body,
    outcome: Result<(), Errno>,
}

impl Reply {
    /// `success` is what a success is answered with.
    pub(super) fn new(line: &Arc<Line>, unique: u64, success: Body) -> Self {
        line.unanswered.add(unique);
        Reply {
            line: Arc::clone(line),
            unique,
            success,
            outcome: Err(Errno::IO),
        }
    }

    /// Answers; from any thread.
    pub fn send(mut self, outcome: Result<(), Errno>) {
        self.outcome = outcome;
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        let channel = &self.line.channel;
        let sent = match self.outcome {
            Ok(()) => channel.answer(self.unique, self.success.as_bytes()),
            Err(error) => channel.refuse(self.unique, error),
        };
        self.line.unanswered.remove(self.unique);
        if sent.is_err() {
            // As where a thread cannot answer: nobody is left to be told, and who asks gets EIO.
            drop(self.line.abort.abort());
        }
    }
}
