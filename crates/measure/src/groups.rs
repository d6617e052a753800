//! Extra groups of a container's first process: which of them come from outside.
//!
//! An engine gives a process the groups that the image's own `/etc/group` names its user in, and those that somebody asks for
//! (`--group-add`). The former came with the image: whoever changes that file in the container's own layer has changed its root
//! filesystem, which is judged by itself.

use cofferdam_linux::file;
use cofferdam_model::{Problem, Result};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxFlags, statx};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

/// The longest `/etc/passwd` or `/etc/group`, in bytes.
const LENGTH_MAX: usize = 4 << 20;

/// The groups that are neither the user's own nor what the image's files give it.
///
/// # Errors
/// `invalid` where those files are longer than 4 MiB; `unavailable` where they cannot be read.
pub(crate) fn from_outside(
    root: BorrowedFd<'_>,
    uid: u32,
    gid: u32,
    groups: &[u32],
) -> Result<BTreeSet<u32>> {
    let mut foreign: BTreeSet<u32> = groups.iter().copied().filter(|group| *group != gid).collect();
    if !foreign.is_empty() {
        let (users, named) = (read(root, "etc/passwd")?, read(root, "etc/group")?);
        let own = own(&users, &named, uid);
        foreign.retain(|group| !own.contains(group));
    }
    Ok(foreign)
}

/// The groups that have one of this user's names among their members (passwd(5), group(5)).
fn own(users: &str, groups: &str, uid: u32) -> BTreeSet<u32> {
    let number = |field: Option<&str>| field.and_then(|text| text.parse::<u32>().ok());
    let names: BTreeSet<&str> = users
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (number(fields.nth(1)) == Some(uid)).then_some(name)
        })
        .collect();
    let has_user = |members: &str| members.split(',').any(|member| names.contains(member.trim()));
    groups
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':').skip(2);
            let gid = number(fields.next())?;
            fields.next().is_some_and(has_user).then_some(gid)
        })
        .collect()
}

/// A file of the container's, through links that stay in its root filesystem; empty where there is none.
fn read(root: BorrowedFd<'_>, place: &str) -> Result<String> {
    let fail = |error: &dyn std::fmt::Display| {
        Problem::unavailable(format!("cannot read the container's /{place}: {error}"))
    };
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let found = match rustix::fs::openat2(root, place, flags, Mode::empty(), resolve) {
        Ok(found) => found,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(String::new()),
        Err(error) => return Err(fail(&error)),
    };
    let facts = statx(&found, c"", AtFlags::EMPTY_PATH, StatxFlags::TYPE).map_err(|error| fail(&error))?;
    if FileType::from_raw_mode(u32::from(facts.stx_mode)) != FileType::RegularFile {
        return Ok(String::new());
    }
    let opened = file::reopen(found.as_fd(), OFlags::RDONLY).map_err(|error| fail(&error))?;
    let bytes = file::read_limited(File::from(opened), LENGTH_MAX)
        .map_err(|error| Problem::invalid(format!("cannot believe the container's /{place}: {error}")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0::/root:/bin/sh\napp:x:1000:1000::/:/bin/sh\nalso:x:1000:5::/:\nodd\n";
    const GROUPS: &str =
        "root:x:0:root\nwheel:x:10:root,app\naudio:x:29: also \nvideo:x:44:\nbad:x:no:app\nshort:x:7\n";

    fn foreign(uid: u32, gid: u32, groups: &[u32]) -> Vec<u32> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("real")).unwrap();
        std::os::unix::fs::symlink("/real", dir.path().join("etc")).unwrap();
        std::fs::write(dir.path().join("real/passwd"), USERS).unwrap();
        std::fs::write(dir.path().join("real/group"), GROUPS).unwrap();
        let root = rustix::fs::open(dir.path(), OFlags::PATH, Mode::empty()).unwrap();
        let found = from_outside(root.as_fd(), uid, gid, groups).unwrap();
        found.into_iter().collect()
    }

    #[test]
    fn the_images_own_groups_are_no_ones_from_outside() {
        assert!(foreign(1000, 1000, &[1000, 10, 29]).is_empty());
        assert!(foreign(0, 0, &[0, 10]).is_empty());
    }

    #[test]
    fn any_other_group_is() {
        assert_eq!(foreign(1000, 1000, &[0, 10, 44, 7]), [0, 7, 44]);
        assert_eq!(foreign(0, 0, &[29]), [29]);
        assert_eq!(foreign(4242, 1, &[10, 0]), [0, 10]);
    }

    #[test]
    fn a_root_without_such_files_has_none() {
        let dir = tempfile::tempdir().unwrap();
        let root = rustix::fs::open(dir.path(), OFlags::PATH, Mode::empty()).unwrap();
        let found = from_outside(root.as_fd(), 0, 0, &[0, 5]).unwrap();
        assert_eq!(found, [5].into());
    }
}
