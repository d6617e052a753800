//! The keeper: the one thread of a volume that acts by itself. It sleeps while there is nothing to do.

use super::Volume;
use crate::{
    fault::{Fault, Outcome},
    format::Witness,
    store::Store,
};
use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// How long what was written may stay in memory alone, and how old the witness may become.
const RHYTHM: Duration = Duration::from_secs(1);

/// Who remembers the witness.
pub type Remember = Box<dyn FnMut(Witness) + Send>;

/// A running keeper. It ends with [`Keeper::stop`], or when this is dropped.
#[derive(Debug)]
pub struct Keeper<S: Store + 'static> {
    volume: Arc<Volume<S>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl<S: Store + 'static> Keeper<S> {
    /// Starts one; `remember` is told of every second's newest witness.
    ///
    /// # Errors
    /// As starting a thread.
    pub fn start(volume: Arc<Volume<S>>, remember: Remember) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (volume, stop) = (Arc::clone(&volume), Arc::clone(&stop));
            std::thread::Builder::new()
                .name("keeper".to_owned())
                .spawn(move || run(&volume, &stop, remember))?
        };
        Ok(Keeper {
            volume,
            stop,
            thread: Some(thread),
        })
    }

    /// Ends it, after what it does now.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.volume.wake_keeper();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            self.volume.fail();
        }
    }
}

impl<S: Store + 'static> Drop for Keeper<S> {
    fn drop(&mut self) {
        self.end();
    }
}

fn run<S: Store>(volume: &Volume<S>, stop: &AtomicBool, mut remember: Remember) {
    let mut told = None;
    while !stop.load(Ordering::SeqCst) {
        let quiet = match round(volume) {
            Ok(quiet) => quiet,
            Err(Fault::Failed) => return,
            Err(fault) => {
                volume.report(&fault);
                true
            }
        };
        let witness = volume.witness();
        if told != Some(witness) {
            remember(witness);
            told = Some(witness);
        }
        rest(volume, quiet);
    }
}

/// One round; answers whether the next can wait until somebody writes.
fn round<S: Store>(volume: &Volume<S>) -> Outcome<bool> {
    while volume.tend()? {}
    Ok(volume.lock().is_quiet())
}

/// Waits for a sign. While something is in memory alone, waits no longer than a second, and flushes it.
fn rest<S: Store>(volume: &Volume<S>, quiet: bool) {
    let mut wanted = volume.work.wanted.lock().unwrap_or_else(PoisonError::into_inner);
    if !*wanted && quiet {
        wanted = volume
            .work
            .sign
            .wait(wanted)
            .unwrap_or_else(PoisonError::into_inner);
    } else if !*wanted {
        let waited = volume.work.sign.wait_timeout(wanted, RHYTHM);
        let (guard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        wanted = guard;
        if timeout.timed_out() {
            drop(wanted);
            if let Err(fault) = volume.flush() {
                volume.report(&fault);
            }
            return;
        }
    }
    *wanted = false;
}
