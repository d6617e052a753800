//! A store on a [`Medium`], with the faults that are ordered of it. Each clone is the same process; [`SimStore::again`]
//! is another one on the same medium.

use crate::{medium::Medium, random::Random};
use cofferdam_disk::{Store, geometry::SegmentName};
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Faults to come. Acts (all but reads) and reads are counted from zero for each process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Faults {
    /// At this act the process dies: the act is done in part, and nothing after it.
    pub crash_at: Option<u64>,
    /// This read fails, and no other.
    pub read_error_at: Option<u64>,
    /// From this act on every write and every sync fails.
    pub write_error_at: Option<u64>,
    /// This make fails, for no lack of room, and may leave something behind.
    pub make_error_at: Option<u64>,
}

impl Faults {
    /// Whether there is none but the process's death.
    pub fn are_clean(&self) -> bool {
        let crash_at = self.crash_at;
        *self
            == Faults {
                crash_at,
                ..Faults::default()
            }
    }
}

#[derive(Debug, Default)]
struct Process {
    faults: Faults,
    acts: u64,
    reads: u64,
    makes: u64,
    dead: bool,
    head_seen: u64,
    jostled: Option<Random>,
    intruder: Option<Intruder>,
}

/// What happens in the middle of another process's life.
struct Intruder {
    at: u64,
    act: Box<dyn FnOnce() + Send>,
}

impl std::fmt::Debug for Intruder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Intruder at {}", self.at)
    }
}

/// One process's view of a medium.
#[derive(Debug, Clone)]
pub struct SimStore {
    medium: Arc<Mutex<Medium>>,
    process: Arc<Mutex<Process>>,
}

/// What an act comes to.
enum Fate {
    Done,
    Cut,
    Error,
}

impl SimStore {
    /// The first process on a medium.
    pub fn new(medium: Medium) -> Self {
        SimStore {
            medium: Arc::new(Mutex::new(medium)),
            process: Arc::default(),
        }
    }

    /// Another process on the same medium, with these faults to come.
    #[must_use]
    pub fn again(&self, faults: Faults) -> Self {
        let process = Process {
            faults,
            ..Process::default()
        };
        SimStore {
            medium: Arc::clone(&self.medium),
            process: Arc::new(Mutex::new(process)),
        }
    }

    /// The medium.
    pub fn medium(&self) -> MutexGuard<'_, Medium> {
        self.medium.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many acts and reads this process has done.
    pub fn counts(&self) -> (u64, u64) {
        let process = self.process();
        (process.acts, process.reads)
    }

    /// Whether the process has died.
    pub fn is_dead(&self) -> bool {
        self.process().dead
    }

