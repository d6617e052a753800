//! The pages behind [`Locked`](super::Locked): arenas cut into slots of one size, so that many small secrets
//! share locked pages (`RLIMIT_MEMLOCK` is 8 MiB by default, 64 KiB before Linux 5.16).
//!
//! An arena has a page without access on either side, against overruns from neighbours, and is unmapped
//! with its last slot.

use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags};
use std::io;
use std::ptr::NonNull;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Slots begin at multiples of this, and their sizes are multiples of it, in bytes.
pub(super) const ALIGN: usize = 64;

/// The least size of an arena, in bytes.
const ARENA: usize = 16 * 1024;

static POOL: Mutex<Vec<Arena>> = Mutex::new(Vec::new());

/// A place for one secret. Dropped, it is overwritten and free for the next.
pub(super) struct Slot {
    start: NonNull<u8>,
    size: usize,
}

impl Slot {
    /// A place of at least `size` bytes, all zero, in locked pages.
    pub(super) fn take(size: usize) -> io::Result<Self> {
        let size = rounded(size)?;
        let mut arenas = arenas();
        if let Some(start) = arenas
            .iter_mut()
            .filter(|arena| arena.size == size)
            .find_map(Arena::take)
        {
            return Ok(Slot { start, size });
        }
        let mut arena = Arena::map(size)?;
        let start = arena.take().ok_or(io::ErrorKind::OutOfMemory)?;
        arenas.push(arena);
        Ok(Slot { start, size })
    }

    pub(super) fn start(&self) -> NonNull<u8> {
        self.start
    }

    /// Has room for `count` secrets of `size` bytes from now on, whatever the limits will be.
    pub(super) fn reserve(size: usize, count: usize) -> io::Result<()> {
        let size = rounded(size)?;
        let mut room = 0;
        while room < count {
            let mut arena = Arena::map(size)?;
            arena.kept = true;
            room += arena.taken.len();
            arenas().push(arena);
        }
        Ok(())
    }
}

fn rounded(size: usize) -> io::Result<usize> {
    let size = size.max(1).checked_next_multiple_of(ALIGN);
    Ok(size.ok_or(io::ErrorKind::OutOfMemory)?)
}

impl Drop for Slot {
    fn drop(&mut self) {
        let words = self.start.cast::<u64>();
        for index in 0..self.size / size_of::<u64>() {
            // SAFETY: within the slot, which is ours until it is given back below; aligned to 64 bytes;
            // volatile, so that it happens although nobody reads it.
            unsafe { words.add(index).write_volatile(0) };
        }
        let mut arenas = arenas();
        if let Some(at) = arenas.iter().position(|arena| arena.holds(self.start))
            && arenas
                .get_mut(at)
                .is_some_and(|arena| arena.give_back(self.start))
        {
            drop(arenas.swap_remove(at));
        }
    }
}

fn arenas() -> MutexGuard<'static, Vec<Arena>> {
    // Nothing here panics half-way, so the list is whole whatever happened to the thread that held it.
    POOL.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locked pages, cut into slots of one size.
struct Arena {
    /// The mapping, guard pages included.
    mapping: NonNull<u8>,
    mapped: usize,
    /// The first slot.
    start: NonNull<u8>,
    /// The size of a slot, in bytes.
    size: usize,
    /// Whether each slot is taken.
    taken: Vec<bool>,
    /// Stays when its last slot is given back.
    kept: bool,
}

// SAFETY: an arena owns its mapping alone.
unsafe impl Send for Arena {}

