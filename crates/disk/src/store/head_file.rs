//! The head's file: read, replaced whole, and recognised again.

use super::{claim::lock_soon, handles::Handles};
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use std::{
    fs::File,
    io,
    os::{fd::OwnedFd, unix::fs::FileExt},
};

const NAME: &str = "head";

/// Where a new head is written before it takes the old one's place.
const DRAFT: &str = "head.new";

/// More bytes than any head has: a longer file is read so far and no further.
const MOST: u64 = 4096;

/// What tells one head's file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    inode: u64,
    changed: (i64, i64),
}

/// What distinguishes the file that is there now; none where there is none.
pub(super) fn look(root: &OwnedFd) -> io::Result<Option<Seen>> {
    match rustix::fs::statat(root, NAME, AtFlags::SYMLINK_NOFOLLOW) {
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
        Ok(stat) => Ok(Some(Seen {
            inode: stat.st_ino,
            changed: (
                stat.st_ctime,
                i64::try_from(stat.st_ctime_nsec).unwrap_or(i64::MAX),
            ),
        })),
    }
}

/// The right to compare the head and replace it, for as long as this is open. Two processes may hold one claim to the
/// store, a server and its successor; of these, one at a time. Nobody waits for long: who finds it taken has been fenced,
/// or will fence whoever has it.
pub(super) fn turn(root: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let turn = rustix::fs::openat(root, ".", flags, Mode::empty())?;
    lock_soon(&turn, FlockOperation::NonBlockingLockExclusive)?;
    Ok(turn)
}

/// The head's bytes; none where there is none.
pub(super) fn read(root: &OwnedFd, handles: &Handles) -> io::Result<Option<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = handles
        .with_descriptors(|| Ok(rustix::fs::openat(root, NAME, flags, Mode::empty()).map(File::from)?));
    let file = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is no regular file",
        ));
    }
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, MOST), &mut bytes)?;
    Ok(Some(bytes))
}

/// Puts a new head in the old one's place, on stable storage.
pub(super) fn write(root: &OwnedFd, handles: &Handles, new: &[u8]) -> io::Result<()> {
    // A draft that was left behind goes first: it may be a link to something else, or a pipe.
    match rustix::fs::unlinkat(root, DRAFT, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    let draft =
        handles.with_descriptors(|| Ok(rustix::fs::openat(root, DRAFT, flags, mode).map(File::from)?))?;
    draft.write_all_at(new, 0)?;
    draft.sync_all()?;
    rustix::fs::renameat(root, DRAFT, root, NAME)?;
    rustix::fs::fsync(root)?;
    Ok(())
}
