//! Several threads at once on one volume, each with blocks of its own and an oracle for them.

use crate::{
    Wrong,
    medium::Medium,
    oracle::{Oracle, content},
    random::Random,
    session::{Ground, key, options, stamps},
    store::{Faults, SimStore},
};
use cofferdam_disk::{BLOCK, Fault, Geometry, Memory, Store, Volume, volume::Flushed};
use std::{
    ops::Range,
    sync::{
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

/// Far longer than a sync takes.
const LONG: Duration = Duration::from_secs(60);

/// A thread's blocks, and what they must hold.
#[derive(Debug)]
pub struct Member {
    blocks: Range<usize>,
    oracle: Oracle,
    random: Random,
    most: usize,
    /// Whether its writes are to be answered once they are durable.
    through: bool,
}

impl Member {
    /// One with these blocks, who writes at most so many at once.
    pub fn new(blocks: Range<usize>, most: usize, random: Random) -> Self {
        Member {
            oracle: Oracle::new(blocks.len()),
            blocks,
            through: random.clone().below(2) == 0,
            random,
            most,
        }
    }

    /// Writes, discards, flushes and reads so many times, or until the volume is gone; answers whether it is.
    ///
    /// # Errors
    /// What the engine did wrong.
    pub fn work<S: Store>(&mut self, volume: &Volume<S>, times: usize) -> Result<bool, Wrong> {
        for _ in 0..times {
            let from = self.random.index(self.blocks.len());
            let count = 1 + self.random.index(self.most.min(self.blocks.len() - from));
            let done = match self.random.below(10) {
                0..6 => self.write(volume, from, count),
                6 => self.discard(volume, from, count),
                7 => volume.flush().map(|()| self.oracle.flushed()),
                _ => match self.read(volume, from..from + count) {
                    Ok(read) => {
                        read?;
                        Ok(())
                    }
                    Err(fault) => Err(fault),
                },
            };
            match done {
                Ok(()) => self.oracle.answered(),
                Err(Fault::Failed | Fault::Store { .. } | Fault::Fenced) => return Ok(true),
                Err(fault) => return Err(Wrong::new(fault.to_string())),
            }
        }
        Ok(false)
    }

    fn write<S: Store>(&mut self, volume: &Volume<S>, from: usize, count: usize) -> Result<(), Fault> {
        let mut bytes = Vec::with_capacity(count * BLOCK);
        let first = self.blocks.start + from;
        for index in 0..count {
            // In the oracle before it is done: part of it may be there, if it fails.
            let stamp = self.oracle.fresh();
            self.oracle.set(from + index, stamp);
            bytes.extend(content(first + index, stamp));
        }
        if !self.through {
            volume.write((first * BLOCK) as u64, &bytes)?;
            return volume.settle();
        }
        self.durably(volume, |then| {
            volume.write_durably((first * BLOCK) as u64, &bytes, then)
        })
    }

    /// A change that is answered once it is durable.
    fn durably<S: Store>(&mut self, volume: &Volume<S>, begin: impl FnOnce(Flushed)) -> Result<(), Fault> {
        let (tell, told) = mpsc::channel();
        begin(Box::new(move |outcome| drop(tell.send(outcome))));
        while volume.hasten()? {}
        match told.recv_timeout(LONG) {
            Ok(outcome) => outcome.map(|()| self.oracle.flushed()),
            Err(_) => Err(Fault::Invalid("nobody has said how a write ended")),
        }
    }

    fn discard<S: Store>(&mut self, volume: &Volume<S>, from: usize, count: usize) -> Result<(), Fault> {
        for index in 0..count {
            self.oracle.set(from + index, 0);
        }
        let first = self.blocks.start + from;
        let (offset, length) = ((first * BLOCK) as u64, (count * BLOCK) as u64);
        match self.through {
            true => self.durably(volume, |then| volume.discard_durably(offset, length, then)),
            false => volume.discard(offset, length),
        }
    }

    fn read<S: Store>(&self, volume: &Volume<S>, range: Range<usize>) -> Result<Result<(), Wrong>, Fault> {
        let blocks = self.blocks.start + range.start..self.blocks.start + range.end;
        let found = match stamps(volume, blocks)? {
            Ok(found) => found,
            Err(wrong) => return Ok(Err(wrong)),
        };
        for (index, found) in range.zip(found) {
            let expected = self.oracle.stamp(index);
            if found != expected {
                let block = self.blocks.start + index;
                let what = format!("block {block} is {found}, not {expected}");
                return Ok(Err(Wrong::new(what)));
            }
        }
        Ok(Ok(()))
    }

    /// Everything up to now is on stable storage.
    pub fn flushed(&mut self) {
        self.oracle.flushed();
    }

    /// The volume was opened again: one moment must explain these blocks.
    ///
    /// # Errors
    /// Where none does.
    pub fn recovered<S: Store>(&mut self, volume: &Volume<S>) -> Result<(), Wrong> {
        let mut found = Vec::with_capacity(self.blocks.len());
        for first in self.blocks.clone().step_by(100) {
            let range = first..(first + 100).min(self.blocks.end);
            let stamps = stamps(volume, range).map_err(|fault| Wrong::new(fault.to_string()))?;
            found.extend(stamps?.into_iter().map(Some));
        }
        let moment = self.oracle.explains(&found)?;
        self.oracle.went_back_to(moment);
        Ok(())
    }
}

/// A life with several threads, crashes and upkeep, on a simulated store. What the threads do follows from the seed, but
/// not how they meet.
///
/// # Errors
/// What the engine did wrong.
pub fn meet(seed: u64) -> Result<(), Wrong> {
    let mut random = Random::new(seed);
    let ground = Ground {
        geometry: Geometry::new(3000, 64 << 10, random.pick(&[512, 4096]))
            .ok_or_else(|| Wrong::new("no such geometry"))?,
        memory: Memory {
            buffers: 2 + random.index(3),
            pages: 4,
        },
        room: usize::MAX,
    };
    let mut store = SimStore::new(Medium::new(ground.room, random.fork()));
    let mut members: Vec<_> = (0..4)
        .map(|n| Member::new(n * 700..n * 700 + 300, 1 + n * 30, random.fork()))
        .collect();
    let options = options(&ground, None);
    let created = Volume::create(store.clone(), key()?, ground.geometry, &options);
    let mut volume = created.map_err(|fault| Wrong::new(format!("create: {fault}")))?;
    for _ in 0..4 {
        store.order(Faults {
            crash_at: random.percent(70).then(|| random.below(600)),
            ..Faults::default()
        });
        store.jostle();
        together(&volume, &mut members)?;
        let power = store.is_dead();
        if !power {
            volume
                .audit()
                .map_err(|what| Wrong::new(format!("audit: {what}")))?;
        }
        drop(volume);
        if power {
            store.medium().crash();
        }
        store = store.again(Faults::default());
        let opened = Volume::open(store.clone(), key()?, &options);
        volume = opened.map_err(|fault| Wrong::new(format!("open: {fault}")))?;
        for member in &mut members {
            member.recovered(&volume)?;
        }
    }
    Ok(())
}

fn together(volume: &Volume<SimStore>, members: &mut [Member]) -> Result<(), Wrong> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let upkeep = scope.spawn(|| {
            while !over.load(Ordering::SeqCst) && volume.tend().is_ok() {
                std::thread::yield_now();
            }
        });
        let working: Vec<_> = members
            .iter_mut()
            .map(|member| scope.spawn(|| member.work(volume, 120)))
            .collect();
        let mut done = Ok(());
        for worker in working {
            let worked = worker
                .join()
                .unwrap_or_else(|_| Err(Wrong::new("a thread has panicked")));
            done = done.and(worked.map(|_| ()));
        }
        over.store(true, Ordering::SeqCst);
        let ended = upkeep.join();
        done.and(ended.map_err(|_| Wrong::new("upkeep has panicked")))
    })
}
