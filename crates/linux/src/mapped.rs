//! Reading and writing a file as a program does that maps it (mmap(2)): for the tests of what lies below a filesystem.
//!
//! The bytes are copied through raw pointers, and no reference to the mapping is ever made: so it is sound whatever
//! others do to the file meanwhile. Where they cut it, the process gets SIGBUS.

use rustix::mm::{MapFlags, ProtFlags};
use std::{io, os::fd::AsFd, ptr};

const PAGE: u64 = 4096;

/// Reads into all of `bytes` what the file holds from `offset` on; it must be that long.
///
/// # Errors
/// As mmap(2).
pub fn read(file: impl AsFd, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
    let mapping = Mapping::new(file, offset, bytes.len(), ProtFlags::READ)?;
    // SAFETY: the mapping has `bytes.len()` bytes from there on, and does not overlap memory of this program.
    unsafe { ptr::copy_nonoverlapping(mapping.at(offset), bytes.as_mut_ptr(), bytes.len()) };
    Ok(())
}

/// Writes `bytes` at `offset`; the file must be long enough.
///
/// # Errors
/// As mmap(2): `EACCES` where the file is not open for both reading and writing.
pub fn write(file: impl AsFd, offset: u64, bytes: &[u8]) -> io::Result<()> {
    let mapping = Mapping::new(file, offset, bytes.len(), ProtFlags::READ | ProtFlags::WRITE)?;
    // SAFETY: as in `read`, and the mapping is writable.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), mapping.at(offset), bytes.len()) };
    Ok(())
}

/// A shared mapping that begins at the page of an offset.
struct Mapping {
    start: *mut u8,
    length: usize,
}

impl Mapping {
    fn new(file: impl AsFd, offset: u64, length: usize, protection: ProtFlags) -> io::Result<Self> {
        let skew = offset % PAGE;
        let length = usize::try_from(skew)
            .ok()
            .and_then(|skew| skew.checked_add(length))
            .ok_or(io::ErrorKind::InvalidInput)?;
        let (hint, flags) = (ptr::null_mut(), MapFlags::SHARED);
        // SAFETY: a new mapping at an address of the kernel's choice; it touches no memory that exists.
        let start = unsafe { rustix::mm::mmap(hint, length, protection, flags, file, offset - skew) }?;
        Ok(Mapping {
            start: start.cast(),
            length,
        })
    }

    fn at(&self, offset: u64) -> *mut u8 {
        self.start
            .wrapping_add(usize::try_from(offset % PAGE).unwrap_or_default())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and no reference to it exists.
        if unsafe { rustix::mm::munmap(self.start.cast(), self.length) }.is_err() {
            // Nothing to be done: then it stays until the process ends.
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn what_is_written_through_a_mapping_is_in_the_file() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(3 * PAGE).unwrap();
        write(&file, 4000, &[7; 200]).unwrap();
        let mut found = [0; 202];
        file.read_exact_at(&mut found, 3999).unwrap();
        assert_eq!((found[0], &found[1..201], found[201]), (0, &[7; 200][..], 0));
        let mut found = [0; 200];
        read(&file, 4000, &mut found).unwrap();
        assert_eq!(found, [7; 200]);
    }
}
