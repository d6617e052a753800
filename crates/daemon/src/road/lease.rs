//! How long a container holds what was opened: until its first process ends.
//!
//! When a volume is opened that process does not exist yet, so the lease follows the runtime's own first. When the
//! runtime ends, its state tells who the container's first process is; where there is none, the container never
//! came to be. Nothing here relies on an engine saying that it is done.

use super::held;
use crate::daemon::Daemon;
use crate::state::{Change, Record, lease_key, measured_key};
use cofferdam_linux::file;
use cofferdam_linux::process::{self, Process as LiveProcess};
use cofferdam_linux::readiness::Readable;
use cofferdam_model::{Attachment, ContainerId, Problem, Process, Result};
use serde::Deserialize;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

/// How long to wait before a registry that cannot be written is tried again.
const RETRY: Duration = Duration::from_secs(5);
/// The longest state file of a runtime, in bytes.
const STATE_MAX: usize = 16 << 20;

/// Follows a container until it has ended, then releases what it holds.
pub(super) fn watch(daemon: &Arc<Daemon>, container: ContainerId) {
    let tasks = daemon.tasks.clone();
    let daemon = Arc::clone(daemon);
    tasks.spawn(async move {
        while let Some(process) = follow(&daemon, &container) {
            if let Err(error) = ended(process).await {
                warn!(%container, "cannot wait for the container's end: {error}");
                tokio::time::sleep(RETRY).await;
            }
        }
        while let Err(problem) = tokio::task::block_in_place(|| release(&daemon, &container)) {
            warn!(%container, "cannot release what the container held: {problem}");
            tokio::time::sleep(RETRY).await;
        }
    });
}

/// Waits until a process has ended.
async fn ended(process: LiveProcess) -> io::Result<()> {
    Readable::new(process.into())?
        .when_readable(process::has_ended)
        .await
}

/// The process that stands for a container now; none where it has ended.
fn follow(daemon: &Daemon, container: &ContainerId) -> Option<LiveProcess> {
    let lease = daemon
        .state
        .now()
        .held_by(container)
        .next()
        .map(|(_, attachment)| attachment.clone())?;
    let process = living(daemon, &lease)?;
    let now = Process {
        pid: process.pid(),
        started: process.started(),
    };
    if now != lease.process {
        let noted = tokio::task::block_in_place(|| note_process(daemon, container, now));
        if let Err(problem) = noted {
            warn!(%container, "cannot note the container's first process: {problem}");
        }
    }
    Some(process)
}

/// The lease's own process, or the container's first one where that took its place.
fn living(daemon: &Daemon, lease: &Attachment) -> Option<LiveProcess> {
    if lease.boot != daemon.boot {
        return None;
    }
    match LiveProcess::find(lease.process.pid, lease.process.started) {
        Ok(process) => Some(process),
        Err(_) => first_process(&lease.runtime_root, &lease.container),
    }
}

/// The container's first process by the runtime's own state: runc's `state.json`, or crun's `status`.
fn first_process(runtime_root: &Path, container: &ContainerId) -> Option<LiveProcess> {
    /// The fields of either that matter.
    #[derive(Deserialize)]
    struct RuntimeState {
        #[serde(alias = "init_process_pid")]
        pid: u32,
        #[serde(alias = "init_process_start", alias = "process-start-time")]
        started: u64,
    }
    let directory = runtime_root.join(container.as_str());
    ["state.json", "status"].iter().find_map(|name| {
        let bytes = file::open_trusted(&directory.join(name))
            .and_then(|state| file::read_limited(state, STATE_MAX))
            .ok()?;
        let state: RuntimeState = serde_json::from_slice(&bytes).ok()?;
        LiveProcess::find(state.pid, state.started).ok()
    })
}

/// Notes which process a container's leases follow from now on.
fn note_process(daemon: &Daemon, container: &ContainerId, process: Process) -> Result<()> {
    daemon.state.change(|known| {
        let moved = |(mount, attachment): (usize, &Attachment)| {
            Change::Put(Record::Lease {
                mount,
                attachment: Box::new(Attachment {
                    process,
                    ..attachment.clone()
                }),
            })
        };
        Ok((known.held_by(container).map(moved).collect(), ()))
    })
}

/// Releases everything that a container holds.
fn release(daemon: &Daemon, container: &ContainerId) -> Result<()> {
    let released = daemon.state.change(|known| {
        let mut changes: Vec<_> = known
            .held_by(container)
            .map(|(mount, _)| Change::Delete(lease_key(container, mount)))
            .collect();
        let count = changes.len();
        if known.measurement(container).is_some() {
            changes.push(Change::Delete(measured_key(container)));
        }
        Ok((changes, count))
    })?;
    held::unmark(daemon, container)?;
    info!(%container, volumes = released, "released");
    Ok(())
}

/// A container that is created anew under an id whose last bearer has ended.
///
/// # Errors
/// `busy` where the last bearer still runs.
pub(super) fn release_if_ended(daemon: &Daemon, container: &ContainerId) -> Result<()> {
    let Some(lease) = daemon
        .state
        .now()
        .held_by(container)
        .next()
        .map(|(_, attachment)| attachment.clone())
    else {
        return Ok(());
    };
    if living(daemon, &lease).is_some() {
        return Err(Problem::busy(format!(
            "a container with the id {} holds {} and still runs",
            container.short(),
            lease.volume
        ))
        .remedy("stop it first"));
    }
    release(daemon, container)
}

/// At the daemon's start: releases what ended while it was away, and follows the rest.
///
/// # Errors
/// `unavailable` where the registry or the marks cannot be changed.
pub(crate) fn take_up_leases(daemon: &Arc<Daemon>) -> Result<()> {
    let holders: Vec<ContainerId> = daemon.state.now().holders().cloned().collect();
    for container in holders {
        let lease = daemon
            .state
            .now()
            .held_by(&container)
            .next()
            .map(|(_, attachment)| attachment.clone());
        match lease.and_then(|lease| living(daemon, &lease)) {
            Some(_) => watch(daemon, container),
            None => release(daemon, &container)?,
        }
    }
    held::sweep(daemon, |container| {
        daemon.state.now().held_by(container).next().is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_process_is_found_in_the_state_of_either_runtime() {
        let this = LiveProcess::open(std::process::id()).unwrap();
        let (pid, started) = (this.pid(), this.started());
        let runc =
            format!(r#"{{"id":"a1","init_process_pid":{pid},"init_process_start":{started},"config":{{}}}}"#);
        let crun = format!(r#"{{"pid":{pid},"process-start-time":{started},"bundle":"/b"}}"#);
        let later = format!(
            r#"{{"init_process_pid":{pid},"init_process_start":{}}}"#,
            started + 1
        );
        let container: ContainerId = "a1".parse().unwrap();
        for (name, text, found) in [
            ("state.json", runc, true),
            ("status", crun, true),
            ("state.json", later, false),
            ("state.json", "{".into(), false),
        ] {
            let root = tempfile::tempdir().unwrap();
            std::fs::create_dir(root.path().join("a1")).unwrap();
            std::fs::write(root.path().join("a1").join(name), text).unwrap();
            assert_eq!(first_process(root.path(), &container).is_some(), found, "{name}");
        }
    }
}
