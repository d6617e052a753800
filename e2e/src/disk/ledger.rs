//! Writers on a disk that remember elsewhere what was promised to them.
//!
//! What was written and fsynced before a crash must be there after it, whole. What was written and not fsynced may be
//! there or not; anything else may not.

use crate::failure::{During, Failure, Outcome, ensure};
use std::{
    collections::VecDeque,
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
};

/// Bytes of a block.
const BLOCK: usize = 4096;

/// Blocks of the file that is written in place.
const BLOCKS: u64 = 2048;

/// Whole files that are there at the same time, at most.
const FILES: usize = 400;

/// The file that is written in place.
const IN_PLACE: &str = "in-place";

/// What was promised about one directory.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Numbers of whole files that were fsynced, with their directory.
    files: VecDeque<u64>,
    next_file: u64,
    /// For each block of the file in place: the newest version that was fsynced, and the newest that was tried.
    blocks: Vec<(u64, u64)>,
}

impl Ledger {
    /// Begins in an empty directory.
    ///
    /// # Errors
    /// As writing.
    pub fn begin(directory: &Path) -> Outcome<Self> {
        let file = File::create(directory.join(IN_PLACE)).during("the file in place")?;
        for number in 0..BLOCKS {
            file.write_all_at(&pattern(number, 0, BLOCK), number * BLOCK as u64)?;
        }
        file.sync_all()?;
        File::open(directory)?.sync_all()?;
        Ok(Ledger {
            blocks: vec![(0, 0); usize::try_from(BLOCKS)?],
            ..Ledger::default()
        })
    }

    /// How much was promised so far.
    pub fn promises(&self) -> usize {
        self.files.len() + self.blocks.iter().filter(|block| block.0 > 0).count()
    }

    /// Writes until an error comes, which is answered: a file of a few blocks, some blocks in place, and again.
    pub fn write(&mut self, directory: &Path, random: &mut Random) -> std::io::Error {
        loop {
            if let Err(error) = self.write_once(directory, random) {
                return error;
            }
        }
    }

    /// Does one round of it.
    ///
    /// # Errors
    /// As writing.
    pub fn write_once(&mut self, directory: &Path, random: &mut Random) -> std::io::Result<()> {
        let number = self.next_file;
        self.next_file += 1;
        let file = File::create(directory.join(number.to_string()))?;
        file.write_all_at(&whole_file(number), 0)?;
        file.sync_all()?;
        File::open(directory)?.sync_all()?;
        self.files.push_back(number);
        if self.files.len() > FILES
            && let Some(oldest) = self.files.pop_front()
        {
            fs::remove_file(directory.join(oldest.to_string()))?;
        }
        let file = File::options().write(true).open(directory.join(IN_PLACE))?;
        let mut touched = Vec::new();
        for _ in 0..8 {
            let index = random.below(BLOCKS);
            if let Some(block) = usize::try_from(index).ok().and_then(|at| self.blocks.get_mut(at)) {
                block.1 += 1;
                file.write_all_at(&pattern(index, block.1, BLOCK), index * BLOCK as u64)?;
                touched.push(index);
            }
        }
        file.sync_data()?;
        for index in touched {
            if let Some(block) = usize::try_from(index).ok().and_then(|at| self.blocks.get_mut(at)) {
                block.0 = block.1;
            }
        }
        Ok(())
    }

    /// Compares what is there with what was promised.
    ///
    /// # Errors
    /// What is missing or wrong.
    pub fn compare(&self, directory: &Path) -> Outcome {
        for number in &self.files {
            let path = directory.join(number.to_string());
            let found = fs::read(&path).during(format!("a file that was fsynced: {}", path.display()))?;
            ensure(found == whole_file(*number), || {
                format!("{} was fsynced and is not whole", path.display())
            })?;
        }
        let file = File::open(directory.join(IN_PLACE)).during("the file in place")?;
        let mut found = vec![0; BLOCK];
        for (index, (promised, tried)) in (0..).zip(&self.blocks) {
            file.read_exact_at(&mut found, index * BLOCK as u64)?;
            let version = (*promised..=*tried).find(|version| found == pattern(index, *version, BLOCK));
            version.ok_or_else(|| {
                Failure::new(format!(
                    "block {index} in place is none of the versions {promised} to {tried}; it begins with {:?}",
                    found.get(..32).unwrap_or_default()
                ))
            })?;
        }
        Ok(())
    }

    /// Notes what is there as what was promised, after [`Self::compare`] and a sync of all: from here on it may not
    /// change by itself.
    ///
    /// # Errors
    /// As reading.
    pub fn settle(&mut self, directory: &Path) -> Outcome {
        let file = File::open(directory.join(IN_PLACE)).during("the file in place")?;
        let mut found = vec![0; BLOCK];
        for (index, block) in (0..).zip(&mut self.blocks) {
            file.read_exact_at(&mut found, index * BLOCK as u64)?;
            let there = (block.0..=block.1).find(|version| found == pattern(index, *version, BLOCK));
            block.0 = there.during("a block that was compared")?;
        }
        Ok(())
    }
}

/// The bytes of a file: between one byte and 64 KiB.
fn whole_file(number: u64) -> Vec<u8> {
    let length = 1 + Random::seeded(number).below(64 << 10);
    pattern(number, u64::MAX, usize::try_from(length).unwrap_or(1))
}

/// Bytes that tell which block and version they are.
fn pattern(number: u64, version: u64, length: usize) -> Vec<u8> {
    let mut random = Random::seeded(number.rotate_left(32) ^ version);
    let mut bytes = Vec::with_capacity(length + 16);
    bytes.extend(number.to_le_bytes());
    bytes.extend(version.to_le_bytes());
    while bytes.len() < length {
        bytes.extend(random.next().to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Numbers that a seed repeats (xorshift64*, Vigna 2016).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// From a seed; seeds that are neighbours have nothing in common (splitmix64, Steele 2014).
    pub fn seeded(seed: u64) -> Self {
        let mut mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Random((mixed ^ (mixed >> 31)) | 1)
    }

    /// The next.
    #[expect(
        clippy::should_implement_trait,
        reason = "it never ends, so it is no iterator"
    )]
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// One below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}
