//! What keeps bytes when the process dies: segments in sectors of 512 bytes, names, one head.
//!
//! | act | what a crash may leave of it |
//! |---|---|
//! | write | any of its sectors, whatever was written before or after, until a sync of that segment |
//! | make | all of it once it has answered; before: nothing, the name with older bytes, or all |
//! | delete | the name may come back until the next make has answered |
//! | head | the old one or the new one; the new one once it has answered |

use crate::random::Random;
use cofferdam_disk::geometry::SegmentName;
use std::collections::BTreeMap;

/// What a crash leaves whole, in bytes.
pub const SECTOR: usize = 512;

/// The most bodies of deleted segments that are used again.
const SPARES: usize = 4;

/// A segment: its bytes as they are read now, and what is under those that no sync has reached.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// As they are read now.
    pub bytes: Vec<u8>,
    unsynced: BTreeMap<usize, [u8; SECTOR]>,
}

/// Everything.
#[derive(Debug, Clone)]
pub struct Medium {
    /// Segments by name.
    pub segments: BTreeMap<SegmentName, Body>,
    /// The head.
    pub head: Option<Vec<u8>>,
    /// Counts the head's replacements.
    pub heads: u64,
    /// The most segments for which there is room.
    pub room: usize,
    deleted: Vec<(SegmentName, Body)>,
    spares: Vec<Vec<u8>>,
    random: Random,
}

impl Medium {
    /// An empty one with room for so many segments.
    pub fn new(room: usize, random: Random) -> Self {
        Medium {
            segments: BTreeMap::new(),
            head: None,
            heads: 0,
            room,
            deleted: Vec::new(),
            spares: Vec::new(),
            random,
        }
    }

    /// Makes a segment; none where there is no room.
    pub fn make(&mut self, name: SegmentName, bytes: u32, header: &[u8]) -> Option<()> {
        if self.segments.len() >= self.room {
            return None;
        }
        let mut body = self.body(bytes as usize);
        body[..header.len()].copy_from_slice(header);
        self.put(name, body);
        // The directory is synced: what was deleted before stays deleted.
        self.deleted.clear();
        Some(())
    }

    /// What a make that did not answer may leave.
    pub fn make_in_part(&mut self, name: SegmentName, bytes: u32, header: &[u8]) {
        if self.segments.len() >= self.room {
            return;
        }
        match self.random.below(3) {
            0 => {}
            1 => {
                let body = self.body(bytes as usize);
                self.put(name, body);
            }
            _ => {
                let mut body = self.body(bytes as usize);
                body[..header.len()].copy_from_slice(header);
                self.put(name, body);
            }
        }
    }

    fn body(&mut self, bytes: usize) -> Vec<u8> {
        // Sometimes fresh, sometimes what a deleted segment held.
        let again = self.random.percent(70);
        let mut body = self.spares.pop().filter(|_| again).unwrap_or_default();
        body.resize(bytes, 0);
        body
    }

    fn put(&mut self, name: SegmentName, bytes: Vec<u8>) {
        let unsynced = BTreeMap::new();
        self.segments.insert(name, Body { bytes, unsynced });
    }

    /// Writes without a sync; none where there is no such place.
    pub fn write(&mut self, name: SegmentName, offset: usize, bytes: &[u8]) -> Option<()> {
        let body = self.segments.get_mut(&name)?;
        let place = body.bytes.get_mut(offset..offset + bytes.len())?;
        for (index, sector) in place.as_chunks::<SECTOR>().0.iter().enumerate() {
            let number = offset / SECTOR + index;
            body.unsynced.entry(number).or_insert(*sector);
        }
        place.copy_from_slice(bytes);
        Some(())
    }

    /// Syncs a segment; none where there is no such segment.
    pub fn sync(&mut self, name: SegmentName) -> Option<()> {
        self.segments.get_mut(&name)?.unsynced.clear();
        Some(())
    }

    /// Deletes a segment.
    pub fn delete(&mut self, name: SegmentName) {
        if let Some(body) = self.segments.remove(&name) {
            if self.spares.len() < SPARES {
                self.spares.push(body.bytes.clone());
            }
            self.deleted.push((name, body));
        }
    }

    /// Replaces the head.
    pub fn put_head(&mut self, new: &[u8]) {
        self.head = Some(new.to_vec());
        self.heads += 1;
    }

    /// One time in two.
    pub fn is_lucky(&mut self) -> bool {
        self.random.percent(50)
    }

    /// The machine loses its power: of what was not synced, anything may be left.
    pub fn crash(&mut self) {
        for (name, body) in std::mem::take(&mut self.deleted) {
            if self.random.percent(50) {
                self.segments.entry(name).or_insert(body);
            }
        }
        let kept = self.random.pick(&[0, 15, 50, 85, 100]);
        for body in self.segments.values_mut() {
            for (number, old) in std::mem::take(&mut body.unsynced) {
                if !self.random.percent(kept) {
                    body.bytes[number * SECTOR..][..SECTOR].copy_from_slice(&old);
                }
            }
        }
    }
}
