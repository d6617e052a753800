//! The driver: runs the log on a real store. Any thread may call; each does itself what it would wait for.
//!
//! | room | subject |
//! |---|---|
//! | [`open`] | creating, opening, closing |
//! | [`recover`] | from head and segments to the state of the log |
//! | [`scan`] | walking the records of a segment |
//! | [`read`], [`write`], [`flushes`] | the disk's own operations |
//! | [`perform`] | doing the log's actions on the store |
//! | [`upkeep`] | checkpoints, cleaning, making room |
//! | [`rotate`] | another key, a larger disk |
//! | [`keeper`] | the thread that sees to upkeep |
//! | [`check`] | reading everything, offline |

#[cfg(feature = "judge")]
mod audit;
pub mod check;
mod flushes;
mod keeper;
mod open;
mod perform;
mod read;
mod recover;
mod rotate;
mod scan;
mod upkeep;
mod write;

pub use crate::log::rotate::Rotation;
pub use check::{Check, Finding};
pub use flushes::Flushed;
pub use keeper::{Keeper, Remember};
pub use open::{Identity, Succession, identify};
pub use read::memory_for;

use crate::{
    fault::{Fault, Outcome},
    format::Witness,
    geometry::BLOCK,
    log::{Log, Memory},
    store::Store,
};
use flushes::Flushes;
use std::{
    fmt, io,
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// Where salts and ids come from: fills with bytes that nobody can guess and that never repeat.
pub type Entropy = fn(&mut [u8; 32]) -> io::Result<()>;

/// The kernel's random numbers (getrandom(2)).
///
/// # Errors
/// As getrandom(2).
pub fn kernel_entropy(bytes: &mut [u8; 32]) -> io::Result<()> {
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        done += rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(())
}

/// How a volume is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// How much memory it may take.
    pub memory: Memory,
    /// Where salts come from.
    pub entropy: Entropy,
    /// What was remembered of the volume outside of the store: an older store is refused.
    pub witness: Option<Witness>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            memory: Memory::default(),
            entropy: kernel_entropy,
            witness: None,
        }
    }
}

/// Takes the locked memory for a volume's keys now: for a process that is about to give up the right to lock more.
///
/// # Errors
/// [`Fault::Memory`].
pub fn reserve_keys() -> Outcome {
    cofferdam_vault::SegmentKey::reserve(crate::log::segments::MOST_KEYS + 64).map_err(Fault::memory)
}

/// An open volume.
pub struct Volume<S> {
    store: S,
    entropy: Entropy,
    blocks: AtomicU64,
    segment: u32,
    log: Mutex<Log>,
    /// Something has come to its end: whoever waits looks again.
    changed: Condvar,
    waiting: AtomicU64,
    flushes: Flushes,
    /// Held by whoever cleans or writes a checkpoint.
    upkeep: Mutex<()>,
    /// How many wait for that who must not wait for long: the keeper stands back.
    upkeep_wanted: AtomicU64,
    failed: AtomicBool,
    work: Work,
    damage: Mutex<Vec<Fault>>,
}

/// A sign to the keeper that there is something to do.
#[derive(Debug, Default)]
struct Work {
    wanted: Mutex<bool>,
    sign: Condvar,
    /// The keeper will not look again before it is given a sign.
    dozes: AtomicBool,
}

/// What a volume holds and uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Cells that something refers to: blocks of the disk and pages of the map.
    pub live_cells: u64,
    /// Segments on the store.
    pub segments: u32,
    /// Bytes of each.
    pub segment_bytes: u32,
    /// Pages of the map in memory, 4 KiB each.
    pub resident_pages: usize,
}

impl<S: fmt::Debug> fmt::Debug for Volume<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Volume")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

impl<S: Store> Volume<S> {
    /// Size of the disk in bytes.
    pub fn size(&self) -> u64 {
        self.blocks.load(Ordering::Relaxed) * BLOCK as u64
    }

    /// What it holds and uses.
    pub fn usage(&self) -> Usage {
        let log = self.lock();
        Usage {
            live_cells: log.segments.live(),
            segments: log.segments.count(),
            segment_bytes: self.segment,
            resident_pages: log.map.resident(),
        }
    }

    /// What to remember outside of the store.
    pub fn witness(&self) -> Witness {
        self.lock().witness()
    }

    /// The damage that reads have met since this was last asked: for the ledger.
    pub fn take_damage(&self) -> Vec<Fault> {
        std::mem::take(&mut *self.damage.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The store below.
    pub fn store(&self) -> &S {
        &self.store
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something has changed; not at all where the volume has failed, since nothing will any more.
    fn wait<'a>(&self, log: MutexGuard<'a, Log>) -> MutexGuard<'a, Log> {
        // Set before the lock is taken to tell those who wait: whoever does not see it here is told.
        if self.failed.load(Ordering::SeqCst) {
            return log;
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let log = self.changed.wait(log).unwrap_or_else(PoisonError::into_inner);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        log
    }

    /// The turn of upkeep, for somebody who waits for it.
    fn take_turn(&self) -> MutexGuard<'_, ()> {
        self.upkeep_wanted.fetch_add(1, Ordering::SeqCst);
        let turn = self.upkeep.lock().unwrap_or_else(PoisonError::into_inner);
        self.upkeep_wanted.fetch_sub(1, Ordering::SeqCst);
        turn
    }

    fn tell(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.changed.notify_all();
        }
    }

    fn alive(&self) -> Outcome {
        if self.failed.load(Ordering::SeqCst) {
            return Err(Fault::Failed);
        }
        Ok(())
    }

    /// Closes the volume for good to everything but reads of nothing: every call from now on fails.
    pub fn fail(&self) {
        self.failed.store(true, Ordering::SeqCst);
        let log = self.lock();
        let waiting = self.flushes.take_all();
        self.changed.notify_all();
        self.wake_keeper();
        drop(log);
        for then in waiting {
            then(Err(Fault::Failed));
        }
    }

    /// After something was taken: the keeper sees to it that it does not stay in memory alone.
    fn stir_keeper(&self, upkeep: bool) {
        if upkeep || self.work.dozes.load(Ordering::SeqCst) && self.work.dozes.swap(false, Ordering::SeqCst) {
            self.wake_keeper();
        }
    }

    fn wake_keeper(&self) {
        let mut wanted = self.work.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        *wanted = true;
        self.work.sign.notify_one();
    }

    /// The blocks that a range of bytes covers.
    fn range(&self, offset: u64, length: u64) -> Outcome<(u64, u64)> {
        let block = BLOCK as u64;
        if !offset.is_multiple_of(block) || !length.is_multiple_of(block) {
            return Err(Fault::Invalid("offset and length must be multiples of 4096"));
        }
        match offset.checked_add(length) {
            Some(end) if end <= self.size() => Ok((offset / block, length / block)),
            _ => Err(Fault::Invalid("beyond the end of the disk")),
        }
    }
}
