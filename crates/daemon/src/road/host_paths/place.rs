//! Where a file of the host's lies: by itself and the directories above it, and in its filesystem.
//!
//! What this does not do: say what may be done there.

use cofferdam_model::{Problem, Result};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, StatxFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// How deep a directory may lie.
const DEPTH_MAX: usize = 256;

/// A file, by device and inode.
type FileId = (u32, u32, u64);

/// Where something lies.
pub(super) struct Place {
    /// As the kernel names it now; for people, and for what is mounted below.
    pub(super) path: PathBuf,
    /// Itself, and every directory above it.
    pub(super) chain: Vec<FileId>,
    /// The device of its filesystem, and where it is there.
    pub(super) device: (u32, u32),
    pub(super) within: PathBuf,
}

/// One line of the table of mounts (proc_pid_mountinfo(5)).
pub(super) struct Mounted {
    id: u64,
    pub(super) device: (u32, u32),
    pub(super) root: PathBuf,
    pub(super) at: PathBuf,
    pub(super) filesystem: String,
}

/// Where these paths lead, of those that there are.
pub(super) fn places(paths: &[PathBuf], table: &[Mounted]) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    for path in paths {
        match rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
            Ok(opened) => places.push(Place::of(opened.as_fd(), table)?),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => {
                return Err(Problem::unavailable(format!(
                    "cannot open {}: {error}",
                    path.display()
                )));
            }
        }
    }
    Ok(places)
}

impl Place {
    /// Where this one lies.
    ///
    /// # Errors
    /// `denied` where it was moved or removed meanwhile; `unavailable` where the kernel would not say.
    pub(super) fn of(descriptor: BorrowedFd<'_>, table: &[Mounted]) -> Result<Self> {
        let lost = || {
            Problem::denied("a host path cannot be told the place of: it was moved or removed meanwhile")
                .remedy("start the container again")
        };
        let (id, mount, is_directory) = facts(descriptor)?;
        let path = std::fs::read_link(format!("/proc/self/fd/{}", descriptor.as_raw_fd()))
            .map_err(|error| Problem::unavailable(format!("cannot find where a host path lies: {error}")))?;
        let mounted = table
            .iter()
            .find(|mounted| mounted.id == mount)
            .ok_or_else(lost)?;
        let below = path.strip_prefix(&mounted.at).map_err(|_| lost())?;
        let mut chain = vec![id];
        let parent = match is_directory {
            true => rustix::fs::openat(descriptor, ".", DIRECTORY_PATH, Mode::empty()),
            false => parent_of(&path, id),
        };
        chain.extend(above(parent.map_err(|_| lost())?)?);
        Ok(Place {
            chain,
            device: mounted.device,
            within: mounted.root.components().chain(below.components()).collect(),
            path,
        })
    }

    /// What is mounted below it, and comes along.
    pub(super) fn mounted_below<'t>(&self, table: &'t [Mounted]) -> Vec<&'t Mounted> {
        let below = table.iter().filter(|mounted| mounted.at.starts_with(&self.path));
        below.collect()
    }

    /// Whether it contains the other one, or brings a part of it along in what is mounted below.
    pub(super) fn brings(&self, other: &Place, below: &[&Mounted]) -> bool {
        let mounted = |below: &&Mounted| {
            below.device == other.device
                && (below.root.starts_with(&other.within) || other.within.starts_with(&below.root))
        };
        other.lies_in(self) || below.iter().any(mounted)
    }

    /// Whether it is the other one, or below it.
    pub(super) fn lies_in(&self, other: &Place) -> bool {
        self.depth_in(other).is_some()
    }

    /// How many directories it lies below the other one; none where it does not.
    pub(super) fn depth_in(&self, other: &Place) -> Option<usize> {
        let first = other.chain.first();
        let by_files = first.and_then(|id| self.chain.iter().position(|above| above == id));
        let below = self.within.strip_prefix(&other.within);
        let by_place = below
            .ok()
            .filter(|_| self.device == other.device)
            .map(|below| below.components().count());
        by_files.into_iter().chain(by_place).min()
    }
}

