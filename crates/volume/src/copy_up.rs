//! A new volume's first content: the image's directory at the volume's place, as engines copy it.
//!
//! Contents, owners, modes, times, links, fifos, sockets and extended attributes are copied. Device nodes are not: a
//! volume's mount has `nodev`, they would be dead there. Every step is relative to an open directory and
//! follows no link.

use cofferdam_linux::file::reopen;
use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Deeper trees are refused: they exist only to harm.
const DEPTH_MAX: usize = 128;

/// The longest piece that is copied without a step, in bytes.
const PIECE: u64 = 8 << 20;

/// How far a copy is, in steps (files and pieces of large ones); others may look while it grows, and may end it.
#[derive(Debug, Default)]
pub struct Progress {
    steps: AtomicU64,
    cancelled: AtomicBool,
}

impl Progress {
    /// The number of steps so far.
    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// Counts as far as another copy that is waited for.
    pub fn at_least(&self, steps: u64) {
        self.steps.fetch_max(steps, Ordering::Relaxed);
    }

    /// Ends the copy at its next step: nobody waits for it any more.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether nobody waits any more.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn step(&self) -> io::Result<()> {
        self.steps.fetch_add(1, Ordering::Relaxed);
        if self.is_cancelled() {
            Err(io::Error::other("nobody waits for it any more"))
        } else {
            Ok(())
        }
    }
}

/// Whether an id is a user's or a group's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdKind {
    /// A user id.
    User,
    /// A group id.
    Group,
}

impl IdKind {
    /// The translation for images whose ids are the container's own.
    pub fn same(self, id: u32) -> Option<u32> {
        Some(id)
    }
}

/// From an id as it lies in the image to the id as it shall lie on the volume; none where it stands for no one.
pub type Translate<'a> = dyn Fn(IdKind, u32) -> Option<u32> + 'a;

/// Copies the directory `source` into the empty directory `target`, its own owner, mode and times included.
pub(crate) fn copy_tree(
    source: BorrowedFd<'_>,
    target: BorrowedFd<'_>,
    translate: &Translate<'_>,
    progress: &Progress,
) -> io::Result<()> {
    let mut copier = Copier {
        translate,
        progress,
        root: target,
        links: HashMap::new(),
    };
    copier.directory(source, target, &mut Vec::new())
}

/// One copy under way.
struct Copier<'a> {
    translate: &'a Translate<'a>,
    progress: &'a Progress,
    root: BorrowedFd<'a>,
    /// Files with several names: their place in the image, and the path of their first name below the root.
    links: HashMap<(u64, u64), CString>,
}

