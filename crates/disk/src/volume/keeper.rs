//! The keeper: the one thread of a volume that acts by itself. It sleeps while there is nothing to do.

use super::Volume;
use crate::{
    fault::{Fault, Outcome},
    format::Witness,
    log::FEW_SPARES,
    store::Store,
};
use std::{
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
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
    let mut due = Instant::now() + RHYTHM;
    while !stop.load(Ordering::SeqCst) {
        let more = match round(volume, &mut due) {
            Ok(more) => more,
            Err(Fault::Failed) => return,
            Err(fault) => {
                volume.report(&fault);
                false
            }
        };
        let witness = volume.witness();
        if told != Some(witness) {
            remember(witness);
            told = Some(witness);
        }
        // What takes long, as a rotation does, holds up neither the witness nor the end.
        if !more && rest(volume, witness, due) {
            // Whoever woke it has only begun.
            due = Instant::now() + RHYTHM;
        }
    }
}

/// One round: once a second a flush of what is in memory alone, and something that is worth doing. Answers whether there may be
/// more worth doing.
fn round<S: Store>(volume: &Volume<S>, due: &mut Instant) -> Outcome<bool> {
    if Instant::now() >= *due {
        *due = Instant::now() + RHYTHM;
        if !volume.lock().is_quiet() {
            volume.flush()?;
        }
    }
    // What it has left of what it did for others.
    let led = volume.go_on()?;
    Ok(volume.tend()? || led)
}

/// Waits for a sign, and while anything happens no longer than until `due`: whoever writes need not wake the keeper then.
/// Answers whether nothing was happening.
fn rest<S: Store>(volume: &Volume<S>, told: Witness, due: Instant) -> bool {
    // INVARIANT: set before the log is looked at. Whoever writes after that look sees it, and gives a sign.
    volume.work.dozes.store(true, Ordering::SeqCst);
    let still = {
        let log = volume.lock();
        // A rotation that could not go on is tried again.
        log.is_quiet() && log.witness() == told && log.rotation().is_none()
    };
    volume.work.dozes.fetch_and(still, Ordering::SeqCst);
    if still {
        volume.store.shrink(FEW_SPARES);
    }
    let mut wanted = volume.work.wanted.lock().unwrap_or_else(PoisonError::into_inner);
    if !*wanted && still {
        let woken = volume.work.sign.wait(wanted);
        wanted = woken.unwrap_or_else(PoisonError::into_inner);
    } else if !*wanted {
        let left = due.saturating_duration_since(Instant::now());
        let woken = volume.work.sign.wait_timeout(wanted, left);
        (wanted, _) = woken.unwrap_or_else(PoisonError::into_inner);
    }
    *wanted = false;
    volume.work.dozes.store(false, Ordering::SeqCst);
    still
}
