//! Deletion of trees that somebody else made: as deep, as wide and as stubborn as they like.
//!
//! A tree is first moved into the trash, so that it is gone from its place at once. There it is taken apart from the top:
//! what is a directory in it moves up into the trash itself. So neither stack nor descriptors grow with its
//! depth. No link is followed, and what cannot be deleted keeps nothing else from being deleted.

use crate::plain::{make_directory, names};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The trash's name in its store.
const NAME: &str = "trash";

/// Where things wait to be deleted.
#[derive(Debug)]
pub(crate) struct Trash {
    directory: OwnedFd,
    next: AtomicU64,
    one_at_a_time: Mutex<()>,
}

impl Trash {
    /// The trash of the store at `root`, made where there is none.
    pub(crate) fn open(root: BorrowedFd<'_>) -> io::Result<Self> {
        make_directory(root, Path::new(NAME), 0o700)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(root, NAME, flags, Mode::empty())?;
        Ok(Trash {
            directory,
            next: AtomicU64::new(0),
            one_at_a_time: Mutex::new(()),
        })
    }

    /// Moves `name` from its place into the trash. One that is not there is no error.
    pub(crate) fn throw(&self, from: BorrowedFd<'_>, name: impl rustix::path::Arg + Copy) -> io::Result<()> {
        loop {
            let free = self.next.fetch_add(1, Ordering::Relaxed).to_string();
            match rustix::fs::renameat_with(from, name, &self.directory, &free, RenameFlags::NOREPLACE) {
                Ok(()) | Err(Errno::NOENT) => return Ok(()),
                Err(Errno::EXIST) => {} // Left from an earlier life.
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Deletes everything in the trash, in as many rounds as it takes.
    ///
    /// # Errors
    /// The first one met; everything else is deleted.
    pub(crate) fn empty(&self) -> io::Result<()> {
        let _turn = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        let mut stubborn = std::collections::HashSet::new();
        let mut first_error = None;
        loop {
            let mut waiting = names(self.directory.as_fd())?;
            waiting.retain(|name| !stubborn.contains(name));
            if waiting.is_empty() {
                return first_error.map_or(Ok(()), Err);
            }
            for name in waiting {
                if let Err(error) = self.delete(&name) {
                    first_error.get_or_insert(error);
                    stubborn.insert(name);
                }
            }
        }
    }

    /// Deletes one thing in the trash; the directories in it move up.
    fn delete(&self, name: &CStr) -> io::Result<()> {
        let facts = match rustix::fs::statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(()),
            facts => facts?,
        };
        if FileType::from_raw_mode(facts.st_mode) != FileType::Directory {
            return Ok(rustix::fs::unlinkat(&self.directory, name, AtFlags::empty())?);
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(&self.directory, name, flags, Mode::empty())?;
        if rustix::fs::fstat(&directory)?.st_dev != facts.st_dev {
            return Err(io::Error::other("something is mounted inside"));
        }
        let mut first_error = None;
        for inner in names(directory.as_fd())? {
            let gone = match rustix::fs::unlinkat(&directory, inner.as_c_str(), AtFlags::empty()) {
                Err(Errno::ISDIR) => self.throw(directory.as_fd(), inner.as_c_str()),
                gone => gone.map_err(Into::into),
            };
            if let Err(error) = gone {
                first_error.get_or_insert(error);
            }
        }
        match first_error {
            Some(error) => Err(error),
            None => Ok(rustix::fs::unlinkat(&self.directory, name, AtFlags::REMOVEDIR)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::CWD;
    use std::fs::File;

    fn trash() -> (tempfile::TempDir, File, Trash) {
        let dir = tempfile::tempdir().unwrap();
        let root = File::open(dir.path()).unwrap();
        let trash = Trash::open(root.as_fd()).unwrap();
        (dir, root, trash)
    }

    #[test]
    fn depth_costs_neither_stack_nor_descriptors() {
        let (dir, root, trash) = trash();
        std::fs::create_dir(dir.path().join("deep")).unwrap();
        let mut at = rustix::fs::openat(CWD, dir.path().join("deep"), OFlags::PATH, Mode::empty()).unwrap();
        for _ in 0..20_000 {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = rustix::fs::openat(&at, "d", OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        trash.throw(root.as_fd(), "deep").unwrap();
        trash.throw(root.as_fd(), "deep").unwrap();
        assert!(!dir.path().join("deep").exists());
        trash.empty().unwrap();
        assert_eq!(std::fs::read_dir(dir.path().join(NAME)).unwrap().count(), 0);
    }

    #[test]
    fn what_cannot_be_deleted_keeps_nothing_else() {
        let (dir, root, trash) = trash();
        for name in ["one", "two"] {
            std::fs::create_dir_all(dir.path().join(name).join("inner")).unwrap();
            std::fs::write(dir.path().join(name).join("inner/file"), "x").unwrap();
            trash.throw(root.as_fd(), name).unwrap();
        }
        std::fs::create_dir(dir.path().join("trash/0/mounted")).unwrap();
        let tmpfs = cofferdam_linux::mount::DetachedMount::tmpfs(1 << 16, 8, 0o700).unwrap();
        tmpfs.attach_at(&dir.path().join("trash/0/mounted")).unwrap();
        assert!(trash.empty().is_err());
        assert!(!dir.path().join("trash/1").exists());
        rustix::mount::unmount(
            dir.path().join("trash/0/mounted"),
            rustix::mount::UnmountFlags::DETACH,
        )
        .unwrap();
        trash.empty().unwrap();
        assert_eq!(std::fs::read_dir(dir.path().join(NAME)).unwrap().count(), 0);
    }
}
