//! One file, operations at random against a copy in memory, as fsx does it: writes, appends, truncation, mmap, holes,
//! zeros, collapsed and inserted ranges, reads, syncs, reopening, past the page cache and through it; and kills of the
//! worker in between.

use crate::ground::{alone, volume};
use cofferdam_linux::{aligned::AlignedBuffer, mapped};
use e2e::{
    Outcome,
    disk::{Server, ledger::Random, volume::CACHES},
    failure::{During, ensure},
};
use rustix::fs::{FallocateFlags, OFlags, fallocate};
use std::{
    fs::File,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// How large the file may become.
const MOST: u64 = 4 << 20;

/// The most bytes of one operation.
const STRIDE: u64 = 128 << 10;

/// Operations in all.
const OPERATIONS: usize = 4000;

/// Operations after which the worker is killed; as many as a minder forgives.
const KILLS: [usize; 5] = [500, 1100, 1900, 2500, 3300];

const BLOCK: u64 = 4096;

#[test]
fn a_file_holds_what_was_done_to_it() {
    for cache in CACHES {
        holds_what_was_done(cache);
    }
}

fn holds_what_was_done(cache: &'static [&'static str]) {
    alone(|place| {
        let seed = u64::from(std::process::id());
        println!("seed {seed}");
        let volume = volume(place, "256M")?;
        let mut server = volume.serve(cache)?;
        let path = volume.mount.join("file");
        let mut subject = Subject::new(&path, seed)?;
        for number in 0..OPERATIONS {
            subject.operate(number)?;
            if KILLS.contains(&number) {
                kill_while(&server, &mut subject, number)?;
            }
        }
        // Without its open files, so that the mount is not in use.
        let expected = std::mem::take(&mut subject.expected);
        drop(subject);
        compare_all(&path, &expected).during("at the end")?;
        server.stop()?;
        volume.is_sound()?;
        let mut server = volume.serve(&[])?;
        compare_all(&path, &expected).during("after another mount")?;
        server.stop()
    });
}

/// Goes on while the worker is killed, so that the file's next blocks are asked for in the middle of it.
fn kill_while(server: &Server, subject: &mut Subject, number: usize) -> Outcome {
    std::thread::scope(|scope| {
        let killed = scope.spawn(|| server.kill_worker());
        while !killed.is_finished() {
            subject.operate(number)?;
            subject.file.sync_data()?;
        }
        killed.join().expect("the killer")
    })
}

/// The file and what it must hold.
struct Subject {
    path: PathBuf,
    file: File,
    direct: File,
    expected: Vec<u8>,
    random: Random,
}

impl Subject {
    fn new(path: &Path, seed: u64) -> Outcome<Self> {
        File::create(path)?;
        let (file, direct) = open(path)?;
        Ok(Subject {
            path: path.to_owned(),
            file,
            direct,
            expected: Vec::new(),
            random: Random::seeded(seed),
        })
    }

    fn reopen(&mut self) -> Outcome {
        (self.file, self.direct) = open(&self.path)?;
        Ok(())
    }

    fn length(&self) -> u64 {
        self.expected.len() as u64
    }

