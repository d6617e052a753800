//! Reads through the host's page cache, which bring more than was asked for: blocks that were written together lie together,
//! and one read of 64 KiB takes hardly longer than one of 4.
//!
//! Only while memory lies idle: once the page cache has all of it, what is read around pushes out what was worth keeping.

use rustix::{fs::Advice, io::ReadWriteFlags};
use std::{
    fs::File,
    io::{self, IoSliceMut},
    num::NonZeroU64,
    os::unix::fs::FileExt,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

/// How much is read at once, from a multiple of it on. Measured: `docs/decisions`, 0011.
const AROUND: u64 = 64 << 10;

/// After how many reads from the store it is looked again whether memory lies idle.
const LOOK: u32 = 64;

/// Of so many parts of the memory one must be free to lie idle.
const PARTS: u64 = 8;

/// Whether this host has memory that nothing uses, not even its page cache (sysinfo(2)).
pub(super) fn memory_lies_idle() -> bool {
    let host = rustix::system::sysinfo();
    host.freeram > host.totalram / PARTS
}

/// When it was last looked, and what was seen.
#[derive(Debug)]
pub(super) struct Around {
    looks: fn() -> bool,
    worth: AtomicBool,
    missed: AtomicU32,
}

impl Around {
    /// `looks` says whether memory lies idle.
    pub(super) fn new(looks: fn() -> bool) -> Self {
        Around {
            looks,
            worth: AtomicBool::new(true),
            missed: AtomicU32::new(0),
        }
    }

    /// Fills `memory` from the file.
    ///
    /// # Errors
    /// As pread(2); `UnexpectedEof` where the file ends.
    pub(super) fn read(&self, file: &File, memory: &mut [u8], offset: u64) -> io::Result<()> {
        // What is longer brings enough by itself.
        let done = match (memory.len() as u64) < AROUND {
            true => self.read_cached(file, memory, offset),
            false => 0,
        };
        match memory.get_mut(done..) {
            Some(rest) if !rest.is_empty() => file.read_exact_at(rest, offset + done as u64),
            _ => Ok(()),
        }
    }

    /// Reads what the page cache has, and where that is not all, has the rest read into it with what is around. Answers how
    /// many bytes it had. What fails here is for the read that follows to tell.
    fn read_cached(&self, file: &File, memory: &mut [u8], offset: u64) -> usize {
        let end = offset + memory.len() as u64;
        let mut slices = [IoSliceMut::new(memory)];
        let done = rustix::io::preadv2(file, &mut slices, offset, ReadWriteFlags::NOWAIT).unwrap_or_default();
        if offset + done as u64 != end && self.is_worth_it() {
            let start = offset / AROUND * AROUND;
            let length = NonZeroU64::new(end.next_multiple_of(AROUND) - start);
            rustix::fs::fadvise(file, start, length, Advice::WillNeed).unwrap_or_default();
        }
        done
    }

    fn is_worth_it(&self) -> bool {
        if self.missed.fetch_add(1, Ordering::Relaxed).is_multiple_of(LOOK) {
            self.worth.store((self.looks)(), Ordering::Relaxed);
        }
        self.worth.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: usize) -> File {
        let file = tempfile::tempfile_in("/var/tmp").unwrap();
        let content: Vec<u8> = (0..bytes).map(|at| (at / 7 % 251) as u8).collect();
        file.write_all_at(&content, 0).unwrap();
        file.sync_all().unwrap();
        file
    }

    fn forget(file: &File) {
        rustix::fs::fadvise(file, 0, None, Advice::DontNeed).unwrap();
    }

    fn read(around: &Around, file: &File, offset: u64, length: usize) -> Vec<u8> {
        let mut memory = vec![0; length];
        around.read(file, &mut memory, offset).unwrap();
        memory
    }

    /// Whether the page cache has the bytes.
    fn is_cached(file: &File, offset: u64) -> bool {
        let mut byte = [0];
        let mut slices = [IoSliceMut::new(&mut byte)];
        rustix::io::preadv2(file, &mut slices, offset, ReadWriteFlags::NOWAIT) == Ok(1)
    }

    #[test]
    fn what_is_around_is_read_while_memory_lies_idle() {
        let file = file(1 << 20);
        forget(&file);
        let around = Around::new(|| true);
        assert_eq!(read(&around, &file, 5000, 4112)[0], (5000 / 7 % 251) as u8);
        // What is around is still on its way when the read is done.
        let begun = std::time::Instant::now();
        while !(is_cached(&file, 0) && is_cached(&file, AROUND - 1)) {
            assert!(begun.elapsed().as_secs() < 20, "nothing more was read");
        }
        assert!(!is_cached(&file, 2 * AROUND));
        let around = Around::new(|| false);
        read(&around, &file, 4 * AROUND, 4112);
        assert!(is_cached(&file, 4 * AROUND));
        assert!(!is_cached(&file, 5 * AROUND - 1), "there is no memory for that");
    }

    #[test]
    fn it_is_looked_again_whether_memory_lies_idle() {
        static IDLE: AtomicBool = AtomicBool::new(true);
        let around = Around::new(|| IDLE.load(Ordering::Relaxed));
        assert!(around.is_worth_it());
        IDLE.store(false, Ordering::Relaxed);
        let until = (0..=LOOK).take_while(|_| around.is_worth_it()).count();
        assert!(until < LOOK as usize, "never again in {until}");
    }

    #[test]
    fn the_bytes_are_right_across_pieces_and_at_the_end() {
        let file = file(3 * AROUND as usize + 100);
        let around = Around::new(|| true);
        for cold in [true, false] {
            for (offset, length) in [
                (AROUND - 2000, 4112),
                (2 * AROUND - 1, 2),
                (3 * AROUND - 50, 150),
                (0, 2 * AROUND as usize),
                (7, 0),
            ] {
                if cold {
                    forget(&file);
                }
                let bytes = read(&around, &file, offset, length);
                let right = (offset..).map(|at| (at / 7 % 251) as u8);
                assert!(bytes.iter().copied().eq(right.take(length)), "{offset} {length}");
            }
        }
        let mut memory = [0; 200];
        let error = around.read(&file, &mut memory, 3 * AROUND).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
