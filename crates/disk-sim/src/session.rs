//! One volume with its oracle: does an operation to both, and compares.
//!
//! | room | subject |
//! |---|---|
//! | [`opening`] | the volume opened again, after deaths |
//! | [`changing`] | another key, a larger disk |
//! | [`reading`] | what is read, compared with what must be |
//! | [`keys`] | what whoever keeps the keys remembers |
//! | [`excuse`] | which failures are right |

mod changing;
mod excuse;
mod keys;
mod opening;
mod reading;
mod writing;

pub use keys::KeyState;
pub use opening::Opening;
pub use reading::{everything, stamps};

use crate::{
    Wrong,
    medium::Medium,
    oracle::Oracle,
    random::Random,
    store::{Faults, SimStore},
};
use cofferdam_disk::{
    Geometry, Memory, Volume, Witness,
    volume::{Options, check::check},
};
use cofferdam_vault::VolumeKey;
use std::{cell::RefCell, io, os::fd::OwnedFd};

/// How often upkeep may find something to do while nobody writes.
const MOST_TENDS: usize = 300;

/// One operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Write blocks.
    Write {
        /// The first.
        first: usize,
        /// How many.
        count: usize,
    },
    /// Discard blocks.
    Discard {
        /// The first.
        first: usize,
        /// How many.
        count: usize,
    },
    /// Read blocks and compare.
    Read {
        /// The first.
        first: usize,
        /// How many.
        count: usize,
    },
    /// Begin to encrypt everything under another key.
    Rotate,
    /// Make the disk larger.
    Grow {
        /// To so many blocks.
        blocks: usize,
    },
    /// Flush.
    Flush,
    /// What a server does once it has answered a write.
    Settle,
    /// Upkeep until there is nothing left to do.
    Tend,
    /// Upkeep, one step.
    TendOnce,
    /// Close and open again.
    Close,
    /// The power fails.
    Crash,
    /// The process is killed.
    Kill,
    /// Everything is read, offline.
    Check,
}

/// What a life is like.
#[derive(Debug, Clone, Copy)]
pub struct Ground {
    /// The disk's.
    pub geometry: Geometry,
    /// The engine's.
    pub memory: Memory,
    /// The most segments on the store.
    pub room: usize,
}

/// How an operation went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Went {
    /// As it should.
    On,
    /// The volume is gone: [`Session::recover`] comes next.
    Down,
}

/// See the module.
#[derive(Debug)]
pub struct Session {
    /// What it stands on.
    pub ground: Ground,
    /// The process that has the volume open now, or had it last.
    pub store: SimStore,
    /// What the disk must hold.
    pub oracle: Oracle,
    /// The newest witness.
    pub witness: Option<Witness>,
    keys: KeyState,
    volume: Option<Volume<SimStore>>,
    /// What a successor of the process that has the volume open would find.
    arena: Option<OwnedFd>,
    /// The act of this process at which it is to die, if not before then at an act of the next.
    carried: Option<u64>,
    /// Whether writes are answered once they are durable: a disk without a write cache.
    through: bool,
    random: Random,
    faults: Faults,
}

thread_local! {
    static SALTS: RefCell<Random> = RefCell::new(Random::new(0));
}

/// Salts that the life's seed decides.
fn entropy(bytes: &mut [u8; 32]) -> io::Result<()> {
    SALTS.with_borrow_mut(|salts| salts.fill(bytes));
    Ok(())
}

/// The key that every simulated volume has first.
///
/// # Errors
/// No locked memory.
pub fn key() -> Result<VolumeKey, Wrong> {
    KeyState::default().key()
}

/// The options of an opening.
pub fn options(ground: &Ground, witness: Option<Witness>) -> Options {
    Options {
        memory: ground.memory,
        entropy,
        witness,
    }
}

impl Session {
    /// Makes a volume.
    ///
    /// # Errors
    /// Where that fails.
    pub fn create(ground: Ground, mut random: Random) -> Result<Self, Wrong> {
        let through = random.clone().below(3) == 0;
        SALTS.set(random.fork());
        let store = SimStore::new(Medium::new(ground.room, random.fork()));
        let volume = Volume::create(store.clone(), key()?, ground.geometry, &options(&ground, None))
            .map_err(|fault| Wrong::new(format!("create: {fault}")))?;
        let blocks = usize::try_from(ground.geometry.blocks).unwrap_or(usize::MAX);
        Ok(Session {
            ground,
            store,
            oracle: Oracle::new(blocks),
            witness: Some(volume.witness()),
            keys: KeyState::default(),
            volume: Some(volume),
            arena: None,
            carried: None,
            through,
            random,
            faults: Faults::default(),
        })
    }