impl Arena {
    fn map(size: usize) -> io::Result<Self> {
        let page = rustix::param::page_size();
        let length = size
            .max(ARENA)
            .checked_next_multiple_of(page)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let mapped = length.checked_add(2 * page).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: a new mapping at an address of the kernel's choosing touches no memory of anybody's.
        let mapping = unsafe {
            rustix::mm::mmap_anonymous(
                std::ptr::null_mut(),
                mapped,
                ProtFlags::empty(),
                MapFlags::PRIVATE,
            )?
        };
        let mapping = NonNull::new(mapping.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: one page into a mapping of at least three.
        let start = unsafe { mapping.add(page) };
        let arena = Arena {
            mapping,
            mapped,
            start,
            size,
            taken: vec![false; length / size],
            kept: false,
        };
        let pages = start.as_ptr().cast();
        // SAFETY: these pages are ours, between the two guards; nothing refers into them yet.
        unsafe {
            rustix::mm::mprotect(pages, length, MprotectFlags::READ | MprotectFlags::WRITE)?;
            rustix::mm::madvise(pages, length, Advice::LinuxDontDump)?;
            rustix::mm::madvise(pages, length, Advice::LinuxDontFork)?;
            rustix::mm::mlock(pages, length).map_err(|error| refused(length, error))?;
        }
        Ok(arena)
    }

    fn take(&mut self) -> Option<NonNull<u8>> {
        let index = self.taken.iter().position(|taken| !taken)?;
        *self.taken.get_mut(index)? = true;
        // SAFETY: `taken` has as many entries as slots fit between the guards.
        Some(unsafe { self.start.add(index * self.size) })
    }

    fn holds(&self, slot: NonNull<u8>) -> bool {
        let offset = slot.addr().get().checked_sub(self.start.addr().get());
        offset.is_some_and(|offset| offset < self.taken.len() * self.size)
    }

    /// Frees the slot; true where it was the last, and the arena may go.
    fn give_back(&mut self, slot: NonNull<u8>) -> bool {
        let index = (slot.addr().get() - self.start.addr().get()) / self.size;
        if let Some(taken) = self.taken.get_mut(index) {
            *taken = false;
        }
        !self.kept && !self.taken.contains(&true)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: exactly what was mapped; no slot is taken any more, so nothing refers into it.
        let unmapped = unsafe { rustix::mm::munmap(self.mapping.as_ptr().cast(), self.mapped) };
        debug_assert!(unmapped.is_ok(), "munmap of our own mapping: {unmapped:?}");
    }
}

fn refused(length: usize, error: rustix::io::Errno) -> io::Error {
    let error = io::Error::from(error);
    io::Error::new(
        error.kind(),
        format!(
            "{length} bytes of memory for keys could not be locked ({error}); raise RLIMIT_MEMLOCK \
             (LimitMEMLOCK= in the unit) or give CAP_IPC_LOCK"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn slots_of_one_size_share_pages_and_never_overlap() {
        let slots: Vec<Slot> = (0..100).map(|_| Slot::take(600).unwrap()).collect();
        let starts: BTreeSet<usize> = slots.iter().map(|slot| slot.start.addr().get()).collect();
        assert_eq!(starts.len(), 100);
        for (one, next) in starts.iter().zip(starts.iter().skip(1)) {
            assert!(next - one >= 640);
        }
        let arenas = arenas().iter().filter(|arena| arena.size == 640).count();
        assert_eq!(arenas, 4, "16 KiB hold 25 slots of 640 bytes");
        drop(slots);
        assert!(super::arenas().iter().all(|arena| arena.size != 640));
    }

    #[test]
    fn what_is_reserved_stays() {
        Slot::reserve(1000, 40).unwrap();
        let arenas_of = || arenas().iter().filter(|arena| arena.size == 1024).count();
        let before = arenas_of();
        assert_eq!(before, 3, "16 KiB hold 16 slots of 1024 bytes");
        drop((0..48).map(|_| Slot::take(1000).unwrap()).collect::<Vec<_>>());
        assert_eq!(arenas_of(), before);
    }

    #[test]
    fn pages_are_locked_and_stay_out_of_dumps_and_children() {
        let slot = Slot::take(20_000).unwrap();
        let address = slot.start.addr().get();
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut here = maps
            .lines()
            .skip_while(|line| !line.starts_with(&format!("{address:x}-")));
        let flags = here.find(|line| line.starts_with("VmFlags:")).unwrap();
        for flag in [" lo", " dd", " dc"] {
            assert!(flags.contains(flag), "{flags}");
        }
    }
}
