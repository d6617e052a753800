//! The mark that a container holds a volume: one file for each, in a directory that does not survive a boot.
//!
//! The runtime looks for it before `exec` and `checkpoint`. In it is the container's environment, which healthchecks
//! are compared with: it may hold secrets, so it never lies anywhere that survives.
//!
//! INVARIANT: the mark is there before the volume is handed out, and goes after the lease has. Whoever changes marks and leases
//! together holds `Daemon::marks` meanwhile.

use crate::daemon::Daemon;
use cofferdam_linux::file;
use cofferdam_model::{ContainerId, Measurement, Problem, Result};
use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::os::fd::AsFd;
use tracing::warn;

/// The longest mark, in bytes.
const LENGTH_MAX: usize = 16 << 20;

/// What lies in the file.
#[derive(Serialize, Deserialize)]
struct Mark {
    env: Vec<String>,
}

/// Marks a container.
///
/// # Errors
/// `unavailable` where the file cannot be written.
pub(super) fn mark(daemon: &Daemon, measurement: &Measurement) -> Result<()> {
    let fail = |error: std::io::Error| {
        Problem::unavailable(format!("cannot mark the container as a holder: {error}"))
    };
    let bytes = serde_json::to_vec(&Mark {
        env: measurement.env.clone(),
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
    let lost = |why: String| {
        Problem::corrupt(format!("the mark of container {container} cannot be read: {why}"))
            .remedy("stop the container and start it anew")
    };
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(&daemon.held, container.as_str(), flags, Mode::empty())
        .map_err(|error| lost(error.to_string()))?;
    let bytes =
        file::read_limited(File::from(opened), LENGTH_MAX).map_err(|error| lost(error.to_string()))?;
    serde_json::from_slice(&bytes)
        .map(|mark: Mark| mark.env)
        .map_err(|error| lost(error.to_string()))
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