    /// The open volume.
    ///
    /// # Errors
    /// Where it is not open.
    pub fn volume(&self) -> Result<&Volume<SimStore>, Wrong> {
        self.volume.as_ref().ok_or_else(|| Wrong::new("it is not open"))
    }

    /// Orders faults of the process that has the volume open.
    pub fn order(&mut self, faults: Faults) {
        if !self.faults.are_clean()
            && let Some(volume) = &self.volume
        {
            // What was reported so far had its cause.
            volume.take_damage();
        }
        self.faults = faults;
        self.store.order(faults);
    }

    /// Orders that the process dies at an act, also where that is an act of the next one, or of one after.
    pub fn order_death(&mut self, at: u64) {
        self.carried = Some(at);
        self.order(Faults {
            crash_at: self.carried,
            ..Faults::default()
        });
    }

    /// The death that was ordered is not to come any more.
    pub fn call_off(&mut self) {
        self.carried = None;
    }

    /// Whether the death that was ordered is still to come.
    pub fn is_to_die(&self) -> bool {
        self.carried.is_some() && !self.store.is_dead()
    }

    /// Does an operation.
    ///
    /// # Errors
    /// What the engine did wrong.
    pub fn apply(&mut self, op: Op) -> Result<Went, Wrong> {
        let went = self.act(op)?;
        if went == Went::On {
            self.oracle.answered();
            self.look_at_rotation()?;
        }
        Ok(went)
    }

    fn act(&mut self, op: Op) -> Result<Went, Wrong> {
        match op {
            Op::Write { first, count } => self.write(first, count),
            Op::Discard { first, count } => self.discard(first, count),
            Op::Read { first, count } => self.read(first..first + count),
            Op::Rotate => self.rotate(),
            Op::Grow { blocks } => self.grow(blocks),
            Op::Flush => self.flush(),
            Op::Settle => self.settle(),
            Op::Tend => self.tend(MOST_TENDS),
            Op::TendOnce => self.tend(1),
            Op::Close => self.close(),
            Op::Crash | Op::Kill => {
                self.volume = None;
                self.end(op == Op::Crash);
                Ok(Went::Down)
            }
            Op::Check => self.check(),
        }
    }

    /// The process has ended; the power may have failed too.
    fn end(&mut self, power: bool) {
        if power {
            self.store.medium().crash();
            self.arena = None;
        }
    }

    fn flush(&mut self) -> Result<Went, Wrong> {
        if let Err(fault) = self.volume()?.flush() {
            return self.excuse(&fault, "flush");
        }
        self.oracle.flushed();
        self.witness = Some(self.volume()?.witness());
        Ok(Went::On)
    }

    fn settle(&mut self) -> Result<Went, Wrong> {
        match self.volume()?.settle() {
            Ok(()) => Ok(Went::On),
            Err(fault) => self.excuse(&fault, "settle"),
        }
    }

    fn tend(&mut self, most: usize) -> Result<Went, Wrong> {
        for _ in 0..most {
            match self.volume()?.tend() {
                Ok(true) => {}
                Ok(false) => return self.within_space(),
                Err(fault) => return self.excuse(&fault, "upkeep"),
            }
        }
        if most > 1 {
            let usage = self.volume()?.usage();
            return Err(Wrong::new(format!("upkeep does not come to rest: {usage:?}")));
        }
        Ok(Went::On)
    }

    fn close(&mut self) -> Result<Went, Wrong> {
        match self.volume()?.close() {
            Ok(witness) => {
                self.oracle.flushed();
                self.witness = Some(witness);
            }
            Err(fault) => {
                self.excuse(&fault, "close")?;
            }
        }
        self.volume = None;
        self.arena = None;
        self.end(false);
        Ok(Went::Down)
    }

    /// Everything is read by another process, while this one waits.
    fn check(&mut self) -> Result<Went, Wrong> {
        let options = options(&self.ground, self.witness);
        let reader = self.store.again(Faults::default());
        let found = check(&reader, self.keys.keys()?, &options, |_, _| {});
        let found = found.map_err(|fault| Wrong::new(format!("check: {fault}")))?;
        if !found.is_sound() {
            return Err(Wrong::new(format!("check: {:?}", found.findings)));
        }
        Ok(Went::On)
    }

    /// Whether the engine's own numbers agree.
    ///
    /// # Errors
    /// Where they do not.
    pub fn audit(&self) -> Result<(), Wrong> {
        match &self.volume {
            Some(volume) if !self.store.is_dead() && self.faults.are_clean() => {
                if let Some(damage) = volume.take_damage().first() {
                    return Err(Wrong::new(format!("reported without a cause: {damage}")));
                }
                volume
                    .audit()
                    .map_err(|what| Wrong::new(format!("audit: {what}")))
            }
            _ => Ok(()),
        }
    }

    /// Numbers for whoever leads the session.
    pub fn random(&mut self) -> &mut Random {
        &mut self.random
    }
}
