//! The registry's files: private, and held by one process at a time.

use super::failure::unopened;
use cofferdam_model::{Problem, Result};
use rustix::{
    fs::{FlockOperation, Mode, OFlags, fchmod, flock, fstat, open},
    io::Errno,
};
use std::{
    ffi::OsString,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

/// Read and write for the owner, nothing for anybody else.
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// The right to use the registry. The kernel takes it back when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "held for its lock")] OwnedFd);

impl Lock {
    /// Takes the lock of the registry at `path`, without waiting.
    ///
    /// # Errors
    /// `Busy` when another process has it, `Unavailable` when the lock file cannot be made.
    pub(super) fn take(path: &Path) -> Result<Self> {
        let file = open_private(&lock_path(path)).map_err(|error| unopened(path, error.into()))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Lock(file)),
            Err(Errno::WOULDBLOCK) => Err(held_elsewhere(path)),
            Err(error) => Err(unopened(path, error.into())),
        }
    }
}

/// Makes the database's file where there is none, and sees to it that only its owner may read it. SQLite gives
/// its write-ahead log the same mode.
pub(super) fn make_private(path: &Path) -> Result<()> {
    let narrow = || {
        let file = open_private(path)?;
        if Mode::from_raw_mode(fstat(&file)?.st_mode) != PRIVATE {
            fchmod(&file, PRIVATE)?;
        }
        Ok(())
    };
    narrow().map_err(|error: Errno| unopened(path, error.into()))
}

/// What is said to the second one.
pub(super) fn held_elsewhere(path: &Path) -> Problem {
    Problem::busy(format!(
        "the registry {} is held by another process",
        path.display()
    ))
    .remedy("stop the other cofferdamd, or give this one its own paths.state")
}

/// Opens for writing, and so finds out at once whether writing is possible.
fn open_private(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    open(path, flags, PRIVATE)
}

/// `registry.sqlite` is locked by `registry.sqlite.lock`: SQLite closes and reopens its own files, which would
/// lose a lock on them.
fn lock_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".lock");
    PathBuf::from(name)
}
