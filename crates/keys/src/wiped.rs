//! Secret bytes of any length, overwritten when they are given up.

use cofferdam_linux::memory;
use std::ops::{Deref, DerefMut};

/// Bytes on the heap that are overwritten on drop, with the room behind them. It never grows, for growing would leave
/// a copy behind. For what passes through only: keys that stay live in locked memory.
pub(crate) struct Wiped(Vec<u8>);

impl Wiped {
    /// Takes over bytes that may be secret.
    #[cfg(feature = "pkcs11")]
    pub(crate) fn take(bytes: Vec<u8>) -> Self {
        Wiped(bytes)
    }

    /// Zeros, to be filled in place.
    pub(crate) fn zeroed(length: usize) -> Self {
        Wiped(vec![0; length])
    }

    /// Leaves the first `length` bytes.
    pub(crate) fn shorten(&mut self, length: usize) {
        self.0.truncate(length);
    }
}

impl Deref for Wiped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Wiped {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.resize(self.0.capacity(), 0);
        memory::wipe(&mut self.0);
    }
}