    fn operate(&mut self, number: usize) -> Outcome {
        let kind = self.random.below(15);
        let at = self.random.below(MOST - STRIDE);
        let length = 1 + self.random.below(STRIDE);
        let inside = at.min(self.length());
        match kind {
            0..=2 => self.write(at, length),
            3 => self.write(self.length().min(MOST - STRIDE), length),
            4 => self.write_direct(at / BLOCK * BLOCK, length.next_multiple_of(BLOCK)),
            5 => self.truncate(at),
            6 => self.punch(at, length),
            7 => self.zero(at, length),
            8 => self.allocate(at, length),
            9 => self.collapse(at / BLOCK * BLOCK, length.next_multiple_of(BLOCK)),
            10 => self.insert(inside / BLOCK * BLOCK, length.next_multiple_of(BLOCK)),
            11 => self.map(inside, length),
            12 => self.sync(),
            13 => self.read_direct(inside / BLOCK * BLOCK, length.next_multiple_of(BLOCK)),
            _ => self.read(inside, length),
        }
        .during(format_args!(
            "operation {number}: kind {kind} at {at}, {length} bytes"
        ))
    }

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..length).map(|_| self.random.next().to_le_bytes()[7]).collect()
    }

    /// Makes room, and notes bytes.
    fn note(&mut self, at: u64, bytes: &[u8]) {
        let start = usize::try_from(at).unwrap();
        let end = start + bytes.len();
        if self.expected.len() < end {
            self.expected.resize(end, 0);
        }
        self.expected[start..end].copy_from_slice(bytes);
    }

    fn write(&mut self, at: u64, length: u64) -> Outcome {
        let bytes = self.bytes(length);
        self.file.write_all_at(&bytes, at)?;
        self.note(at, &bytes);
        Ok(())
    }

    fn write_direct(&mut self, at: u64, length: u64) -> Outcome {
        let mut memory = AlignedBuffer::new(usize::try_from(length)?);
        let bytes = self.bytes(length);
        memory.copy_from_slice(&bytes);
        self.direct.write_all_at(&memory, at)?;
        self.note(at, &bytes);
        Ok(())
    }

    fn truncate(&mut self, length: u64) -> Outcome {
        self.file.set_len(length)?;
        self.expected.resize(usize::try_from(length)?, 0);
        Ok(())
    }

    /// A hole, as far as the file goes.
    fn punch(&mut self, at: u64, length: u64) -> Outcome {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&self.file, flags, at, length)?;
        self.clear(at, length);
        Ok(())
    }

    fn zero(&mut self, at: u64, length: u64) -> Outcome {
        fallocate(&self.file, FallocateFlags::ZERO_RANGE, at, length)?;
        self.extend(at + length);
        self.clear(at, length);
        Ok(())
    }

    fn allocate(&mut self, at: u64, length: u64) -> Outcome {
        fallocate(&self.file, FallocateFlags::empty(), at, length)?;
        self.extend(at + length);
        Ok(())
    }

    fn extend(&mut self, end: u64) {
        let end = usize::try_from(end).unwrap();
        if self.expected.len() < end {
            self.expected.resize(end, 0);
        }
    }

    fn clear(&mut self, at: u64, length: u64) {
        let end = (at + length).min(self.length());
        let range = usize::try_from(at.min(end)).unwrap()..usize::try_from(end).unwrap();
        self.expected[range].fill(0);
    }

    /// Takes a range out of the middle; where the file ends before it does, there is nothing to do.
    fn collapse(&mut self, at: u64, length: u64) -> Outcome {
        if at + length >= self.length() {
            return Ok(());
        }
        fallocate(&self.file, FallocateFlags::COLLAPSE_RANGE, at, length)?;
        self.expected
            .drain(usize::try_from(at)?..usize::try_from(at + length)?);
        Ok(())
    }

    /// Puts zeros into the middle.
    fn insert(&mut self, at: u64, length: u64) -> Outcome {
        if at >= self.length() || self.length() + length > MOST {
            return Ok(());
        }
        fallocate(&self.file, FallocateFlags::INSERT_RANGE, at, length)?;
        let start = usize::try_from(at)?;
        let zeros = vec![0; usize::try_from(length)?];
        self.expected.splice(start..start, zeros);
        Ok(())
    }

    /// Writes through memory that is mapped.
    fn map(&mut self, at: u64, length: u64) -> Outcome {
        let length = length.min(self.length() - at);
        if length == 0 {
            return Ok(());
        }
        let bytes = self.bytes(length);
        mapped::write(&self.file, at, &bytes)?;
        self.note(at, &bytes);
        Ok(())
    }

    fn sync(&mut self) -> Outcome {
        if self.random.below(2) == 0 {
            self.file.sync_all()?;
        } else {
            self.reopen()?;
        }
        Ok(())
    }

    fn read(&mut self, at: u64, length: u64) -> Outcome {
        let length = length.min(self.length() - at);
        let mut found = vec![0; usize::try_from(length)?];
        if self.random.below(2) == 0 || found.is_empty() {
            self.file.read_exact_at(&mut found, at)?;
        } else {
            mapped::read(&self.file, at, &mut found)?;
        }
        self.compare(at, &found)
    }

    fn read_direct(&mut self, at: u64, length: u64) -> Outcome {
        let mut memory = AlignedBuffer::new(usize::try_from(length)?);
        let count = self.direct.read_at(&mut memory, at)?;
        let expected = length.min(self.length() - at);
        ensure(count as u64 == expected, || {
            format!("{count} bytes were read, not {expected}")
        })?;
        self.compare(at, &memory[..count])
    }

    fn compare(&self, at: u64, found: &[u8]) -> Outcome {
        let start = usize::try_from(at)?;
        compare(start, &self.expected[start..start + found.len()], found)
    }
}

fn compare_all(path: &Path, expected: &[u8]) -> Outcome {
    let found = std::fs::read(path)?;
    ensure(found.len() == expected.len(), || {
        format!("{} bytes long, not {}", found.len(), expected.len())
    })?;
    compare(0, expected, &found)
}

/// What was found from `start` on, against what must be there.
fn compare(start: usize, expected: &[u8], found: &[u8]) -> Outcome {
    let wrong = expected.iter().zip(found).position(|(one, other)| one != other);
    ensure(wrong.is_none(), || {
        format!("byte {} is wrong", start + wrong.unwrap_or_default())
    })
}

/// Through the page cache, and past it.
fn open(path: &Path) -> Outcome<(File, File)> {
    let mut options = File::options();
    options.read(true).write(true);
    let file = options.open(path)?;
    options.custom_flags(i32::try_from(OFlags::DIRECT.bits())?);
    Ok((file, options.open(path)?))
}
