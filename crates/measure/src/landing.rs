//! Where a mount really goes in the container's root filesystem, and what it hides there.
//!
//! The real runtime follows the links of the root filesystem, as if that were `/`; so do we, one component at a time. A part that
//! is not there yet is a directory that the runtime will make. Whoever changes a link in the container's own layer has changed
//! its root filesystem, which is judged by itself.
//!
//! What this does not do: look into what other mounts bring. A place below another mount is looked at again when that is open.

use cofferdam_model::{Problem, Result};
use rustix::fs::{AtFlags, statx};
use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags};
use rustix::io::Errno;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// How many links one place may lead through (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// How many directories and files are looked at before a place counts as one that has files.
const ENTRIES_MAX: usize = 4096;

/// How often something may be looked up for all mounts of one container.
const LOOKUPS_MAX: usize = 1 << 16;

/// How deep they may lie.
const DEPTH_MAX: usize = 32;

/// The longest path that the kernel takes, in bytes.
const PATH_MAX: usize = 4096;

/// What is left of the lookups for one container.
pub(crate) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Budget(LOOKUPS_MAX)
    }
}

impl Budget {
    fn spend(&mut self) -> Result<()> {
        self.0 = self.0.checked_sub(1).ok_or_else(|| {
            Problem::invalid("it takes too long to find out where the container's mounts lead")
        })?;
        Ok(())
    }
}

/// The place in `root` to which `destination` leads: without links, `.` and `..`, from `/`.
///
/// # Errors
/// `invalid` where it leads through too many links, or through one that is no text.
pub(crate) fn place(root: BorrowedFd<'_>, destination: &str, budget: &mut Budget) -> Result<String> {
    let odd = |why: &str| Problem::invalid(format!("the mount at {destination:?} {why}"));
    if destination.len() > PATH_MAX {
        return Err(odd("has a longer path than the kernel takes"));
    }
    let mut left: VecDeque<String> = parts(destination).collect();
    let mut at: Vec<String> = Vec::new();
    let mut links = 0;
    while let Some(part) = left.pop_front() {
        if part == ".." {
            at.pop();
            continue;
        }
        at.push(part);
        budget.spend()?;
        let Some(target) = link(root, &at.join("/"))? else {
            continue;
        };
        links += 1;
        if links > LINKS_MAX || target.len() > PATH_MAX {
            return Err(odd("leads through too many links of the image"));
        }
        at.pop();
        let target = String::from_utf8(target).map_err(|_| odd("leads through a link that is no text"))?;
        if target.starts_with('/') {
            at.clear();
        }
        for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
            left.push_front(part);
        }
    }
    Ok(format!("/{}", at.join("/")))
}

fn parts(path: &str) -> impl Iterator<Item = String> + '_ {
    path.split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .map(str::to_owned)
}

/// Where the link at a place without links leads; none where there is no link.
fn link(root: BorrowedFd<'_>, place: &str) -> Result<Option<Vec<u8>>> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW;
    let Some(found) = find(root, place, flags)? else {
        return Ok(None);
    };
    if kind_of(&facts(found.as_fd()).map_err(unreadable)?) != FileType::Symlink {
        return Ok(None);
    }
    let target = rustix::fs::readlinkat(&found, c"", Vec::new()).map_err(unreadable)?;
    Ok(Some(target.into_bytes()))
}

/// Whether anything but directories lies at a place without links, or below it.
///
/// # Errors
/// `unavailable` where it cannot be read.
pub(crate) fn has_files(root: BorrowedFd<'_>, place: &str, budget: &mut Budget) -> Result<bool> {
    let below = place.trim_start_matches('/');
    let below = if below.is_empty() { "." } else { below };
    let Some(found) = find(root, below, OFlags::PATH | OFlags::NOFOLLOW)? else {
        return Ok(false);
    };
    if kind_of(&facts(found.as_fd()).map_err(unreadable)?) != FileType::Directory {
        return Ok(true);
    }
    let mut looked_at = 0;
    let has = walk(found.as_fd(), 0, &mut looked_at).map_err(unreadable)?;
    for _ in 0..looked_at {
        budget.spend()?;
    }
    Ok(has)
}