    /// Orders faults, counted from now on.
    pub fn order(&self, faults: Faults) {
        let mut process = self.process();
        (process.acts, process.reads, process.makes) = (0, 0, 0);
        process.faults = faults;
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on each call lets other threads go first, now and again.
    pub fn jostle(&self) {
        self.process().jostled = Some(Random::new(1));
    }

    /// Just before this process's act `at`, counted from now on, something else happens.
    pub fn intrude(&self, at: u64, act: impl FnOnce() + Send + 'static) {
        let mut process = self.process();
        process.acts = 0;
        process.intruder = Some(Intruder {
            at,
            act: Box::new(act),
        });
    }

    /// Lets others go first.
    fn give_way(&self) {
        let turns = self
            .process()
            .jostled
            .as_mut()
            .map_or(0, |random| random.below(6));
        for _ in 0..turns {
            std::thread::yield_now();
        }
        let intruder = {
            let mut process = self.process();
            let acts = process.acts;
            process.intruder.take_if(|intruder| intruder.at == acts)
        };
        if let Some(intruder) = intruder {
            (intruder.act)();
        }
    }

    fn act(&self, writes: bool) -> io::Result<Fate> {
        self.give_way();
        let mut process = self.process();
        if process.dead {
            return Err(died());
        }
        let number = process.acts;
        process.acts += 1;
        if process.faults.crash_at.is_some_and(|at| number >= at) {
            process.dead = true;
            return Ok(Fate::Cut);
        }
        if writes && process.faults.write_error_at.is_some_and(|at| number >= at) {
            return Ok(Fate::Error);
        }
        Ok(Fate::Done)
    }

    fn look(&self) -> io::Result<()> {
        let mut process = self.process();
        if process.dead {
            return Err(died());
        }
        let number = process.reads;
        process.reads += 1;
        if process.faults.read_error_at == Some(number) {
            return Err(broken());
        }
        Ok(())
    }
}

fn died() -> io::Error {
    io::Error::other("the process has died")
}

fn broken() -> io::Error {
    io::Error::from_raw_os_error(5)
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl Store for SimStore {
    fn make(&self, name: SegmentName, bytes: u32, header: &[u8]) -> io::Result<()> {
        let fate = self.act(false)?;
        let number = self.process().makes;
        self.process().makes += 1;
        if let Fate::Cut = fate {
            self.medium().make_in_part(name, bytes, header);
            return Err(died());
        }
        if self.process().faults.make_error_at == Some(number) {
            self.medium().make_in_part(name, bytes, header);
            return Err(broken());
        }
        let made = self.medium().make(name, bytes, header);
        made.ok_or_else(|| io::ErrorKind::StorageFull.into())
    }

    fn append(&self, name: SegmentName, offset: u32, bytes: &[u8]) -> io::Result<()> {
        let fate = self.act(true)?;
        let written = self.medium().write(name, offset as usize, bytes);
        match fate {
            Fate::Cut => Err(died()),
            Fate::Error => Err(broken()),
            Fate::Done => written.ok_or_else(missing),
        }
    }

    fn sync(&self, name: SegmentName) -> io::Result<()> {
        match self.act(true)? {
            Fate::Cut => Err(died()),
            Fate::Error => Err(broken()),
            Fate::Done => self.medium().sync(name).ok_or_else(missing),
        }
    }

    fn read(&self, name: SegmentName, offset: u32, length: usize, memory: &mut [u8]) -> io::Result<usize> {
        self.look()?;
        let medium = self.medium();
        let body = medium.segments.get(&name).ok_or_else(missing)?;
        let offset = offset as usize;
        let bytes = body.bytes.get(offset..offset + length);
        let bytes = bytes.ok_or(io::ErrorKind::UnexpectedEof)?;
        // As a direct read does: the bytes are not at the front.
        let skew = offset % crate::medium::SECTOR;
        let place = memory.get_mut(skew..skew + length);
        place.ok_or(io::ErrorKind::InvalidInput)?.copy_from_slice(bytes);
        Ok(skew)
    }

    fn delete(&self, name: SegmentName, _spares: usize) -> io::Result<()> {
        let fate = self.act(false)?;
        self.medium().delete(name);
        match fate {
            Fate::Cut => Err(died()),
            _ => Ok(()),
        }
    }

    fn list(&self) -> io::Result<Vec<SegmentName>> {
        self.look()?;
        Ok(self.medium().segments.keys().copied().collect())
    }

    fn head(&self) -> io::Result<Option<Vec<u8>>> {
        self.look()?;
        let medium = self.medium();
        self.process().head_seen = medium.heads;
        Ok(medium.head.clone())
    }

    fn replace_head(&self, expected: Option<&[u8]>, new: &[u8]) -> io::Result<bool> {
        let fate = self.act(false)?;
        let mut medium = self.medium();
        if medium.head.as_deref() != expected {
            return Ok(false);
        }
        if let Fate::Cut = fate {
            if medium.is_lucky() {
                medium.put_head(new);
            }
            return Err(died());
        }
        medium.put_head(new);
        self.process().head_seen = medium.heads;
        Ok(true)
    }

    fn head_is_ours(&self) -> io::Result<bool> {
        if self.process().dead {
            return Err(died());
        }
        let heads = self.medium().heads;
        Ok(self.process().head_seen == heads)
    }
}
