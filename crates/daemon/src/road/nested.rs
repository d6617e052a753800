//! Mounts below other mounts: where they go depends on what the outer one brings.
//!
//! A link in a volume, or in a directory of the host's, would lead the real runtime elsewhere with what is to be mounted below it,
//! over the image's code if need be. So once the outer one is there, the way to the inner one is looked at: no part of it may be
//! a link.
//!
//! Nothing is looked up on a filesystem that a program or another host serves: it could hang, or answer the real runtime something else.
//!
//! What this does not do: keep others who have a shared volume open for writing from making a link a moment later.

use super::host_paths::is_served_by_others;
use cofferdam_model::{MeasuredMount, Measurement, Problem, Result, place};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::os::fd::BorrowedFd;

/// Refuses a mount whose way leads through a link of another mount. `brought` are mounts with what they bring.
///
/// # Errors
/// `denied`.
pub(super) fn through_no_link<'f>(
    measurement: &Measurement,
    brought: impl Iterator<Item = (usize, BorrowedFd<'f>)>,
) -> Result<()> {
    for (index, brings) in brought {
        let outer = measurement.mounts.iter().find(|mount| mount.index == index);
        let Some((outer, at)) = outer.and_then(|mount| Some((mount, mount.place()?))) else {
            continue;
        };
        let inner = measurement.mounts.iter().filter(|mount| mount.index != index);
        for mount in inner {
            let Some(way) = mount.place().and_then(|place| below(at, place)) else {
                continue;
            };
            if is_served_by_others(brings)? || leads_through_a_link(brings, way)? {
                return Err(denied(mount, outer));
            }
        }
    }
    Ok(())
}

/// The way from one place to another one below it.
fn below<'p>(outer: &str, inner: &'p str) -> Option<&'p str> {
    if outer == "/" || !place::holds(outer, inner) {
        return None;
    }
    let way = inner.strip_prefix(outer)?.trim_start_matches('/');
    (!way.is_empty()).then_some(way)
}

fn leads_through_a_link(directory: BorrowedFd<'_>, way: &str) -> Result<bool> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    match rustix::fs::openat2(directory, way, flags, Mode::empty(), resolve) {
        Ok(_) | Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        // What else is mounted on the way is nobody's to know.
        Err(Errno::LOOP | Errno::XDEV) => Ok(true),
        Err(error) => Err(Problem::unavailable(format!(
            "cannot look at what another mount would be mounted on: {error}"
        ))),
    }
}

fn denied(inner: &MeasuredMount, outer: &MeasuredMount) -> Problem {
    Problem::denied(format!(
        "the mount at {:?} would go through a link in what is mounted at {:?}, or others say where it leads",
        inner.destination, outer.destination
    ))
    .remedy("mount it at a place whose way has no link; or make the link a directory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_link_on_the_way_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("real/deep")).unwrap();
        std::os::unix::fs::symlink("/etc", dir.path().join("link")).unwrap();
        std::os::unix::fs::symlink("deep", dir.path().join("real/link")).unwrap();
        let opened = rustix::fs::open(dir.path(), OFlags::PATH, Mode::empty()).unwrap();
        for (way, wanted) in [
            ("real", false),
            ("real/deep/new", false),
            ("new/x", false),
            ("link", true),
            ("link/x", true),
            ("real/link", true),
        ] {
            assert_eq!(
                leads_through_a_link(opened.as_fd(), way).unwrap(),
                wanted,
                "{way}"
            );
        }
    }

    #[test]
    fn only_what_lies_below_is_nested() {
        assert_eq!(below("/data", "/data/x/y"), Some("x/y"));
        for (outer, inner) in [
            ("/data", "/data"),
            ("/data", "/database"),
            ("/", "/x"),
            ("/x/y", "/x"),
        ] {
            assert_eq!(below(outer, inner), None, "{outer} {inner}");
        }
    }
}
