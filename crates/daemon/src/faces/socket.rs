//! Unix sockets that a daemon opens: at a fixed path, with a mode and a group, gone when it stops.

use cofferdam_model::{Problem, Result};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode};
use rustix::io::Errno;
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// A socket's name in the filesystem; it goes when this does.
pub(super) struct Name(PathBuf);

impl Drop for Name {
    fn drop(&mut self) {
        if let Err(error) = rustix::fs::unlink(&self.0) {
            tracing::debug!("cannot remove {}: {error}", self.0.display());
        }
    }
}

/// Makes room at `path`: a socket that an earlier daemon left is removed, anything else is not touched.
///
/// # Errors
/// `unavailable` where something else is there.
pub(super) fn claim(path: &Path) -> Result<Name> {
    let fail =
        |error: Errno| Problem::unavailable(format!("cannot open the socket {}: {error}", path.display()));
    match rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(facts) if FileType::from_raw_mode(facts.st_mode) == FileType::Socket => {
            rustix::fs::unlink(path).map_err(fail)?
        }
        Ok(_) => {
            return Err(
                Problem::unavailable(format!("{} is there and no socket", path.display()))
                    .remedy("move it away"),
            );
        }
        Err(Errno::NOENT) => {}
        Err(error) => return Err(fail(error)),
    }
    Ok(Name(path.to_owned()))
}

/// Listens at `path` for HTTP; `group` may connect too, where there is one.
///
/// # Errors
/// `unavailable` where the socket cannot be opened.
pub(super) fn listen(path: &Path, group: Option<u32>) -> Result<(UnixListener, Name)> {
    let fail = |error: std::io::Error| {
        Problem::unavailable(format!("cannot open the socket {}: {error}", path.display()))
    };
    let name = claim(path)?;
    let listener = UnixListener::bind(path).map_err(fail)?;
    restrict(path, group).map_err(|error| fail(error.into()))?;
    Ok((listener, name))
}

/// Sets who may connect: root, and the members of `group`.
pub(super) fn restrict(path: &Path, group: Option<u32>) -> rustix::io::Result<()> {
    let mode = if group.is_some() { 0o660 } else { 0o600 };
    rustix::fs::chownat(
        CWD,
        path,
        None,
        group.map(Gid::from_raw),
        AtFlags::SYMLINK_NOFOLLOW,
    )?;
    rustix::fs::chmodat(CWD, path, Mode::from_raw_mode(mode), AtFlags::empty())
}

/// The number of a group in `/etc/group` (group(5)); none where it is not there.
pub(super) fn group_id(name: &str) -> Option<u32> {
    let groups = std::fs::read_to_string("/etc/group").ok()?;
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() == Some(name) {
            fields.nth(1)?.parse().ok()
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_is_group_zero() {
        assert_eq!(group_id("root"), Some(0));
        assert_eq!(group_id("no such group"), None);
        assert_eq!(group_id(""), None);
    }

    #[test]
    fn only_a_stale_socket_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        drop(claim(&path).unwrap());
        assert!(!path.exists());
        std::fs::write(&path, "precious").unwrap();
        assert!(claim(&path).is_err());
        assert!(path.exists());
    }
}
