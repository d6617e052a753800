//! What an engine gets when it asks for a volume's path: an empty, read-only directory.
//!
//! All placeholders lie on one tmpfs, mounted read-only, whose superblock is read-only too, so that nothing can
//! be written through any other mount of it either. It becomes writable only for the moment in which a
//! volume is made or removed, through a detached mount that nobody else has.
//!
//! A placeholder is known by device and inode, never by its path.
//!
//! INVARIANT: a placeholder holds one file, `SEALED`, and never data. The file also keeps engines from copying
//! image content into what they would take for an empty volume.

use crate::problem;
use cofferdam_linux::file::reopen;
use cofferdam_linux::mount::{self, DetachedMount, Restrictions};
use cofferdam_model::{Problem, Result, VolumeName};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, StatFs};
use rustix::io::Errno;
use std::collections::HashMap;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The one file in a placeholder.
const NOTICE: &str = "SEALED";

/// How the name of a directory begins that is no volume's any more. No volume's name can begin so.
const FREE: &str = ".free-";

/// What that file says.
const NOTICE_TEXT: &str = "This volume opens only inside a container that Cofferdam admits; what you see here is its placeholder.\n\
    Start the container with the runtime `cofferdam` (docker run --runtime cofferdam ...); see: cofferdam why\n";

/// Room for about 100,000 placeholders: a directory, a file, and one page of text for each.
const INODES: u64 = 250_000;
/// In bytes.
const SIZE: u64 = 1 << 30;

/// The superblock of placeholders.
#[derive(Debug)]
pub struct Placeholders {
    path: PathBuf,
    root: OwnedFd,
    device: u64,
    by_inode: HashMap<u64, VolumeName>,
}

impl Placeholders {
    /// The placeholders mounted at `path`; they are mounted there first where they are not yet.
    ///
    /// # Errors
    /// `unavailable` where something else is mounted there or the mount fails.
    pub fn open(path: &Path) -> Result<Self> {
        let doing = format!("cannot set up the placeholders at {}", path.display());
        let fail = |error: io::Error| problem(&doing, error);
        if !is_mounted(path).map_err(fail)? {
            mount_new(path).map_err(fail)?;
        }
        let root = open_directory(path).map_err(fail)?;
        if !is_tmpfs(&rustix::fs::fstatfs(&root).map_err(|error| fail(error.into()))?) {
            return Err(
                Problem::unavailable(format!("{doing}: something else is mounted there"))
                    .remedy("unmount it"),
            );
        }
        let device = rustix::fs::fstat(&root)
            .map_err(|error| fail(error.into()))?
            .st_dev;
        let mut placeholders = Placeholders {
            path: path.to_owned(),
            root,
            device,
            by_inode: HashMap::new(),
        };
        placeholders.by_inode = placeholders.scan().map_err(fail)?;
        Ok(placeholders)
    }