fn walk(directory: BorrowedFd<'_>, depth: usize, looked_at: &mut usize) -> rustix::io::Result<bool> {
    if depth > DEPTH_MAX {
        return Ok(true);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(directory, c".", flags, Mode::empty())?;
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        *looked_at += 1;
        if *looked_at > ENTRIES_MAX {
            return Ok(true);
        }
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let found = rustix::fs::openat(&directory, name, flags, Mode::empty())?;
        let is_directory = kind_of(&facts(found.as_fd())?) == FileType::Directory;
        if !is_directory || walk(found.as_fd(), depth + 1, looked_at)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What lies at a place below `root`, reached through no link; none where there is nothing.
fn find(root: BorrowedFd<'_>, place: &str, flags: OFlags) -> Result<Option<OwnedFd>> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match rustix::fs::openat2(root, place, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(unreadable(error)),
    }
}

fn facts(file: BorrowedFd<'_>) -> rustix::io::Result<Statx> {
    statx(file, c"", AtFlags::EMPTY_PATH, StatxFlags::TYPE)
}

fn kind_of(facts: &Statx) -> FileType {
    FileType::from_raw_mode(u32::from(facts.stx_mode))
}

fn unreadable(error: Errno) -> Problem {
    Problem::unavailable(format!(
        "cannot look into the container's root filesystem: {error}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    fn open(path: &Path) -> OwnedFd {
        rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap()
    }

    #[test]
    fn a_place_is_where_the_runtime_would_mount() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("etc/app")).unwrap();
        std::fs::create_dir_all(dir.path().join("srv")).unwrap();
        std::fs::write(dir.path().join("file"), "x").unwrap();
        for (name, target) in [
            ("srv/conf", "/etc"),
            ("srv/up", "../../../../etc/app"),
            ("srv/chain", "conf/app"),
            ("srv/away", "/not/there"),
            ("srv/loop", "loop"),
        ] {
            symlink(target, dir.path().join(name)).unwrap();
        }
        let root = open(dir.path());
        for (destination, wanted) in [
            ("/", "/"),
            ("/data", "/data"),
            ("/data/", "/data"),
            ("data//x/./y", "/data/x/y"),
            ("/srv/conf", "/etc"),
            ("/srv/conf/", "/etc"),
            ("/srv/conf/app/new", "/etc/app/new"),
            ("/srv/up", "/etc/app"),
            ("/srv/chain/../x", "/etc/x"),
            ("/srv/away/x", "/not/there/x"),
            ("/../../etc/./app", "/etc/app"),
            ("/file/x", "/file/x"),
        ] {
            assert_eq!(
                place(root.as_fd(), destination, &mut Budget::default()).unwrap(),
                wanted,
                "{destination}"
            );
        }
        assert!(place(root.as_fd(), "/srv/loop", &mut Budget::default()).is_err());
        assert!(place(root.as_fd(), &"/a".repeat(3000), &mut Budget::default()).is_err());
    }

    #[test]
    fn directories_alone_are_no_files() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("empty/a/b")).unwrap();
        std::fs::create_dir_all(dir.path().join("full/a/b")).unwrap();
        std::fs::write(dir.path().join("full/a/b/c"), "x").unwrap();
        std::fs::create_dir_all(dir.path().join("linked")).unwrap();
        symlink("nowhere", dir.path().join("linked/x")).unwrap();
        let root = open(dir.path());
        for (at, wanted) in [
            ("/empty", false),
            ("/full", true),
            ("/full/a/b/c", true),
            ("/linked", true),
            ("/missing/too", false),
            ("/", true),
        ] {
            assert_eq!(
                has_files(root.as_fd(), at, &mut Budget::default()).unwrap(),
                wanted,
                "{at}"
            );
        }
    }

    #[test]
    fn looking_up_has_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let root = open(dir.path());
        let mut budget = Budget(3);
        assert!(place(root.as_fd(), "/a/b", &mut budget).is_ok());
        assert!(place(root.as_fd(), "/a/b", &mut budget).is_err());
    }
}
