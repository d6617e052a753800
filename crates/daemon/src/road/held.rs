//! The mark that a container holds a volume, or binds what an app was granted: one file for each, in a directory that does not survive a boot.
//!
//! The runtime looks for it before `exec` and `checkpoint`. In it is the container's environment, which healthchecks
//! are compared with: it may hold secrets, so it never lies anywhere that survives.
//!
//! INVARIANT: the mark is there before the volume is handed out, and goes after the lease has. Whoever changes marks and leases
//! together holds `Daemon::marks` meanwhile.

use crate::daemon::Daemon;
use cofferdam_linux::file;
use cofferdam_model::{AppName, ContainerId, HostPath, Measurement, Problem, Process, Result};
use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use tracing::warn;

/// The longest mark, in bytes.
const LENGTH_MAX: usize = 16 << 20;

/// What lies in the file.
#[derive(Serialize, Deserialize)]
struct Mark {
    env: Vec<String>,
    /// Of a container that binds what an app was granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    binds: Option<Box<Binds>>,
}

/// What such a container was measured to be, and by which grants it binds what it does.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Binds {
    pub(super) measurement: Measurement,
    pub(super) by_grant: Vec<Binding>,
    /// The runtime's state directory.
    pub(super) runtime_root: PathBuf,
    /// The runtime's process: one start of the container, and no other.
    pub(super) start: Process,
}

/// A granted path that a container binds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Binding {
    pub(super) path: HostPath,
    pub(super) app: AppName,
}

/// Marks a container, with what it binds by grants, where it does. Whoever calls this holds `Daemon::marks`.
///
/// # Errors
/// `unavailable` where the file cannot be written.
pub(super) fn mark(daemon: &Daemon, measurement: &Measurement, binds: Option<Binds>) -> Result<()> {
    let fail = |error: std::io::Error| {
        Problem::unavailable(format!("cannot mark the container as a holder: {error}"))
    };
    let bytes = serde_json::to_vec(&Mark {
        env: measurement.env.clone(),
        binds: binds.map(Box::new),
    })
    .map_err(|error| fail(error.into()))?;
    file::write_whole(daemon.held.as_fd(), measurement.container.as_str(), &bytes, 0o600).map_err(fail)
}

/// Takes a container's mark away; it may be gone already.
///
/// # Errors
/// `unavailable` where it cannot be removed.
fn unmark(daemon: &Daemon, container: &ContainerId) -> Result<()> {
    match rustix::fs::unlinkat(&daemon.held, container.as_str(), AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(Problem::unavailable(format!(
            "cannot take the mark of container {container} away: {error}"
        ))),
    }
}

/// Takes the mark of a container away that came to hold nothing. One that stays costs its execs a question each.
pub(super) fn unmark_if_free(daemon: &Daemon, container: &ContainerId) {
    if daemon.state.now().held_by(container).next().is_some() {
        return;
    }
    if let Err(problem) = unmark(daemon, container) {
        warn!(%container, "{problem}");
    }
}

/// The environment that a marked container was started with.
///
/// # Errors
/// `corrupt` where the mark cannot be read.
pub(super) fn environment(daemon: &Daemon, container: &ContainerId) -> Result<Vec<String>> {
    read(daemon, container).map(|mark| mark.env)
}

/// What a marked container binds by grants; none where it binds nothing so.
///
/// # Errors
/// As [`environment`].
pub(super) fn binds(daemon: &Daemon, container: &ContainerId) -> Result<Option<Binds>> {
    let there = rustix::fs::statat(&daemon.held, container.as_str(), AtFlags::SYMLINK_NOFOLLOW);
    if matches!(there, Err(Errno::NOENT)) {
        return Ok(None);
    }
    let mark = read(daemon, container)?;
    Ok(mark.binds.map(|binds| Binds {
        measurement: Measurement {
            env: mark.env,
            ..binds.measurement
        },
        ..*binds
    }))
}

fn read(daemon: &Daemon, container: &ContainerId) -> Result<Mark> {
    let lost = |why: String| {
        Problem::corrupt(format!("the mark of container {container} cannot be read: {why}"))
            .remedy("stop the container and start it anew")
    };
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(&daemon.held, container.as_str(), flags, Mode::empty())
        .map_err(|error| lost(error.to_string()))?;
    let bytes =
        file::read_limited(File::from(opened), LENGTH_MAX).map_err(|error| lost(error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| lost(error.to_string()))
}

/// Every container that binds something by a grant.
///
/// # Errors
/// `unavailable` where the directory cannot be read; `corrupt` where a mark cannot.
pub(super) fn all_binds(daemon: &Daemon) -> Result<Vec<(ContainerId, Binds)>> {
    let fail = |error: Errno| Problem::unavailable(format!("cannot read the marks of holders: {error}"));
    let mut found = Vec::new();
    for entry in Dir::read_from(&daemon.held).map_err(fail)? {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name().to_str().ok();
        let Some(container) = name.and_then(|name| name.parse::<ContainerId>().ok()) else {
            continue;
        };
        if let Some(binds) = binds(daemon, &container)? {
            found.push((container, binds));
        }
    }
    Ok(found)
}

/// Takes away every mark but those that `keep` wants, drafts of marks included.
///
/// # Errors
/// `unavailable` where the directory cannot be read or changed.
pub(super) fn sweep(daemon: &Daemon, keep: impl Fn(&ContainerId) -> bool) -> Result<()> {
    let fail = |error: Errno| Problem::unavailable(format!("cannot tidy the marks of holders: {error}"));
    let directory = Dir::read_from(&daemon.held).map_err(fail)?;
    for entry in directory {
        let entry = entry.map_err(fail)?;
        let name = entry.file_name().to_bytes();
        let kept = std::str::from_utf8(name)
            .ok()
            .and_then(|name| name.parse().ok())
            .is_some_and(|id| keep(&id));
        if !kept && !matches!(name, b"." | b"..") {
            rustix::fs::unlinkat(&daemon.held, entry.file_name(), AtFlags::empty()).map_err(fail)?;
        }
    }
    Ok(())
}
