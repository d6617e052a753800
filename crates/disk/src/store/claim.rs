//! The right to a store's directory: its descriptor, and a lock that says that nobody else writes there.

use rustix::fs::{CWD, FileType, FlockOperation, Mode, OFlags};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    time::Duration,
};

/// How often, and how long in between, a lock is asked for that somebody else has.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(5);

/// A store that is one's own for as long as this, or a copy of its descriptors in any process, is there.
#[derive(Debug)]
pub struct Claim {
    pub(super) root: OwnedFd,
    pub(super) lock: OwnedFd,
}

impl Claim {
    /// For oneself alone.
    ///
    /// # Errors
    /// `WouldBlock` where somebody else has claimed it; as open(2) and flock(2).
    pub fn to_write(path: &Path) -> io::Result<Self> {
        Self::new(path, FlockOperation::NonBlockingLockExclusive)
    }

    /// Together with others who read.
    ///
    /// # Errors
    /// As for [`Claim::to_write`].
    pub fn to_read(path: &Path) -> io::Result<Self> {
        Self::new(path, FlockOperation::NonBlockingLockShared)
    }

    fn new(path: &Path, operation: FlockOperation) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        let lock = open_lock(&root)?;
        lock_soon(&lock, operation)?;
        Ok(Claim { root, lock })
    }

    /// What to send to another process: directory and lock.
    #[must_use]
    pub fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        [self.root.as_fd(), self.lock.as_fd()]
    }

    /// What another process sent.
    #[must_use]
    pub fn from_descriptors(root: OwnedFd, lock: OwnedFd) -> Self {
        Claim { root, lock }
    }
}

/// Takes a lock (flock(2)), and has some patience: a process that this one, or another, is just starting has a copy of
/// every descriptor until its program is loaded, and with it of a lock that was given up already.
pub(super) fn lock_soon(file: &OwnedFd, operation: FlockOperation) -> io::Result<()> {
    for _ in 1..ATTEMPTS {
        match rustix::fs::flock(file, operation) {
            Err(rustix::io::Errno::WOULDBLOCK) => std::thread::sleep(PAUSE),
            other => return Ok(other?),
        }
    }
    Ok(rustix::fs::flock(file, operation)?)
}

fn open_lock(root: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let lock = match rustix::fs::openat(root, "lock", flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "there is no file `lock`: this is not a volume's store, or not all of it",
            ));
        }
        other => other?,
    };
    if FileType::from_raw_mode(rustix::fs::fstat(&lock)?.st_mode) != FileType::RegularFile {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "`lock` is no regular file",
        ));
    }
    Ok(lock)
}
