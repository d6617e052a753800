//! Memory for secrets: locked into RAM, left out of core dumps and of forked children, overwritten when it
//! is given up (mlock(2), madvise(2)).
//!
//! A secret is made in [`Locked`] and used there by reference; [`scrubbed`] runs work that needs secrets on
//! the stack and overwrites that stack afterwards, so that no copy outlives it. [`undumpable`] keeps the
//! whole process out of core dumps and away from debuggers; [`lock_all`] keeps all of it in RAM.
//!
//! What this does not do: hide anything from root, from the kernel or from hibernation (encrypt the swap
//! that the machine hibernates to). And a signal that a thread handles in the middle of using a key saves
//! its registers on its stack: threads that use keys should block signals.
//!
//! **Forks.** A child does not inherit these pages (`MADV_DONTFORK`): whoever touches a secret there is
//! killed, which is better than a page of zeros that would silently pass for a key. So fork workers before
//! secrets exist; afterwards fork only to exec.

mod pool;
mod registers;
mod stack;
mod whole;

pub use registers::clear_registers;
pub use stack::scrubbed;
pub use whole::lock_all;

use pool::Slot;
use rustix::process::{DumpableBehavior, Resource, Rlimit};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

/// A value in locked memory, overwritten on drop. Small ones share pages, so thousands are affordable.
///
/// It never moves, so no copies of it are left behind, and it prints nothing of what it holds.
pub struct Locked<T> {
    // INVARIANT: holds an initialised T until drop; nothing else points there.
    slot: Slot,
    holds: PhantomData<T>,
}

// SAFETY: a `Locked` owns its value alone, as a `Box` does.
unsafe impl<T: Send> Send for Locked<T> {}
// SAFETY: as above; shared references give out `&T` only.
unsafe impl<T: Sync> Sync for Locked<T> {}

impl<T> Locked<T> {
    /// Puts what `make` returns into locked memory, then overwrites the stack that `make` used. `make` is
    /// to take secrets by reference only: what it captures by value lies in the caller's frame.
    ///
    /// # Errors
    /// What `make` fails with; or no memory could be locked, which is never passed over.
    pub fn make(make: impl FnOnce() -> io::Result<T>) -> io::Result<Self> {
        const { assert!(align_of::<T>() <= pool::ALIGN) };
        let slot = Slot::take(size_of::<T>())?;
        let target = slot.start().cast::<T>();
        scrubbed(|| {
            let value = make()?;
            // SAFETY: the slot is ours alone, writable, and has T's size and (checked above) alignment.
            unsafe { target.write(value) };
            io::Result::Ok(())
        })?;
        Ok(Locked {
            slot,
            holds: PhantomData,
        })
    }
}

impl<T> Locked<T> {
    /// Takes the memory for `count` values now, and keeps it: for a process that is about to give up the right to lock
    /// more.
    ///
    /// # Errors
    /// No memory could be locked.
    pub fn reserve(count: usize) -> io::Result<()> {
        Slot::reserve(size_of::<T>(), count)
    }
}

impl<const N: usize> Locked<[u8; N]> {
    /// Zeroed bytes, to be filled in place.
    ///
    /// # Errors
    /// No memory could be locked.
    pub fn zeroed() -> io::Result<Self> {
        Self::make(|| Ok([0; N]))
    }
}

impl<T> Deref for Locked<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the slot holds an initialised T (invariant), borrowed as long as `self` is.
        unsafe { self.slot.start().cast::<T>().as_ref() }
    }
}

impl<T> DerefMut for Locked<T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as for `deref`, and `self` is borrowed mutably.
        unsafe { self.slot.start().cast::<T>().as_mut() }
    }
}

impl<T> Drop for Locked<T> {
    fn drop(&mut self) {
        // SAFETY: initialised (invariant) and never used again; the slot then wipes and returns itself.
        unsafe { self.slot.start().cast::<T>().drop_in_place() };
    }
}

impl<T> fmt::Debug for Locked<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Locked(..)")
    }
}

/// Overwrites bytes that held a secret; the compiler may not leave it out.
pub fn wipe(bytes: &mut [u8]) {
    for byte in bytes {
        // SAFETY: a valid, exclusive reference.
        unsafe { std::ptr::from_mut(byte).write_volatile(0) };
    }
}

/// From now on no core dump is made of this process, and only a process with `CAP_SYS_PTRACE` may attach
/// to it or read its memory (`PR_SET_DUMPABLE` in prctl(2), `RLIMIT_CORE`). To be called again after exec.
///
/// # Errors
/// As prctl(2) and setrlimit(2).
pub fn undumpable() -> io::Result<()> {
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    Ok(rustix::process::setrlimit(Resource::Core, none)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn a_value_is_dropped_once_and_its_place_is_wiped() {
        struct Counted<'a>(&'a Cell<u32>, [u8; 40]);
        impl Drop for Counted<'_> {
            fn drop(&mut self) {
                assert_eq!(self.1, [0x5a; 40]);
                self.0.set(self.0.get() + 1);
            }
        }
        let drops = Cell::new(0);
        // Keeps the pages mapped while the second value goes.
        let neighbour = Locked::make(|| Ok(Counted(&drops, [0x5a; 40]))).unwrap();
        let value = Locked::make(|| Ok(Counted(&drops, [0x5a; 40]))).unwrap();
        let place = value.slot.start();
        drop(value);
        assert_eq!(drops.get(), 1);
        // SAFETY: the neighbour keeps these pages mapped, and no other test uses values of this size.
        let bytes = unsafe { std::slice::from_raw_parts(place.as_ptr(), size_of::<Counted<'_>>()) };
        assert!(bytes.iter().all(|byte| *byte == 0));
        drop(neighbour);
        assert_eq!(drops.get(), 2);
    }

    #[test]
    fn a_failed_make_gives_its_place_back() {
        let error = Locked::<[u8; 32]>::make(|| Err(io::ErrorKind::InvalidData.into())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn nothing_is_printed() {
        let value = Locked::make(|| Ok([0x41u8; 32])).unwrap();
        assert_eq!(format!("{value:?}"), "Locked(..)");
    }
}
