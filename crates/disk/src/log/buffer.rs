//! Memory for records that are not on the store yet: a fixed number of buffers, taken once and used again.
//!
//! A buffer of an [`Arena`] outlives the process. It begins with a page that says what it holds: so a successor can
//! write what this process had acknowledged and not written (see [`Rescue`]).
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | epoch of the segment, u64 |
//! | 8 | 8 | its sequence, u64 |
//! | 16 | 4 | offset in it, u32 |
//! | 20 | 4 | bytes of whole records from byte 4096 on, u32; 0: the buffer holds nothing |

use crate::geometry::{RECORD_BUFFER, SegmentName};
use cofferdam_linux::{
    aligned::AlignedBuffer,
    shared_memory::{self, Piece},
};
use std::{
    fs::File,
    io,
    os::{fd::OwnedFd, unix::fs::FileExt},
    sync::atomic::{Ordering, compiler_fence},
};

/// The page that says what a buffer holds.
const LABEL: usize = 4096;

/// Bytes of a buffer with its label.
const WHOLE: usize = LABEL + RECORD_BUFFER;

/// 1 MiB that begins at a page.
pub(crate) struct Buffer(Memory);

enum Memory {
    Own(AlignedBuffer),
    Shared(Piece),
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Buffer")
    }
}

impl Buffer {
    fn own() -> Self {
        Buffer(Memory::Own(AlignedBuffer::new(WHOLE)))
    }

    fn whole(&self) -> &[u8] {
        match &self.0 {
            Memory::Own(memory) => memory,
            Memory::Shared(piece) => piece,
        }
    }

    fn whole_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Memory::Own(memory) => memory,
            Memory::Shared(piece) => piece,
        }
    }

    /// The records.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.whole().get(LABEL..).unwrap_or_default()
    }

    /// The records.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        self.whole_mut().get_mut(LABEL..).unwrap_or_default()
    }

    /// Says which part of which segment the records will be; so far there are none.
    pub(crate) fn label(&mut self, name: SegmentName, offset: u32) {
        self.hold(0);
        let label = [name.epoch.to_le_bytes(), name.sequence.to_le_bytes()].concat();
        if let Some(place) = self.whole_mut().get_mut(..16) {
            place.copy_from_slice(&label);
        }
        if let Some(place) = self.whole_mut().get_mut(16..20) {
            place.copy_from_slice(&offset.to_le_bytes());
        }
    }

    /// Says that so many bytes are whole records. Whoever looks after a sudden end sees all that came before this.
    pub(crate) fn hold(&mut self, bytes: u32) {
        compiler_fence(Ordering::SeqCst);
        if let Some(place) = self.whole_mut().get_mut(20..24) {
            place.copy_from_slice(&bytes.to_le_bytes());
        }
        compiler_fence(Ordering::SeqCst);
    }
}

/// Buffers that outlive the process, and the descriptor by which somebody else can read them then.
#[derive(Debug)]
pub struct Arena {
    pieces: Vec<Piece>,
}

impl Arena {
    /// Makes `count` buffers of 1 MiB. The descriptor is for whoever starts the successor.
    ///
    /// # Errors
    /// As memfd_create(2) and mmap(2).
    pub fn new(count: usize) -> io::Result<(OwnedFd, Self)> {
        let (file, pieces) = shared_memory::pieces("cofferdam-arena", count.max(2), WHOLE)?;
        Ok((file, Arena { pieces }))
    }
}

/// What a process that has ended left in its [`Arena`]: records that were acknowledged, perhaps not written.
#[derive(Debug)]
pub struct Rescue(File);

/// Records of one segment that belong at one offset.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) name: SegmentName,
    pub(crate) offset: u32,
    pub(crate) length: usize,
    pub(crate) buffer: Buffer,
}

impl Rescue {
    /// From the descriptor of an arena whose process has ended.
    pub fn new(arena: OwnedFd) -> Self {
        Rescue(arena.into())
    }

    /// All that was left.
    ///
    /// # Errors
    /// As pread(2).
    pub(crate) fn left(&self) -> io::Result<Vec<Left>> {
        let count = self.0.metadata()?.len() / WHOLE as u64;
        let mut left = Vec::new();
        for index in 0..count {
            let start = index * WHOLE as u64;
            let mut label = [0; 24];
            self.0.read_exact_at(&mut label, start)?;
            let number = |from: usize, to: usize| {
                let bytes = label.get(from..to).unwrap_or_default();
                bytes
                    .iter()
                    .rev()
                    .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
            };
            let length = usize::try_from(number(20, 24)).unwrap_or(usize::MAX);
            if length == 0 || length > RECORD_BUFFER {
                continue;
            }
            let mut buffer = Buffer::own();
            let bytes = buffer.bytes_mut().get_mut(..length).unwrap_or_default();
            self.0.read_exact_at(bytes, start + LABEL as u64)?;
            left.push(Left {
                name: SegmentName {
                    epoch: number(0, 8),
                    sequence: number(8, 16),
                },
                offset: u32::try_from(number(16, 20)).unwrap_or(u32::MAX),
                length,
                buffer,
            });
        }
        Ok(left)
    }
}

/// Buffers that wait for use.
#[derive(Debug)]
pub(crate) struct Pool {
    free: Vec<Buffer>,
    #[cfg(feature = "judge")]
    total: usize,
}

impl Pool {
    /// Those of an arena, or `count` of the process's own.
    pub(crate) fn new(count: usize, arena: Option<Arena>) -> Self {
        let free: Vec<_> = match arena {
            Some(arena) => arena
                .pieces
                .into_iter()
                .map(|piece| Buffer(Memory::Shared(piece)))
                .collect(),
            None => (0..count.max(2)).map(|_| Buffer::own()).collect(),
        };
        Pool {
            #[cfg(feature = "judge")]
            total: free.len(),
            free,
        }
    }

    pub(crate) fn take(&mut self) -> Option<Buffer> {
        self.free.pop()
    }

    pub(crate) fn give_back(&mut self, mut buffer: Buffer) {
        buffer.hold(0);
        self.free.push(buffer);
    }

    /// How many wait for use.
    #[cfg(feature = "judge")]
    pub(crate) fn free(&self) -> usize {
        self.free.len()
    }

    /// How many there are.
    #[cfg(feature = "judge")]
    pub(crate) fn total(&self) -> usize {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_begin_at_a_page_and_are_whole() {
        let mut buffer = Buffer::own();
        assert_eq!(buffer.bytes().as_ptr().align_offset(4096), 0);
        assert_eq!(buffer.bytes_mut().len(), RECORD_BUFFER);
    }

    #[test]
    fn what_is_left_is_what_was_held() {
        let (file, arena) = Arena::new(3).unwrap();
        let mut pool = Pool::new(0, Some(arena));
        let name = SegmentName {
            epoch: 2,
            sequence: 9,
        };
        let (mut a, mut b) = (pool.take().unwrap(), pool.take().unwrap());
        a.label(name, 512);
        a.bytes_mut()[..1024].fill(1);
        a.hold(1024);
        b.label(name, 2048);
        b.bytes_mut()[..512].fill(2);
        b.hold(512);
        pool.give_back(b);
        drop((a, pool));
        let left = Rescue::new(file).left().unwrap();
        let [left] = &left[..] else {
            panic!("{left:?}");
        };
        assert_eq!((left.name, left.offset, left.length), (name, 512, 1024));
        assert_eq!(left.buffer.bytes()[..1024], [1; 1024]);
    }
}
