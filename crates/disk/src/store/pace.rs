//! How quick a store's syncs are.

use super::Claim;
use cofferdam_linux::aligned::AlignedBuffer;
use rustix::fs::{FallocateFlags, Mode, OFlags};
use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    time::{Duration, Instant},
};

/// How often it is tried at most: a disk that something else keeps busy is not a slow one.
const ATTEMPTS: u32 = 4;

/// Bytes that are written and synced.
const BLOCK: usize = 4096;

/// How long it takes to write a block where one was before and bring it to stable storage: the shortest of a few attempts, which
/// end once one takes no longer than `enough`, or far longer. In a file without a name, past the page cache where there is
/// a way past it, as segments are written.
///
/// # Errors
/// As open(2) with `O_TMPFILE`, pwrite(2) and fdatasync(2).
pub fn time_of_sync(store: &Claim, enough: Duration) -> io::Result<Duration> {
    let open = |more| {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC | more;
        rustix::fs::openat(&store.root, ".", flags, Mode::RUSR | Mode::WUSR).map(File::from)
    };
    let file = open(OFlags::DIRECT).or_else(|_| open(OFlags::empty()))?;
    let block = AlignedBuffer::new(BLOCK);
    let block = block.get(..BLOCK).unwrap_or_default();
    // The first one has the block allocated, which is no part of it.
    match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, BLOCK as u64) {
        Ok(()) | Err(rustix::io::Errno::OPNOTSUPP) => {}
        Err(error) => return Err(error.into()),
    }
    sync(&file, block)?;
    let mut shortest = Duration::MAX;
    for _ in 0..ATTEMPTS {
        let time = sync(&file, block)?;
        shortest = shortest.min(time);
        if shortest <= enough || time > enough * 8 {
            break;
        }
    }
    Ok(shortest)
}

fn sync(file: &File, block: &[u8]) -> io::Result<Duration> {
    let begun = Instant::now();
    file.write_all_at(block, 0)?;
    file.sync_data()?;
    Ok(begun.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Access, Directory};

    #[test]
    fn a_store_is_timed_and_left_as_it_was() {
        let place = tempfile::tempdir_in("/var/tmp").unwrap();
        let path = place.path().join("store");
        drop(Directory::create(&path, Access::Cached).unwrap());
        let before = std::fs::read_dir(&path).unwrap().count();
        let claim = Claim::to_write(&path).unwrap();
        let time = time_of_sync(&claim, Duration::ZERO).unwrap();
        assert!(time > Duration::ZERO && time < Duration::MAX, "{time:?}");
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), before);
    }
}
