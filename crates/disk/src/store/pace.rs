//! How quick a store's syncs are.

use super::{Access, Claim, directory::open_directory_below, handles::Way};
use cofferdam_linux::aligned::AlignedBuffer;
use rustix::fs::{AtFlags, Mode, OFlags};
use std::{
    fs::File,
    io,
    os::{fd::OwnedFd, unix::fs::FileExt},
    time::{Duration, Instant},
};

/// How often it is tried at most: a disk that something else keeps busy is not a slow one.
const ATTEMPTS: u32 = 4;

/// Bytes that are written and synced.
const BLOCK: usize = 4096;

/// The file that is written, below `spare`: one that was left behind is no spare file, for its length, and is thrown away.
const NAME: &str = "timing";

/// How long it takes to write a block where one was before and bring it to stable storage, as segments are written: the shortest
/// of a few attempts, which end once one takes no longer than `enough`, or far longer.
///
/// In a file that has a name while it is written: some filesystems do not sync what has none.
///
/// # Errors
/// As open(2), pwrite(2) and fdatasync(2).
pub fn time_of_sync(store: &Claim, access: Access, enough: Duration) -> io::Result<Duration> {
    let spare = open_directory_below(&store.root, "spare")?;
    remove(&spare)?;
    let open = |more| {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::RDWR | OFlags::CLOEXEC | more;
        rustix::fs::openat(&spare, NAME, flags, Mode::RUSR | Mode::WUSR).map(File::from)
    };
    let file = match access.to_write() {
        Way::Through => open(OFlags::empty())?,
        // Where there is no way past the page cache, segments are written through it. What was begun is in the way then.
        Way::Past => open(OFlags::DIRECT).or_else(|_| remove(&spare).and_then(|()| open(OFlags::empty())))?,
    };
    let shortest = shortest(&file, enough);
    remove(&spare)?;
    shortest
}

fn remove(spare: &OwnedFd) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(spare, NAME, AtFlags::empty()) {
        Err(rustix::io::Errno::NOENT) | Ok(()) => Ok(()),
        other => other,
    }
}

fn shortest(file: &File, enough: Duration) -> io::Result<Duration> {
    let block = AlignedBuffer::new(BLOCK);
    let block = block.get(..BLOCK).unwrap_or_default();
    // The first one has the block allocated, which is no part of it.
    sync(file, block)?;
    let mut shortest = Duration::MAX;
    for _ in 0..ATTEMPTS {
        let time = sync(file, block)?;
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
        // What a process that was killed has left, and what somebody else put there.
        std::os::unix::fs::symlink("/etc/passwd", path.join("spare/timing")).unwrap();
        let claim = Claim::to_write(&path).unwrap();
        for access in [Access::Cached, Access::Buffered] {
            let time = time_of_sync(&claim, access, Duration::ZERO).unwrap();
            assert!(time > Duration::ZERO && time < Duration::MAX, "{time:?}");
            assert_eq!(std::fs::read_dir(path.join("spare")).unwrap().count(), 0);
        }
    }
}
