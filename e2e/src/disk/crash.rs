//! Crashes again and again on one volume: writers that remember, a kill of supervisor and worker at once, recovery,
//! comparison.

use super::{
    Server, Volume,
    ledger::{Ledger, Random},
    volume::{BACK, THROUGH},
};
use crate::failure::{During, Failure, Outcome, ensure};
use rustix::io::Errno;
use std::{fs, path::PathBuf, thread, time::Duration};

/// Writers at the same time.
const WRITERS: u32 = 3;

/// A volume that has lived through some crashes.
#[derive(Debug)]
pub struct Crashes {
    volume: Volume,
    random: Random,
    writers: Vec<(PathBuf, Ledger)>,
}

impl Crashes {
    /// Prepares a volume that was just made.
    ///
    /// # Errors
    /// What serving or writing fails with.
    pub fn begin(volume: Volume, seed: u64) -> Outcome<Self> {
        let mut server = volume.serve(&[])?;
        let mut writers = Vec::new();
        for number in 0..WRITERS {
            let directory = volume.mount.join(format!("writer-{number}"));
            fs::create_dir(&directory)?;
            fs::File::open(&volume.mount)?.sync_all()?;
            let ledger = Ledger::begin(&directory)?;
            writers.push((directory, ledger));
        }
        server.stop()?;
        Ok(Crashes {
            volume,
            random: Random::seeded(seed),
            writers,
        })
    }

    /// One life: serves, writes for a while, now and then kills a worker alone, kills all, recovers, compares. Answers
    /// how many promises were kept.
    ///
    /// # Errors
    /// What was lost, what hung, what was not sound.
    pub fn round(&mut self) -> Outcome<usize> {
        // Each life as chance has it.
        let cache = if self.random.below(2) == 0 { BACK } else { THROUGH };
        let mut server = self.volume.serve(cache)?;
        self.write_until_killed(&mut server)?;
        ensure(self.volume.is_mounted()?, || {
            "the mount is gone: a workload would find a plain directory".to_owned()
        })?;
        self.volume.unmount()?;
        self.volume.store_is_sound()?;
        let mut server = self.volume.serve(&[])?;
        for (directory, ledger) in &mut self.writers {
            ledger.compare(directory)?;
            ledger.settle(directory)?;
        }
        server.stop()?;
        self.volume.is_sound()?;
        Ok(self.writers.iter().map(|(_, ledger)| ledger.promises()).sum())
    }

    fn write_until_killed(&mut self, server: &mut Server) -> Outcome {
        let random = &mut self.random;
        thread::scope(|scope| {
            let mut writing = Vec::new();
            for (directory, ledger) in &mut self.writers {
                let mut random = Random::seeded(random.next());
                writing.push(scope.spawn(move || ledger.write(directory, &mut random)));
            }
            let killed = kill_some_day(server, random);
            for writer in writing {
                let error = writer
                    .join()
                    .map_err(|_| Failure::new("a writer panicked"))
                    .during(server.log())?;
                // A filesystem whose device fails turns read-only.
                let expected = [Errno::IO, Errno::ROFS].map(|errno| Some(errno.raw_os_error()));
                ensure(expected.contains(&error.raw_os_error()), || {
                    format!("a writer got {error}: {}", server.log())
                })?;
            }
            killed
        })
    }
}

fn kill_some_day(server: &mut Server, random: &mut Random) -> Outcome {
    for _ in 0..random.below(3) {
        thread::sleep(Duration::from_millis(random.below(800)));
        server.kill_worker()?;
    }
    thread::sleep(Duration::from_millis(100 + random.below(1500)));
    server.kill()
}
