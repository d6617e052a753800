//! What the disk must hold: a plain vector of blocks, and the history that led to it.
//!
//! A block's content is a *stamp*: zero for a block that reads as zeros, and a number of its own for every block
//! that was ever written. The whole 4096 bytes follow from block and stamp, so a torn or misplaced one is noticed.

use crate::Wrong;
use cofferdam_disk::BLOCK;

const ZEROS: [u8; BLOCK] = [0; BLOCK];

/// A block got a stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Event {
    block: usize,
    before: u64,
    after: u64,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Oracle {
    now: Vec<u64>,
    events: Vec<Event>,
    /// How many events a flush has acknowledged.
    floor: usize,
    /// How many events were answered for: they outlive the process, if the machine goes on.
    answered: usize,
    /// The same of the flush before, so far as it was another.
    floor_before: usize,
    next_stamp: u64,
}

impl Oracle {
    /// An empty disk.
    pub fn new(blocks: usize) -> Self {
        Oracle {
            now: vec![0; blocks],
            events: Vec::new(),
            floor: 0,
            answered: 0,
            floor_before: 0,
            next_stamp: 1,
        }
    }

    /// Size in blocks.
    pub fn blocks(&self) -> usize {
        self.now.len()
    }

    /// The disk has become larger: the new blocks read as zeros, and always did.
    ///
    /// # Errors
    /// Where it has become smaller.
    pub fn grow(&mut self, blocks: usize) -> Result<(), Wrong> {
        if blocks < self.now.len() {
            return Err(Wrong::new(format!(
                "the disk has {blocks} blocks and had {}",
                self.now.len()
            )));
        }
        self.now.resize(blocks, 0);
        Ok(())
    }

    /// The stamp that a block has now.
    pub fn stamp(&self, block: usize) -> u64 {
        self.now[block]
    }

    /// A stamp that no block ever had.
    pub fn fresh(&mut self) -> u64 {
        self.next_stamp += 1;
        self.next_stamp - 1
    }

    /// A block got a stamp, in the order of the log.
    pub fn set(&mut self, block: usize, after: u64) {
        let before = std::mem::replace(&mut self.now[block], after);
        if before != after {
            self.events.push(Event { block, before, after });
        }
    }

    /// Everything up to now is on stable storage.
    pub fn flushed(&mut self) {
        if self.events.len() > self.floor {
            self.floor_before = self.floor;
            self.floor = self.events.len();
        }
    }

    /// Everything up to now was answered for.
    pub fn answered(&mut self) {
        self.answered = self.events.len();
    }

    /// The process ended and a successor has its memory: what was answered for must be there.
    pub fn outlived(&mut self) {
        if self.answered > self.floor {
            self.floor_before = self.floor;
            self.floor = self.answered;
        }
    }

    /// Whether what was read (none: unreadable) is the state at one moment, at the last flush or later.
    ///
    /// # Errors
    /// Where no moment explains it.
    pub fn explains(&self, read: &[Option<u64>]) -> Result<usize, Wrong> {
        self.moment(read, self.floor)
    }

    /// The same for a store that has lost its end in a way that nothing proves: the flush before the last must be
    /// there.
    ///
    /// # Errors
    /// Where no moment explains it.
    pub fn explains_but_for_the_last_flush(&self, read: &[Option<u64>]) -> Result<usize, Wrong> {
        self.moment(read, self.floor_before)
    }

    /// The same for any moment since the beginning.
    ///
    /// # Errors
    /// Where no moment explains it.
    pub fn explains_ever(&self, read: &[Option<u64>]) -> Result<usize, Wrong> {
        self.moment(read, 0)
    }

    fn moment(&self, read: &[Option<u64>], from: usize) -> Result<usize, Wrong> {
        // From the newest moment backwards: how many blocks are different from what was read.
        // What was read of a disk that was smaller then.
        let found = |block: usize| read.get(block).copied().unwrap_or(Some(0));
        let differs = |block: usize, stamp: u64| found(block).is_some_and(|read| read != stamp);
        let mut state = self.now.clone();
        let mut wrong = (0..state.len()).filter(|b| differs(*b, state[*b])).count();
        let (mut least, mut at) = (usize::MAX, 0);
        for moment in (from..=self.events.len()).rev() {
            if wrong == 0 {
                return Ok(moment);
            }
            if wrong < least {
                (least, at) = (wrong, moment);
            }
            if let Some(event) = moment.checked_sub(1).and_then(|last| self.events.get(last)) {
                wrong -= usize::from(differs(event.block, state[event.block]));
                state[event.block] = event.before;
                wrong += usize::from(differs(event.block, event.before));
            }
        }
        Err(self.describe(read, from, at))
    }

