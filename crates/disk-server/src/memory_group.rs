//! The memory cgroup (cgroups(7)): whoever serves a disk must not live in one that has a limit.
//!
//! Where a group is full of what its users have written to the disk, its processes wait in the kernel until that is
//! written back; a server in the same group is one of them, and nothing is ever written back. `PR_SET_IO_FLUSHER` does
//! not help against that. So the supervisor leaves for the nearest group above without a limit, before it starts a
//! worker; where it cannot, it says so and serves.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Limits at and above this are none (cgroup v1 shows the largest multiple of a page).
const NONE: u64 = 1 << 62;

/// Leaves a group with a limit. Answers what people should hear of that.
pub(crate) fn leave() -> Option<String> {
    let (mounts, groups) = ("/proc/self/mountinfo", "/proc/self/cgroup");
    let place = find(
        &fs::read_to_string(mounts).ok()?,
        &fs::read_to_string(groups).ok()?,
    )?;
    let (limited, limit) = place.highest_limited()?;
    let shown = limited.display();
    for above in limited.ancestors().skip(1) {
        if !above.starts_with(&place.root) {
            break;
        }
        // A group of version 2 with groups below it takes no processes, but for the root.
        if fs::write(above.join("cgroup.procs"), "0").is_ok() {
            return Some(format!(
                "left the memory cgroup {shown}, which is limited to {limit} bytes, for {}",
                above.display()
            ));
        }
    }
    Some(format!(
        "the memory cgroup {shown} is limited to {limit} bytes: this server and whoever writes to the disk in the same \
         cgroup can come to wait for each other for ever; start it outside of that cgroup"
    ))
}

/// Where this process is in the hierarchy that limits memory.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    root: PathBuf,
    group: PathBuf,
    /// The files with limits.
    files: &'static [&'static str],
}

impl Place {
    /// The highest group that has a limit, of this one and those above.
    fn highest_limited(&self) -> Option<(PathBuf, u64)> {
        let groups = self.group.ancestors();
        let within = groups.take_while(|group| group.starts_with(&self.root));
        within
            .filter_map(|group| Some((group.to_owned(), self.limit(group)?)))
            .last()
    }

    fn limit(&self, group: &Path) -> Option<u64> {
        let limits = self
            .files
            .iter()
            .filter_map(|file| fs::read_to_string(group.join(file)).ok());
        limits
            .filter_map(|text| text.trim().parse().ok())
            .filter(|limit| *limit < NONE)
            .min()
    }
}

/// From the tables of mounts and of this process's groups.
fn find(mounts: &str, groups: &str) -> Option<Place> {
    let mut versions = groups.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        rest.split_once(':')
    });
    let first = versions.clone().find(|(controllers, _)| has_memory(controllers));
    let (group, kind, files): (_, _, &[&str]) = match first {
        Some((_, group)) => (group, "cgroup", &["memory.limit_in_bytes"]),
        None => {
            let (_, group) = versions.find(|(controllers, _)| controllers.is_empty())?;
            (group, "cgroup2", &["memory.max", "memory.high"])
        }
    };
    let (root, shown) = mounts.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let mut right = right.split(' ');
        let is_it = right.next()? == kind && (kind == "cgroup2" || has_memory(right.nth(1)?));
        let mut left = left.split(' ').skip(3);
        is_it.then_some((left.next()?, left.next()?))
    })?;
    // A mount that shows a part of the hierarchy shows this process's group only if it lies in that part.
    let below = Path::new(group).strip_prefix(root).ok()?;
    Some(Place {
        root: shown.into(),
        group: Path::new(shown).join(below),
        files,
    })
}

fn has_memory(controllers: &str) -> bool {
    controllers.split(',').any(|controller| controller == "memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "\
        33 30 0:28 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
        34 30 0:29 / /sys/fs/cgroup/memory rw,relatime shared:5 - cgroup cgroup rw,memory\n\
        35 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
    const SECOND: &str = "30 29 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const PART: &str = "30 29 0:26 /box /sys/fs/cgroup ro - cgroup2 cgroup rw\n";

    #[test]
    fn the_hierarchy_of_either_version_is_found() {
        let place = find(FIRST, "4:memory:/a/b\n1:cpu:/\n0::/\n").unwrap();
        assert_eq!(place.root, Path::new("/sys/fs/cgroup/memory"));
        assert_eq!(place.group, Path::new("/sys/fs/cgroup/memory/a/b"));
        let place = find(SECOND, "0::/system.slice/x.service\n").unwrap();
        assert_eq!(place.root, Path::new("/sys/fs/cgroup"));
        assert_eq!(place.group, Path::new("/sys/fs/cgroup/system.slice/x.service"));
        let place = find(PART, "0::/box/inner\n").unwrap();
        assert_eq!(place.group, Path::new("/sys/fs/cgroup/inner"));
        assert_eq!(find(PART, "0::/elsewhere\n"), None);
        assert_eq!(find("", "0::/\n"), None);
    }

    #[test]
    fn the_highest_limit_counts() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().join("root");
        let group = root.join("a/b/c");
        fs::create_dir_all(&group).unwrap();
        let place = |files| Place {
            root: root.clone(),
            group: group.clone(),
            files,
        };
        let second = place(&["memory.max", "memory.high"]);
        fs::write(scratch.path().join("memory.max"), "1").unwrap();
        fs::write(root.join("a/memory.max"), "max\n").unwrap();
        assert_eq!(second.highest_limited(), None);
        fs::write(group.join("memory.high"), "4096\n").unwrap();
        assert_eq!(second.highest_limited(), Some((group.clone(), 4096)));
        fs::write(root.join("a/b/memory.max"), "8192\n").unwrap();
        assert_eq!(second.highest_limited(), Some((root.join("a/b"), 8192)));
        let first = place(&["memory.limit_in_bytes"]);
        fs::write(root.join("memory.limit_in_bytes"), "9223372036854771712\n").unwrap();
        assert_eq!(first.highest_limited(), None);
    }
}