    /// Makes the placeholders be those of `volumes`, no more and no fewer.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn set<'a>(&mut self, volumes: impl Iterator<Item = &'a VolumeName>) -> Result<()> {
        let mut stale: Vec<VolumeName> = self.by_inode.values().cloned().collect();
        let mut new = Vec::new();
        for volume in volumes {
            match stale.iter().position(|name| name == volume) {
                Some(place) => drop(stale.swap_remove(place)),
                None => new.push(volume.clone()),
            }
        }
        if new.is_empty() && stale.is_empty() {
            return Ok(());
        }
        self.change(|root| {
            stale.iter().try_for_each(|name| take_away(root, name))?;
            new.iter().try_for_each(|name| put(root, name))
        })
    }

    /// Adds one; it may be there already.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn add(&mut self, volume: &VolumeName) -> Result<()> {
        self.change(|root| put(root, volume))
    }

    /// Takes one away; it may be gone already.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn remove(&mut self, volume: &VolumeName) -> Result<()> {
        self.change(|root| take_away(root, volume))
    }

    /// The path that an engine is given for a volume.
    pub fn path_of(&self, volume: &VolumeName) -> PathBuf {
        self.path.join(volume.to_string())
    }

    /// The volume whose placeholder `source` refers to; none where it lies elsewhere.
    ///
    /// # Errors
    /// `invalid` where it lies among the placeholders but is none itself.
    pub fn volume_of(&self, source: BorrowedFd<'_>) -> Result<Option<VolumeName>> {
        let facts = rustix::fs::fstat(source)
            .map_err(|error| problem("cannot look at a mount's source", error.into()))?;
        if facts.st_dev != self.device {
            return Ok(None);
        }
        match self.by_inode.get(&facts.st_ino) {
            Some(volume) => Ok(Some(volume.clone())),
            None => Err(Problem::invalid(
                "a mount's source lies among the placeholders but is no volume's placeholder",
            )
            .remedy("name the volume itself, such as -v payments.pgdata:/data")),
        }
    }

    /// Makes the superblock writable for the time of `change`.
    fn change(&mut self, change: impl FnOnce(BorrowedFd<'_>) -> io::Result<()>) -> Result<()> {
        let fail = |error| problem("cannot change the placeholders", error);
        let private = DetachedMount::clone_of(self.root.as_fd()).map_err(fail)?;
        private
            .restrict(Restrictions {
                writable: true,
                ..Restrictions::default()
            })
            .map_err(fail)?;
        mount::set_superblock_writable(self.root.as_fd(), true).map_err(fail)?;
        let changed = change(private.as_fd());
        // Read-only again whatever came out of it; the first error is the one to tell.
        let closed = mount::set_superblock_writable(self.root.as_fd(), false);
        changed.and(closed).map_err(fail)?;
        self.by_inode = self.scan().map_err(fail)?;
        Ok(())
    }

    /// The inode of every placeholder.
    fn scan(&self) -> io::Result<HashMap<u64, VolumeName>> {
        let directory = reopen(self.root.as_fd(), OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut found = HashMap::new();
        for entry in Dir::new(directory)? {
            let entry = entry?;
            let Some(name) = entry
                .file_name()
                .to_str()
                .ok()
                .and_then(|name| name.parse::<VolumeName>().ok())
            else {
                continue;
            };
            if entry.file_type() == FileType::Directory {
                found.insert(entry.ino(), name);
            }
        }
        Ok(found)
    }
}

/// Opens a directory without the right to read it.
fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(
        path,
        OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

/// Whether something is mounted at `path`; the directory is made where there is none.
fn is_mounted(path: &Path) -> io::Result<bool> {
    match rustix::fs::mkdirat(CWD, path, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => mount::is_mount_root(open_directory(path)?.as_fd()),
        Err(error) => Err(error.into()),
    }
}

/// Mounts a new, read-only superblock at `path`.
fn mount_new(path: &Path) -> io::Result<()> {
    let fresh = DetachedMount::tmpfs(SIZE, INODES, 0o755)?;
    fresh.restrict(Restrictions {
        read_only: true,
        ..Restrictions::default()
    })?;
    mount::set_superblock_writable(fresh.as_fd(), false)?;
    fresh.attach_at(path)
}

fn is_tmpfs(facts: &StatFs) -> bool {
    /// `TMPFS_MAGIC` (statfs(2)).
    const TMPFS: u64 = 0x0102_1994;
    u64::try_from(facts.f_type) == Ok(TMPFS)
}

/// Makes a placeholder.
fn put(root: BorrowedFd<'_>, volume: &VolumeName) -> io::Result<()> {
    let name = volume.to_string();
    match rustix::fs::statat(root, &name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => {}
        Err(Errno::NOENT) if reuse(root, &name)? => {}
        Err(Errno::NOENT) => rustix::fs::mkdirat(root, &name, Mode::from_raw_mode(0o555))?,
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let notice = rustix::fs::openat(
        root,
        format!("{name}/{NOTICE}"),
        flags,
        Mode::from_raw_mode(0o444),
    )?;
    std::fs::File::from(notice).write_all(NOTICE_TEXT.as_bytes())
}

/// Takes a placeholder's name away. The directory itself is kept for the next volume: a superblock from which a
/// directory was removed that somebody still has open cannot be made read-only again.
fn take_away(root: BorrowedFd<'_>, volume: &VolumeName) -> io::Result<()> {
    let name = volume.to_string();
    match rustix::fs::statat(root, &name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(facts) => Ok(rustix::fs::renameat(
            root,
            &name,
            root,
            format!("{FREE}{}", facts.st_ino),
        )?),
        Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Gives a directory that is kept the name of a volume; false where there is none.
fn reuse(root: BorrowedFd<'_>, name: &str) -> io::Result<bool> {
    for entry in Dir::new(reopen(root, OFlags::RDONLY | OFlags::DIRECTORY)?)? {
        let entry = entry?;
        if entry.file_name().to_bytes().starts_with(FREE.as_bytes()) {
            rustix::fs::renameat(root, entry.file_name(), root, name)?;
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::mount::{UnmountFlags, unmount};

    struct Mounted(tempfile::TempDir);

    impl Drop for Mounted {
        fn drop(&mut self) {
            unmount(self.0.path(), UnmountFlags::DETACH).unwrap();
        }
    }

    fn name(text: &str) -> VolumeName {
        text.parse().unwrap()
    }

    #[test]
    fn a_placeholder_is_empty_and_cannot_be_written_by_anybody() {
        let dir = Mounted(tempfile::tempdir().unwrap());
        let mut placeholders = Placeholders::open(dir.0.path()).unwrap();
        placeholders.add(&name("payments.pgdata")).unwrap();
        let path = placeholders.path_of(&name("payments.pgdata"));
        let names: Vec<_> = std::fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["SEALED"]);
        assert_eq!(
            std::fs::read_to_string(path.join("SEALED"))
                .unwrap()
                .lines()
                .count(),
            2
        );
        assert_eq!(
            std::fs::write(path.join("x"), "y").unwrap_err().kind(),
            io::ErrorKind::ReadOnlyFilesystem
        );
        // Not even through a mount of the superblock that is itself writable.
        let other = DetachedMount::clone_of(open_directory(&path).unwrap().as_fd()).unwrap();
        other
            .restrict(Restrictions {
                writable: true,
                ..Restrictions::default()
            })
            .unwrap();
        assert_eq!(
            rustix::fs::mkdirat(other.as_fd(), "x", Mode::RWXU).unwrap_err(),
            Errno::ROFS
        );
    }

    #[test]
    fn known_by_inode_and_found_again_after_a_restart() {
        let dir = Mounted(tempfile::tempdir().unwrap());
        let mut placeholders = Placeholders::open(dir.0.path()).unwrap();
        placeholders.set([name("a.one"), name("a.two")].iter()).unwrap();
        let one = open_directory(&placeholders.path_of(&name("a.one"))).unwrap();
        let mut again = Placeholders::open(dir.0.path()).unwrap();
        assert_eq!(again.volume_of(one.as_fd()).unwrap(), Some(name("a.one")));
        assert!(
            again
                .volume_of(open_directory(dir.0.path()).unwrap().as_fd())
                .is_err()
        );
        let elsewhere = tempfile::tempdir().unwrap();
        assert_eq!(
            again
                .volume_of(open_directory(elsewhere.path()).unwrap().as_fd())
                .unwrap(),
            None
        );
        again.set([name("a.two"), name("a.three")].iter()).unwrap();
        assert!(!again.path_of(&name("a.one")).exists());
        assert!(again.path_of(&name("a.three")).exists());
        again.remove(&name("a.three")).unwrap();
        again.remove(&name("a.three")).unwrap();
        assert!(!again.path_of(&name("a.three")).exists());
        assert!(
            again.volume_of(one.as_fd()).is_err(),
            "the placeholder of a removed volume is none"
        );
    }

    #[test]
    fn directories_are_used_again() {
        let dir = Mounted(tempfile::tempdir().unwrap());
        let mut placeholders = Placeholders::open(dir.0.path()).unwrap();
        for round in 0..50 {
            let volume = name(&format!("a.v{round}"));
            placeholders.add(&volume).unwrap();
            let held = open_directory(&placeholders.path_of(&volume)).unwrap();
            placeholders.remove(&volume).unwrap();
            assert!(placeholders.volume_of(held.as_fd()).is_err());
        }
        assert_eq!(std::fs::read_dir(dir.0.path()).unwrap().count(), 1);
    }
}