    /// What is wrong at the moment that comes nearest.
    fn describe(&self, read: &[Option<u64>], from: usize, at: usize) -> Wrong {
        let mut state = self.now.clone();
        for event in self.events[at..].iter().rev() {
            state[event.block] = event.before;
        }
        let blocks: Vec<_> = (0..state.len())
            .filter(|b| {
                read.get(*b)
                    .is_some_and(|stamp| stamp.is_some_and(|stamp| stamp != state[*b]))
            })
            .take(8)
            .map(|b| format!("block {b} is {:?}, not {}", read.get(b), state[b]))
            .collect();
        Wrong::new(format!(
            "no moment from {from} to {} explains the disk; the nearest is {at}: {}",
            self.events.len(),
            blocks.join("; ")
        ))
    }

    /// The disk has gone back to a moment, which is now on stable storage.
    pub fn went_back_to(&mut self, moment: usize) {
        for event in self.events.split_off(moment).iter().rev() {
            self.now[event.block] = event.before;
        }
        self.floor_before = self.floor_before.min(moment);
        self.floor = self.floor.min(moment);
        self.flushed();
        self.answered();
    }
}

/// The bytes of a block with this stamp.
pub fn content(block: usize, stamp: u64) -> Vec<u8> {
    if stamp == 0 {
        return vec![0; BLOCK];
    }
    words(block, stamp).flat_map(u64::to_le_bytes).collect()
}

fn words(block: usize, stamp: u64) -> impl Iterator<Item = u64> {
    let step = (block as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..(BLOCK / 8) as u64).map(move |index| stamp.wrapping_add(step.wrapping_mul(index)))
}

/// The stamp of a block that was read.
///
/// # Errors
/// Where the bytes are none that were ever written to this block.
pub fn stamp_of(block: usize, bytes: &[u8]) -> Result<u64, Wrong> {
    let stamp = bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let same = match stamp {
        0 => bytes == ZEROS,
        _ => bytes
            .as_chunks::<8>()
            .0
            .iter()
            .zip(words(block, stamp))
            .all(|(found, word)| u64::from_le_bytes(*found) == word),
    };
    if !same {
        return Err(Wrong::new(format!(
            "block {block} is mangled (it begins with {stamp})"
        )));
    }
    Ok(stamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some(stamps: &[u64]) -> Vec<Option<u64>> {
        stamps.iter().copied().map(Some).collect()
    }

    #[test]
    fn only_moments_since_the_flush_explain_a_disk() {
        let mut oracle = Oracle::new(3);
        oracle.set(0, 1);
        oracle.flushed();
        oracle.set(1, 2);
        oracle.set(0, 3);
        oracle.set(2, 4);
        assert_eq!(oracle.explains(&some(&[1, 0, 0])).unwrap(), 1);
        assert_eq!(oracle.explains(&some(&[3, 2, 0])).unwrap(), 3);
        assert_eq!(oracle.explains(&[Some(3), None, Some(4)]).unwrap(), 4);
        // Before the flush; a subset; the later without the earlier.
        assert!(oracle.explains(&some(&[0, 0, 0])).is_err());
        assert!(oracle.explains(&some(&[3, 0, 0])).is_err());
        assert!(oracle.explains(&some(&[1, 0, 4])).is_err());
        assert_eq!(oracle.explains_ever(&some(&[0, 0, 0])).unwrap(), 0);
        oracle.went_back_to(2);
        assert_eq!(oracle.explains(&some(&[1, 2, 0])).unwrap(), 2);
        assert!(oracle.explains(&some(&[1, 0, 0])).is_err());
    }

    #[test]
    fn a_mangled_block_has_no_stamp() {
        let mut bytes = content(7, 99);
        assert_eq!(stamp_of(7, &bytes).unwrap(), 99);
        assert!(stamp_of(8, &bytes).is_err());
        bytes[4000] ^= 1;
        assert!(stamp_of(7, &bytes).is_err());
        assert_eq!(stamp_of(7, &[0; BLOCK]).unwrap(), 0);
    }
}