const DIRECTORY_PATH: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The directory of a file that is no directory, where the file is still in it.
fn parent_of(path: &Path, file: FileId) -> rustix::io::Result<OwnedFd> {
    let (parent, name) = path.parent().zip(path.file_name()).ok_or(Errno::NOENT)?;
    let parent = rustix::fs::open(parent, DIRECTORY_PATH | OFlags::NOFOLLOW, Mode::empty())?;
    let there = rustix::fs::openat(
        &parent,
        name,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    match facts(there.as_fd()) {
        Ok((id, _, _)) if id == file => Ok(parent),
        _ => Err(Errno::NOENT),
    }
}

/// Filesystems of this host's own, on which a name means the same each time.
const OWN: [&str; 7] = ["btrfs", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"];

/// Whether a file lies on a filesystem that somebody else serves, a program or another host: it may hang, and say something else the
/// next time. A mount that is in no namespace is none.
///
/// # Errors
/// `unavailable` where the kernel would not say.
pub(crate) fn is_served_by_others(descriptor: BorrowedFd<'_>) -> Result<bool> {
    let (_, mount, _) = facts(descriptor)?;
    let table = table()?;
    let mounted = table.iter().find(|mounted| mounted.id == mount);
    Ok(mounted.is_some_and(|mounted| !OWN.contains(&mounted.filesystem.as_str())))
}

/// A directory, and every one above it.
fn above(mut directory: OwnedFd) -> Result<Vec<FileId>> {
    let mut chain = Vec::new();
    loop {
        let (id, _, _) = facts(directory.as_fd())?;
        if chain.last() == Some(&id) {
            return Ok(chain);
        }
        if chain.len() > DEPTH_MAX {
            return Err(Problem::denied("a host path lies too deep to be judged"));
        }
        chain.push(id);
        directory = rustix::fs::openat(&directory, "..", DIRECTORY_PATH, Mode::empty())
            .map_err(|error| Problem::unavailable(format!("cannot look above a host path: {error}")))?;
    }
}

/// A file's identity, its mount's, and whether it is a directory.
fn facts(descriptor: BorrowedFd<'_>) -> Result<(FileId, u64, bool)> {
    let wanted = StatxFlags::INO | StatxFlags::TYPE | StatxFlags::MNT_ID;
    let facts = rustix::fs::statx(
        descriptor,
        c"",
        AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC,
        wanted,
    )
    .map_err(|error| Problem::unavailable(format!("cannot look at a host path: {error}")))?;
    if facts.stx_mask & StatxFlags::MNT_ID.bits() == 0 {
        return Err(
            Problem::unavailable("this kernel does not tell mounts apart").remedy("run Linux 5.12 or later")
        );
    }
    let id = (facts.stx_dev_major, facts.stx_dev_minor, facts.stx_ino);
    let kind = FileType::from_raw_mode(u32::from(facts.stx_mode));
    Ok((id, facts.stx_mnt_id, kind == FileType::Directory))
}

/// The table of mounts.
pub(super) fn table() -> Result<Vec<Mounted>> {
    let text = std::fs::read("/proc/self/mountinfo")
        .map_err(|error| Problem::unavailable(format!("cannot read the table of mounts: {error}")))?;
    let lines = text.split(|byte| *byte == b'\n');
    Ok(lines.filter_map(mounted).collect())
}

fn mounted(line: &[u8]) -> Option<Mounted> {
    let mut fields = line.split(|byte| *byte == b' ');
    let mut number = || std::str::from_utf8(fields.next()?).ok();
    let id = number()?.parse().ok()?;
    number()?;
    let (major, minor) = number()?.split_once(':')?;
    let device = (major.parse().ok()?, minor.parse().ok()?);
    let (root, at) = (unescaped(fields.next()?), unescaped(fields.next()?));
    let filesystem = fields.skip_while(|field| *field != b"-").nth(1)?;
    Some(Mounted {
        id,
        device,
        root,
        at,
        filesystem: String::from_utf8_lossy(filesystem).into_owned(),
    })
}

/// A path of the table: space, tab, line end and backslash are three octal digits behind a backslash.
fn unescaped(field: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            (byte, _) => bytes.push(*byte),
        }
    }
    let path = PathBuf::from(std::ffi::OsString::from_vec(bytes));
    // A root of another kind (of a namespace, nsfs) is no path.
    match path.components().next() {
        Some(Component::RootDir) => path,
        _ => Path::new("/").join(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_paths_of_the_table_are_read() {
        let line = b"36 35 98:0 /mnt\\040a /mnt\\134b rw - ext4 /dev/x rw";
        let found = mounted(line).unwrap();
        assert_eq!((found.id, found.device), (36, (98, 0)));
        assert_eq!(found.root, Path::new("/mnt a"));
        assert_eq!(found.at, Path::new("/mnt\\b"));
        assert!(mounted(b"").is_none());
    }
}
