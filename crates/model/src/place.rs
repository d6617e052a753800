//! Places in a container, and whether a mount there hides what the image brought.
//!
//! An image and an argv say which code runs only as long as nothing else lies where that code is looked for. So a
//! volume, or an empty filesystem of the kernel, may not lie over the directories that code and configuration are
//! loaded from, nor over the program itself.
//!
//! Nor over any other place where the image has files, unless the image itself declares that to be a place for data (`VOLUME`):
//! code may lie anywhere.
//!
//! What this does not do: know which files a program will look for where the image has none.

use crate::{MeasuredMount, Measurement, MountKind};

/// Where images keep code and configuration, and where the kernel and the engine show their own.
const IMAGES_OWN: [&str; 13] = [
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/usr",
    "/etc",
    "/boot",
    "/dev",
    "/proc",
    "/sys",
    "/run/cofferdam",
];

/// What engines mount in every container, or where every image expects an empty place.
const ORDINARY: [(&str, &str); 9] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devpts", "/dev/pts"),
    ("mqueue", "/dev/mqueue"),
    ("cgroup", "/sys/fs/cgroup"),
    ("cgroup2", "/sys/fs/cgroup"),
    ("tmpfs", "/dev"),
    ("tmpfs", "/dev/shm"),
    ("tmpfs", "/run"),
];

/// The paths that every engine masks. Docker's API lets a client choose others, so that one alone proves nothing.
pub const ALWAYS_MASKED: [&str; 9] = [
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
];

/// The paths that every engine makes read-only: root could change the host's kernel through them.
pub const ALWAYS_READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// The longest path that the kernel takes, in bytes.
const PATH_MAX: usize = 4096;

/// The place without the slash that it may end with; none where it is relative or has a component that is empty,
/// `.` or `..`, so that it may be read in more than one way.
pub fn plain(place: &str) -> Option<&str> {
    if place == "/" {
        return Some(place);
    }
    let bare = without_slash(place);
    bare.strip_prefix('/')?
        .split('/')
        .all(|part| !matches!(part, "" | "." | ".."))
        .then_some(bare)
}

/// Whether two texts name the same directory but for one slash at the end.
pub fn same(one: &str, other: &str) -> bool {
    without_slash(one) == without_slash(other)
}

fn without_slash(place: &str) -> &str {
    place
        .strip_suffix('/')
        .filter(|bare| !bare.is_empty())
        .unwrap_or(place)
}

impl Measurement {
    /// Whether this mount is a volume or a filesystem of the kernel that hides what the image brought: code,
    /// configuration, or the program that runs. One at a place that is not [`plain`] may hide anything.
    ///
    /// What comes from outside and the engine's own files are judged by what they are, not here.
    pub fn is_hidden_by(&self, mount: &MeasuredMount) -> bool {
        let kernel = match &mount.kind {
            MountKind::Volume(_) => None,
            MountKind::Kernel(kind) => Some(kind.as_str()),
            MountKind::Engine | MountKind::Outside(_) => return false,
        };
        let Some(place) = mount.place() else {
            return true;
        };
        let is_ordinary = kernel.is_some_and(|kind| is_ordinary(kind, place));
        let is_images = IMAGES_OWN
            .iter()
            .any(|own| holds(place, own) || holds(own, place));
        (is_images && !is_ordinary) || place == "/" || mount.hides_files || self.runs_from(place)
    }

    /// Whether the way to the program leads over this plain place.
    fn runs_from(&self, place: &str) -> bool {
        let Some(program) = self.argv.first().filter(|program| program.contains('/')) else {
            return false;
        };
        let from = if program.starts_with('/') { "" } else { &self.cwd };
        if program.len() > PATH_MAX || from.len() > PATH_MAX {
            return true;
        }
        let wanted: Vec<&str> = place.split('/').filter(|part| !part.is_empty()).collect();
        let mut at = Vec::new();
        from.split('/').chain(program.split('/')).any(|part| {
            match part {
                "" | "." => {}
                ".." => {
                    at.pop();
                }
                name => at.push(name),
            }
            at == wanted
        })
    }
}

/// Whether a filesystem of the kernel's at this place is what every container has, or every image expects.
pub fn is_ordinary(kind: &str, place: &str) -> bool {
    ORDINARY.contains(&(kind, place))
}

/// Whether the inner place is the outer one or lies below it; both [`plain`].
pub fn holds(outer: &str, inner: &str) -> bool {
    outer == "/"
        || inner
            .strip_prefix(outer)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests;
