//! Memory that outlives the process that writes it: a memfd that one process maps, and that whoever holds its
//! descriptor can read when that process is gone (memfd_create(2)).
//!
//! INVARIANT: there is one writable mapping of such a file in all its life. `F_SEAL_FUTURE_WRITE` makes the kernel
//! refuse another, and every write(2); so a piece is memory that nobody else changes.

use crate::aligned::ALIGNMENT;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;

/// A part of the mapping. Begins at a page, zeroed at first.
#[derive(Debug)]
pub struct Piece {
    start: NonNull<u8>,
    length: usize,
    _mapping: Arc<Mapping>,
}

#[derive(Debug)]
struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

/// Makes `count` pieces of `length` bytes, a multiple of 4096, in one new file, all of it locked in memory. Whoever holds the descriptor can read the
/// pieces, one after the other, with pread(2).
///
/// # Errors
/// As memfd_create(2), mmap(2), mlock(2) and fcntl(2); `InvalidInput` for a length that is no multiple.
pub fn pieces(name: &str, count: usize, length: usize) -> io::Result<(OwnedFd, Vec<Piece>)> {
    let whole = count
        .checked_mul(length)
        .filter(|whole| *whole > 0 && length.is_multiple_of(ALIGNMENT))
        .ok_or(io::ErrorKind::InvalidInput)?;
    let file = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    rustix::fs::ftruncate(&file, whole as u64)?;
    // SAFETY: a new mapping at an address of the kernel's choice; it touches no memory that exists.
    let start = unsafe {
        rustix::mm::mmap(
            std::ptr::null_mut(),
            whole,
            ProtFlags::READ | ProtFlags::WRITE,
            MapFlags::SHARED,
            file.as_fd(),
            0,
        )
    }?;
    let start = NonNull::new(start.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
    let mapping = Arc::new(Mapping { start, length: whole });
    // From here on nobody can cut the file under the mapping, or change it but through the mapping.
    rustix::fs::fcntl_add_seals(
        &file,
        SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL,
    )?;
    let pieces = (0..count)
        .map(|index| Piece {
            // SAFETY: index × length is below the mapping's length.
            start: unsafe { start.add(index * length) },
            length,
            _mapping: Arc::clone(&mapping),
        })
        .collect();
    Ok((file, pieces))
}

// SAFETY: a piece is the only way to its bytes, as a Box is; the mapping behind it only ends.
unsafe impl Send for Piece {}
// SAFETY: through a shared reference bytes can only be read.
unsafe impl Sync for Piece {}
// SAFETY: it is never read through; dropped once, by whoever comes last.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Deref for Piece {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the piece's bytes are mapped for as long as it has the mapping, and nobody else can change them.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl DerefMut for Piece {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; pieces do not overlap, and this borrow of this one is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: exactly what mmap gave; no piece is left, each holds this.
        let unmapped = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.length) };
        debug_assert!(unmapped.is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    #[test]
    fn the_file_shows_what_the_pieces_hold_and_takes_nothing() {
        let (file, mut pieces) = pieces("test", 3, 8192).unwrap();
        pieces[1][4095] = 7;
        pieces[2][0] = 9;
        let file = File::from(file);
        let mut byte = [0];
        file.read_exact_at(&mut byte, 8192 + 4095).unwrap();
        assert_eq!(byte, [7]);
        assert!(file.write_at(b"x", 0).is_err());
        assert!(file.set_len(0).is_err());
        drop(pieces);
        file.read_exact_at(&mut byte, 2 * 8192).unwrap();
        assert_eq!(byte, [9]);
    }

    #[test]
    fn lengths_are_whole_pages() {
        assert!(pieces("test", 1, 100).is_err());
        assert!(pieces("test", 0, 4096).is_err());
        assert!(pieces("test", usize::MAX, 4096).is_err());
    }
}