impl Copier<'_> {
    fn directory(
        &mut self,
        source: BorrowedFd<'_>,
        target: BorrowedFd<'_>,
        path: &mut Vec<CString>,
    ) -> io::Result<()> {
        if path.len() > DEPTH_MAX {
            return Err(io::Error::other(format!(
                "the image's directory is more than {DEPTH_MAX} levels deep"
            )));
        }
        for entry in Dir::new(reopen(source, OFlags::RDONLY | OFlags::DIRECTORY)?)? {
            let entry = entry?;
            if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                path.push(entry.file_name().to_owned());
                self.entry(source, target, entry.file_name(), path)?;
                path.pop();
            }
        }
        let facts = rustix::fs::fstat(source)?;
        self.dress(source, target, &facts)
    }

    fn entry(
        &mut self,
        source: BorrowedFd<'_>,
        target: BorrowedFd<'_>,
        name: &CStr,
        path: &mut Vec<CString>,
    ) -> io::Result<()> {
        let facts = rustix::fs::statat(source, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = FileType::from_raw_mode(facts.st_mode);
        if kind != FileType::Directory && facts.st_nlink > 1 {
            if let Some(first) = self.links.get(&(facts.st_dev, facts.st_ino)) {
                return Ok(rustix::fs::linkat(
                    self.root,
                    first.as_c_str(),
                    target,
                    name,
                    AtFlags::empty(),
                )?);
            }
            self.links.insert((facts.st_dev, facts.st_ino), joined(path)?);
        }
        match kind {
            FileType::Directory => {
                rustix::fs::mkdirat(target, name, Mode::RWXU)?;
                let (from, to) = (
                    open(source, name, OFlags::DIRECTORY)?,
                    open(target, name, OFlags::DIRECTORY)?,
                );
                self.directory(from.as_fd(), to.as_fd(), path)?;
            }
            FileType::RegularFile => self.file(source, target, name, &facts)?,
            FileType::Symlink => {
                rustix::fs::symlinkat(
                    rustix::fs::readlinkat(source, name, Vec::new())?.as_c_str(),
                    target,
                    name,
                )?;
                self.dress_link(target, name, &facts)?;
            }
            FileType::Fifo | FileType::Socket => {
                rustix::fs::mknodat(target, name, kind, Mode::from_raw_mode(facts.st_mode), 0)?;
                self.dress_link(target, name, &facts)?;
                rustix::fs::chmodat(
                    target,
                    name,
                    Mode::from_raw_mode(facts.st_mode & 0o7777),
                    AtFlags::empty(),
                )?;
            }
            FileType::BlockDevice | FileType::CharacterDevice | FileType::Unknown => {}
        }
        self.progress.step()
    }

    fn file(
        &self,
        source: BorrowedFd<'_>,
        target: BorrowedFd<'_>,
        name: &CStr,
        facts: &Stat,
    ) -> io::Result<()> {
        let mut from = File::from(open(source, name, OFlags::empty())?);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut to = File::from(rustix::fs::openat(
            target,
            name,
            flags,
            Mode::from_raw_mode(0o600),
        )?);
        while io::copy(&mut (&mut from).take(PIECE), &mut to)? == PIECE {
            self.progress.step()?;
        }
        self.dress(from.as_fd(), to.as_fd(), facts)
    }

    /// Owner, attributes, mode, times, in this order: a change of owner takes set-uid bits and capabilities away.
    fn dress(&self, source: BorrowedFd<'_>, target: BorrowedFd<'_>, facts: &Stat) -> io::Result<()> {
        let (uid, gid) = self.owner(facts)?;
        rustix::fs::fchown(target, Some(uid), Some(gid))?;
        copy_attributes(source, target)?;
        rustix::fs::fchmod(target, Mode::from_raw_mode(facts.st_mode & 0o7777))?;
        Ok(rustix::fs::futimens(target, &times(facts))?)
    }

    /// The same for what cannot be opened; a link has no mode of its own.
    fn dress_link(&self, target: BorrowedFd<'_>, name: &CStr, facts: &Stat) -> io::Result<()> {
        let (uid, gid) = self.owner(facts)?;
        rustix::fs::chownat(target, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(rustix::fs::utimensat(
            target,
            name,
            &times(facts),
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    }

    fn owner(&self, facts: &Stat) -> io::Result<(Uid, Gid)> {
        let unknown = || io::Error::other("the image has a file whose owner does not exist in the container");
        let uid = (self.translate)(IdKind::User, facts.st_uid).ok_or_else(unknown)?;
        let gid = (self.translate)(IdKind::Group, facts.st_gid).ok_or_else(unknown)?;
        Ok((Uid::from_raw(uid), Gid::from_raw(gid)))
    }
}

fn open(parent: BorrowedFd<'_>, name: &CStr, flags: OFlags) -> io::Result<OwnedFd> {
    Ok(rustix::fs::openat(
        parent,
        name,
        flags | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

fn joined(path: &[CString]) -> io::Result<CString> {
    let parts: Vec<&[u8]> = path.iter().map(|part| part.as_bytes()).collect();
    Ok(CString::new(parts.join(&b"/"[..]))?)
}

fn times(facts: &Stat) -> Timestamps {
    let time = |seconds, nanos: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: i64::try_from(nanos).unwrap_or(0),
    };
    Timestamps {
        last_access: time(facts.st_atime, facts.st_atime_nsec),
        last_modification: time(facts.st_mtime, facts.st_mtime_nsec),
    }
}

/// Copies extended attributes, but for those that belong to the filesystem the file was on.
fn copy_attributes(source: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    /// As long as a value can be (`XATTR_SIZE_MAX`) and a list can be (`XATTR_LIST_MAX`).
    const MAX: usize = 65_536;
    let source = reopen(source, OFlags::RDONLY | OFlags::NONBLOCK)?;
    let mut list = vec![0_u8; MAX];
    let length = match rustix::fs::flistxattr(&source, &mut list[..]) {
        Err(Errno::NOTSUP) => return Ok(()),
        length => length?,
    };
    list.truncate(length);
    let mut value = vec![0_u8; MAX];
    for name in list
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty() && !stays_behind(name))
    {
        let length = rustix::fs::fgetxattr(&source, name, &mut value[..])?;
        let value = value.get(..length).unwrap_or_default();
        match rustix::fs::fsetxattr(target, name, value, XattrFlags::empty()) {
            Ok(()) | Err(Errno::NOTSUP) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Attributes of the layer below or of this host, not of the file.
fn stays_behind(name: &[u8]) -> bool {
    name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.") || name == b"security.selinux"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, symlink};

    /// A file capability as the kernel keeps it (`struct vfs_cap_data`, revision 2): CAP_NET_BIND_SERVICE, effective.
    const CAPABILITY: &[u8] = &[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    #[test]
    fn everything_but_devices_is_copied() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (image, volume) = (from.path(), to.path());
        std::fs::create_dir(image.join("etc")).unwrap();
        std::fs::write(image.join("etc/app.conf"), "x=1").unwrap();
        std::fs::set_permissions(image.join("etc/app.conf"), PermissionsExt::from_mode(0o4750)).unwrap();
        chown(image.join("etc/app.conf"), Some(5000), Some(6000)).unwrap();
        std::fs::set_permissions(image.join("etc/app.conf"), PermissionsExt::from_mode(0o4750)).unwrap();
        std::fs::hard_link(image.join("etc/app.conf"), image.join("second")).unwrap();
        symlink("/etc/shadow", image.join("link")).unwrap();
        let source = File::open(image).unwrap();
        rustix::fs::mknodat(&source, "fifo", FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap();
        rustix::fs::mknodat(
            &source,
            "null",
            FileType::CharacterDevice,
            Mode::RWXU,
            rustix::fs::makedev(1, 3),
        )
        .unwrap();
        rustix::fs::setxattr(
            image.join("etc/app.conf"),
            "user.note",
            b"kept",
            XattrFlags::empty(),
        )
        .unwrap();
        rustix::fs::setxattr(
            image.join("etc/app.conf"),
            "security.capability",
            CAPABILITY,
            XattrFlags::empty(),
        )
        .unwrap();
        chown(image, Some(5000), Some(6000)).unwrap();
        std::fs::set_permissions(image, PermissionsExt::from_mode(0o710)).unwrap();

        let target = File::open(volume).unwrap();
        let progress = Progress::default();
        copy_tree(
            source.as_fd(),
            target.as_fd(),
            &|kind, id| kind.same(id),
            &progress,
        )
        .unwrap();

        let facts = std::fs::metadata(volume.join("etc/app.conf")).unwrap();
        assert_eq!(
            (facts.uid(), facts.gid(), facts.mode() & 0o7777, facts.nlink()),
            (5000, 6000, 0o4750, 2)
        );
        assert_eq!(std::fs::read(volume.join("second")).unwrap(), b"x=1");
        assert_eq!(
            std::fs::read_link(volume.join("link")).unwrap().to_str(),
            Some("/etc/shadow")
        );
        assert!(
            std::fs::symlink_metadata(volume.join("fifo"))
                .unwrap()
                .file_type()
                .is_fifo()
        );
        assert!(!volume.join("null").exists());
        let mut value = [0_u8; 16];
        let length = rustix::fs::getxattr(volume.join("etc/app.conf"), "user.note", &mut value[..]).unwrap();
        assert_eq!(&value[..length], b"kept");
        let root = std::fs::metadata(volume).unwrap();
        assert_eq!((root.uid(), root.mode() & 0o7777), (5000, 0o710));
        assert!(progress.steps() >= 5);
        let mut capability = [0_u8; 64];
        let length = rustix::fs::getxattr(
            volume.join("etc/app.conf"),
            "security.capability",
            &mut capability[..],
        )
        .unwrap();
        assert_eq!(&capability[..length], CAPABILITY);
    }

    #[test]
    fn a_copy_that_nobody_waits_for_ends() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(from.path().join("a"), "x").unwrap();
        let (source, target) = (File::open(from.path()).unwrap(), File::open(to.path()).unwrap());
        let progress = Progress::default();
        progress.cancel();
        assert!(
            copy_tree(
                source.as_fd(),
                target.as_fd(),
                &|kind, id| kind.same(id),
                &progress
            )
            .is_err()
        );
    }

    #[test]
    fn ids_are_translated_or_refused() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        chown(from.path(), Some(100_005), Some(100_006)).unwrap();
        let (source, target) = (File::open(from.path()).unwrap(), File::open(to.path()).unwrap());
        let shifted = |_: IdKind, id: u32| id.checked_sub(100_000);
        copy_tree(source.as_fd(), target.as_fd(), &shifted, &Progress::default()).unwrap();
        assert_eq!(std::fs::metadata(to.path()).unwrap().uid(), 5);
        chown(from.path(), Some(7), Some(7)).unwrap();
        assert!(copy_tree(source.as_fd(), target.as_fd(), &shifted, &Progress::default()).is_err());
    }

    #[test]
    fn trees_made_to_harm_are_refused() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let deep: std::path::PathBuf = (0..DEPTH_MAX + 5).map(|_| "d").collect();
        std::fs::create_dir_all(from.path().join(deep)).unwrap();
        let (source, target) = (File::open(from.path()).unwrap(), File::open(to.path()).unwrap());
        assert!(
            copy_tree(
                source.as_fd(),
                target.as_fd(),
                &|kind, id| kind.same(id),
                &Progress::default()
            )
            .is_err()
        );
    }
}
