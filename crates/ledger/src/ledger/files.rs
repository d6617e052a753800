//! The ledger's files, by descriptor. One writer: the log is locked (flock(2)) as long as it is open.

use crate::problem;
use cofferdam_linux::file::{read_limited, write_whole};
use cofferdam_model::{Problem, Result};
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The log.
const LOG: &str = "ledger.log";

/// What spares reading all of the log.
const STATE: &str = "ledger.state";

/// The longest state, in bytes: a note and 64 hashes.
const STATE_MAX: usize = 256 << 10;

/// The directory and the locked log in it.
#[derive(Debug)]
pub(super) struct Files {
    directory: OwnedFd,
    log: File,
}

impl Files {
    /// Opens and locks the log in `directory`, which is made where there is none.
    ///
    /// # Errors
    /// `busy` where another process has it; `corrupt` where it is no file for its owner alone; else as the system says.
    pub(super) fn open(directory: &Path) -> Result<Self> {
        let fail = |error: Errno| {
            let doing = format!("cannot open the ledger in {}", directory.display());
            problem(&doing, error.into())
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let at = rustix::fs::open(directory, flags, Mode::empty()).map_err(fail)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let log = rustix::fs::openat(&at, LOG, flags, Mode::RUSR | Mode::WUSR).map_err(fail)?;
        let facts = rustix::fs::fstat(&log).map_err(fail)?;
        let regular = FileType::from_raw_mode(facts.st_mode) == FileType::RegularFile;
        if !regular || facts.st_mode & 0o077 != 0 || facts.st_uid != rustix::process::geteuid().as_raw() {
            return Err(
                Problem::corrupt(format!("{LOG} is not a file that the daemon alone can write")).remedy(
                    "find out who could write it; if it verifies, give it to root (chown root, chmod 600)",
                ),
            );
        }
        rustix::fs::flock(&log, FlockOperation::NonBlockingLockExclusive).map_err(|error| match error {
            Errno::WOULDBLOCK => {
                Problem::busy("another process writes the ledger").remedy("stop the other daemon")
            }
            error => fail(error),
        })?;
        // So that a log that was just made is still there after a crash.
        rustix::fs::fsync(&at).map_err(fail)?;
        Ok(Files {
            directory: at,
            log: log.into(),
        })
    }

    /// The log.
    pub(super) fn log(&self) -> &File {
        &self.log
    }

    /// The log's length, in bytes.
    pub(super) fn length(&self) -> io::Result<u64> {
        Ok(self.log.metadata()?.len())
    }

    /// The log's bytes from `at` up to `end`.
    pub(super) fn section(&self, at: u64, end: u64) -> Section<'_> {
        Section {
            log: &self.log,
            at,
            end,
        }
    }

    /// Whether the log is still what its name names, and as long as we left it. What is written to a file that was
    /// moved away or cut would be acknowledged and gone.
    pub(super) fn is_untouched(&self, length: u64) -> io::Result<bool> {
        let ours = rustix::fs::fstat(&self.log)?;
        let named = match rustix::fs::statat(&self.directory, LOG, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(false),
            named => named?,
        };
        let same = (ours.st_dev, ours.st_ino) == (named.st_dev, named.st_ino);
        Ok(same && u64::try_from(ours.st_size) == Ok(length))
    }

    /// Writes `bytes` at the log's end, which is `at`, and waits until they are durable.
    pub(super) fn append(&self, bytes: &[u8], at: u64) -> io::Result<()> {
        self.log.write_all_at(bytes, at)?;
        self.log.sync_data()
    }

    /// Cuts the log, durably.
    pub(super) fn cut(&self, length: u64) -> io::Result<()> {
        self.log.set_len(length)?;
        self.log.sync_data()
    }

    /// Makes what was found in the log durable: whoever wrote it may have died before.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.log.sync_data()
    }

    /// The state's bytes; none where there is no state.
    pub(super) fn state(&self) -> io::Result<Option<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match rustix::fs::openat(&self.directory, STATE, flags, Mode::empty()) {
            Ok(state) => read_limited(File::from(state), STATE_MAX).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Replaces the state.
    pub(super) fn write_state(&self, bytes: &[u8]) -> io::Result<()> {
        write_whole(self.directory.as_fd(), STATE, bytes, 0o600)
    }
}

/// A part of the log, read without moving the descriptor's place.
#[derive(Debug)]
pub(super) struct Section<'f> {
    log: &'f File,
    at: u64,
    end: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let room = buffer.len().min(left);
        let read = match buffer.get_mut(..room) {
            Some(part) if room > 0 => self.log.read_at(part, self.at)?,
            _ => 0,
        };
        self.at += read as u64;
        Ok(read)
    }
}
