//! Memory that begins at a page boundary, as `O_DIRECT` asks for (open(2)).

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Where a buffer begins is a multiple of this, and so is its length.
pub const ALIGNMENT: usize = 4096;

/// Bytes that begin at a multiple of [`ALIGNMENT`]. Zeroed when made, never moved.
pub struct AlignedBuffer {
    start: NonNull<u8>,
    layout: Layout,
}

impl AlignedBuffer {
    /// At least `capacity` bytes: rounded up to the next multiple of [`ALIGNMENT`], at least one of it.
    ///
    /// # Aborts
    /// As every Rust allocation where memory is short.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let length = capacity
            .max(1)
            .checked_next_multiple_of(ALIGNMENT)
            .unwrap_or(usize::MAX);
        let Ok(layout) = Layout::from_size_align(length, ALIGNMENT) else {
            // No machine has that much; end as an allocation ends that cannot be had.
            handle_alloc_error(Layout::new::<[u8; ALIGNMENT]>());
        };
        // SAFETY: the layout's size is at least ALIGNMENT, never zero.
        let start = unsafe { alloc_zeroed(layout) };
        match NonNull::new(start) {
            Some(start) => AlignedBuffer { start, layout },
            None => handle_alloc_error(layout),
        }
    }

    /// The same, every page of it there from now on and never swapped out (mlock(2)).
    ///
    /// What is read from `/dev/fuse` into other memory can be lost: where the process is killed while the kernel waits for
    /// a page, the request fails.
    ///
    /// # Errors
    /// As mlock(2): `ENOMEM` and `EPERM` at the limit on locked memory (`RLIMIT_MEMLOCK`).
    pub fn locked(capacity: usize) -> std::io::Result<Self> {
        let buffer = Self::new(capacity);
        // SAFETY: the range is the buffer's own; locking changes none of its bytes. It ends with the memory.
        unsafe { rustix::mm::mlock(buffer.start.as_ptr().cast(), buffer.capacity()) }?;
        Ok(buffer)
    }

    /// How many bytes there are.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.layout.size()
    }
}

impl Deref for AlignedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `start` points to `layout.size()` initialised bytes that this value alone owns; the
        // slice borrows the value.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.layout.size()) }
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`; the borrow is exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.layout.size()) }
    }
}

impl Drop for AlignedBuffer {
    fn drop(&mut self) {
        // SAFETY: `start` came from `alloc_zeroed` with this very layout and is not used after this.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

impl fmt::Debug for AlignedBuffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "AlignedBuffer({} bytes)", self.capacity())
    }
}

// SAFETY: the buffer owns its memory as a `Vec<u8>` does, and bytes may be used from any thread.
unsafe impl Send for AlignedBuffer {}
// SAFETY: a shared reference only reads.
unsafe impl Sync for AlignedBuffer {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_begins_and_ends_at_a_page() {
        for (asked, got) in [
            (0, 4096),
            (1, 4096),
            (4096, 4096),
            (4097, 8192),
            (1 << 20, 1 << 20),
        ] {
            let mut buffer = AlignedBuffer::new(asked);
            assert_eq!(buffer.capacity(), got);
            assert_eq!(buffer.as_ptr() as usize % ALIGNMENT, 0);
            assert!(buffer.iter().all(|byte| *byte == 0));
            buffer.fill(7);
            assert_eq!(buffer.last(), Some(&7));
        }
    }
}
