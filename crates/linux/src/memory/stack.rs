//! Overwriting the stack below a frame, for work that cannot but put secrets there.

use super::registers::clear_registers;
use std::hint::black_box;
use std::mem::MaybeUninit;

/// How much stack is overwritten after the work, in bytes: far more than any key derivation uses.
const DEPTH: usize = 32 * 1024;

/// Room between the caller's frame and the work's, in bytes, so that what is overwritten begins above it.
const MARGIN: usize = 256;

/// Runs `work`, then clears the vector registers and overwrites the 32 KiB of stack below the caller, also
/// where `work` panics.
///
/// What `work` returns and what it captures by value passes through the caller's own frame: let neither be
/// a secret.
pub fn scrubbed<R>(work: impl FnOnce() -> R) -> R {
    struct Afterwards;
    impl Drop for Afterwards {
        fn drop(&mut self) {
            clear_registers();
            overwrite();
        }
    }
    let _afterwards = Afterwards;
    deeper(work)
}

/// Runs `work` at least `MARGIN` bytes below the caller's frame.
#[inline(never)]
fn deeper<R>(work: impl FnOnce() -> R) -> R {
    let mut margin = [0u8; MARGIN];
    black_box(&mut margin);
    let result = run(work);
    black_box(&mut margin);
    result
}

/// A frame of its own, for nothing of `work` may be inlined into the frame above.
#[inline(never)]
fn run<R>(work: impl FnOnce() -> R) -> R {
    work()
}

/// Writes zeros over the stack below the caller's frame.
#[inline(never)]
fn overwrite() {
    let mut below = MaybeUninit::<[u64; DEPTH / size_of::<u64>()]>::uninit();
    let start = below.as_mut_ptr().cast::<u64>();
    for index in 0..DEPTH / size_of::<u64>() {
        // SAFETY: within the array, which is exclusively ours; volatile, for nobody reads it.
        unsafe { start.add(index).write_volatile(0) };
    }
}
