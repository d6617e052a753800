//! Free memory that nobody has used for a while. A virtual machine gives it back to its host (free page reporting), and
//! whoever uses it next waits for the host page by page: a GiB goes into the page cache at 0.5 GB/s then, and at 2.4 where
//! it is still there. Whoever is measured after a quick rival would find it there. So all of it is used before each act.

use std::hint::black_box;

/// More than any act puts into the page cache, in bytes.
const MOST: u64 = 3 << 30;

/// Uses free memory once, but no more than half of it.
pub(crate) fn warm() {
    let free = rustix::system::sysinfo().freeram;
    let bytes = usize::try_from(MOST.min(free / 2)).unwrap_or_default();
    black_box(vec![1_u8; bytes]);
}
