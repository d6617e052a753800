//! How long a container holds what was opened: until its first process ends.
//!
//! When a volume is opened that process does not exist yet, so the lease follows the runtime's own first. When the
//! runtime ends, its state tells who the container's first process is; where there is none, the container never
//! came to be. Nothing here relies on an engine saying that it is done.

use super::{bindings, held};
use crate::daemon::Daemon;
use crate::sealed;
use crate::state::{Change, Record, ended_key, lease_key, measured_key};
use cofferdam_linux::file;
use cofferdam_linux::process::{self, Process as LiveProcess};
use cofferdam_linux::readiness::Readable;
use cofferdam_model::{Attachment, ContainerId, Problem, Process, Result, Sha256, VolumeId};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};
use tracing::{debug, info, warn};

/// How long to wait before a registry that cannot be written is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// How often it is looked whether somebody else has released a container.
const MOMENT: Duration = Duration::from_millis(5);

/// Follows the process that stands for a container until the container has ended, then releases what it holds.
pub(super) fn watch(daemon: &Arc<Daemon>, container: ContainerId, process: Process) {
    follow(daemon, container, process, follow_or_release);
}

/// Follows the process that stands for a container: each time one has ended, `next` says who comes after it, or sees to the end.
///
/// A container can end and begin anew under the same id while this sleeps. So each watch is bound to one process, and what it sees to
/// must be that one's.
pub(super) fn follow(
    daemon: &Arc<Daemon>,
    container: ContainerId,
    process: Process,
    next: impl Fn(&Arc<Daemon>, &ContainerId, Process) -> Result<Option<Process>> + Send + 'static,
) {
    let tasks = daemon.tasks.clone();
    let daemon = Arc::clone(daemon);
    tasks.spawn(async move {
        let mut mine = process;
        loop {
            if let Err(error) = wait_for_end(mine).await {
                warn!(%container, "cannot wait for the container's end: {error}");
                tokio::time::sleep(RETRY).await;
                continue;
            }
            match tokio::task::block_in_place(|| next(&daemon, &container, mine)) {
                Ok(Some(next)) => mine = next,
                Ok(None) => return,
                Err(problem) => {
                    warn!(%container, "cannot note the container's end: {problem}");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    });
}

/// Waits until a process has ended.
async fn wait_for_end(process: Process) -> io::Result<()> {
    match find(process)? {
        Some(living) => {
            Readable::new(living.into())?
                .when_readable(process::has_ended)
                .await
        }
        None => Ok(()),
    }
}

/// The process, where it still lives. An error says nothing about that.
fn find(process: Process) -> io::Result<Option<LiveProcess>> {
    match LiveProcess::find(process.pid, process.started) {
        Ok(living) => Ok(Some(living)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The process `mine` has ended: the leases that name it go over to the container's first process, or are released.
fn follow_or_release(
    daemon: &Arc<Daemon>,
    container: &ContainerId,
    mine: Process,
) -> Result<Option<Process>> {
    let lease = daemon
        .state
        .now()
        .held_by(container)
        .map(|(_, held)| held)
        .find(|held| held.process == mine)
        .cloned();
    let Some(lease) = lease else { return Ok(None) };
    match living(daemon, &lease)? {
        Some(process) => {
            let next = Process {
                pid: process.pid(),
                started: process.started(),
            };
            hand_over(daemon, container, mine, next)?;
            Ok(Some(next))
        }
        None => release(daemon, container, mine, Seen::AsItEnded).map(|()| None),
    }
}

/// The lease's own process, or the container's first one where that took its place; none where the container has ended.
///
/// INVARIANT: only proof of the end counts as the end. Whatever cannot be told leaves the lease where it is.
///
/// # Errors
/// `unavailable` where it cannot be told.
pub(crate) fn living(daemon: &Daemon, lease: &Attachment) -> Result<Option<LiveProcess>> {
    if lease.boot != daemon.boot {
        return Ok(None);
    }
    let found = find(lease.process).and_then(|found| match found {
        Some(process) => Ok(Some(process)),
        None => first_process(&lease.runtime_root, &lease.container),
    });
    found.map_err(|error| {
        Problem::unavailable(format!(
            "cannot tell whether container {} still runs: {error}",
            lease.container.short()
        ))
        .remedy("what it holds stays held until that can be told")
    })
}

/// The fields that matter of runc's `state.json` or crun's `status`.
#[derive(Deserialize)]
struct RuntimeState {
    #[serde(alias = "init_process_pid")]
    pid: u32,
    #[serde(alias = "init_process_start", alias = "process-start-time")]
    started: u64,
}

/// The container's first process by the runtime's own state; none where there is no state, or where that process is gone.
///
/// The state may be of any length: parts of it are whatever the engine's client asked for. It is read as a stream.
pub(super) fn first_process(runtime_root: &Path, container: &ContainerId) -> io::Result<Option<LiveProcess>> {
    let directory = runtime_root.join(container.as_str());
    for name in ["state.json", "status"] {
        let file = match file::open_trusted(&directory.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file?,
        };
        let state: RuntimeState = serde_json::from_reader(io::BufReader::new(file))?;
        return find(Process {
            pid: state.pid,
            started: state.started,
        });
    }
    Ok(None)
}

/// The leases that name `mine` name `next` from now on.
fn hand_over(daemon: &Daemon, container: &ContainerId, mine: Process, next: Process) -> Result<()> {
    daemon.state.change(|known| {
        let moved = |(mount, held): (usize, &Attachment)| {
            Change::Put(Record::Lease {
                mount,
                attachment: Box::new(Attachment {
                    process: next,
                    ..held.clone()
                }),
            })
        };
        let changes = known
            .held_by(container)
            .filter(|(_, held)| held.process == mine && next != mine)
            .map(moved)
            .collect();
        Ok((changes, ()))
    })
}

/// Whether a container's own layer is still as it was when the container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    AsItEnded,
    /// Somebody may have changed it meanwhile.
    Later,
}

/// The fingerprint of the own layer of a container that has just ended: with it the container may start again. Without one it has
/// to be made anew, unless it has written nothing.
pub(super) fn layer_at_end(daemon: &Daemon, container: &ContainerId) -> Option<Sha256> {
    daemon.engines.iter().find_map(|engine| {
        let fingerprint = engine.fingerprint(container);
        // Gone with the container, most likely (docker run --rm).
        fingerprint.unwrap_or_else(|problem| {
            debug!(%container, "its own layer cannot be looked at: {problem}");
            None
        })
    })
}

/// Containers that have ended, and that no engine knows any more.
pub(super) fn no_longer_there(daemon: &Daemon) -> Vec<ContainerId> {
    let ended: Vec<ContainerId> = daemon.state.now().ended().keys().cloned().collect();
    let is_known = |container: &ContainerId| daemon.engines.iter().any(|engine| engine.knows(container));
    ended.into_iter().filter(|id| !is_known(id)).collect()
}

/// Releases what a container holds through the process `ended`, and nothing that a later bearer of its id holds.
fn release(daemon: &Arc<Daemon>, container: &ContainerId, ended: Process, seen: Seen) -> Result<()> {
    // Before anything that takes its time: what is changed from here on must show.
    let layer = match seen {
        Seen::AsItEnded => layer_at_end(daemon, container),
        Seen::Later => None,
    };
    let gone_for_good = no_longer_there(daemon);
    let marks = daemon.marks.lock().unwrap_or_else(PoisonError::into_inner);
    let released = daemon.state.change(|known| {
        let gone = || known.held_by(container).filter(|(_, held)| held.process == ended);
        let mut changes: Vec<_> = gone()
            .map(|(mount, _)| Change::Delete(lease_key(container, mount)))
            .collect();
        let released: BTreeSet<VolumeId> = gone().map(|(_, held)| held.volume_id.clone()).collect();
        if changes.len() == known.held_by(container).count() && known.measurement(container).is_some() {
            changes.push(Change::Delete(measured_key(container)));
            changes.extend(layer.map(|layer| {
                Change::Put(Record::Ended {
                    container: container.clone(),
                    layer,
                })
            }));
        }
        changes.extend(gone_for_good.iter().map(|id| Change::Delete(ended_key(id))));
        Ok((changes, released))
    })?;
    held::unmark_if_free(daemon, container);
    drop(marks);
    info!(%container, volumes = released.len(), "released");
    released.iter().for_each(|id| sealed::close_if_free(daemon, id));
    Ok(())
}

/// A container that is created anew under an id whose last bearer has ended.
///
/// # Errors
/// `busy` where the last bearer still runs.
pub(super) fn release_if_ended(daemon: &Arc<Daemon>, container: &ContainerId) -> Result<()> {
    let leases: Vec<Attachment> = daemon
        .state
        .now()
        .held_by(container)
        .map(|(_, held)| held.clone())
        .collect();
    for lease in leases {
        if living(daemon, &lease)?.is_some() {
            return Err(Problem::busy(format!(
                "a container with the id {} holds {} and still runs",
                container.short(),
                lease.volume
            ))
            .remedy("stop it first"));
        }
        // Whoever follows it releases it, and has looked at it at once: that is worth a moment.
        let until = Instant::now() + RETRY;
        while is_held(daemon, container, &lease) && Instant::now() < until {
            std::thread::sleep(MOMENT);
        }
        if is_held(daemon, container, &lease) {
            return Err(Problem::busy(format!(
                "container {} has just ended, and is still being looked at",
                container.short()
            ))
            .remedy("start it again in a moment"));
        }
    }
    Ok(())
}

fn is_held(daemon: &Daemon, container: &ContainerId, lease: &Attachment) -> bool {
    let known = daemon.state.now();
    known
        .held_by(container)
        .any(|(_, held)| held.process == lease.process)
}

/// At the daemon's start: releases what ended while it was away, and follows the rest.
///
/// # Errors
/// `unavailable` where the registry or the marks cannot be changed.
pub(crate) fn take_up_leases(daemon: &Arc<Daemon>) -> Result<()> {
    let leases: Vec<Attachment> = daemon.state.now().attachments().cloned().collect();
    let mut followed = std::collections::BTreeSet::new();
    for lease in leases {
        // One that cannot be told yet is followed: the watch tries again.
        if matches!(living(daemon, &lease), Ok(None)) {
            // The daemon starts before the engine: since the host did, nobody can have copied anything into it.
            let seen = match lease.boot == daemon.boot {
                true => Seen::Later,
                false => Seen::AsItEnded,
            };
            release(daemon, &lease.container, lease.process, seen)?;
        } else if followed.insert((lease.container.clone(), lease.process.pid)) {
            watch(daemon, lease.container, lease.process);
        }
    }
    held::sweep(daemon, |container| {
        daemon.state.now().held_by(container).next().is_some()
            || matches!(held::binds(daemon, container), Ok(Some(_)))
    })?;
    let without_lease =
        |(container, _): &(ContainerId, _)| daemon.state.now().held_by(container).next().is_none();
    let marked = held::all_binds(daemon)?;
    bindings::take_up(daemon, marked.into_iter().filter(without_lease).collect());
    Ok(())
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
        let huge = format!(
            r#"{{"config":"{}","init_process_pid":{pid},"init_process_start":{started}}}"#,
            "x".repeat(32 << 20)
        );
        for (name, text, found) in [
            ("state.json", runc, Some(true)),
            ("status", crun, Some(true)),
            ("state.json", huge, Some(true)),
            ("state.json", later, Some(false)),
            ("none", String::new(), Some(false)),
            ("state.json", "{".to_owned(), None),
        ] {
            let root = tempfile::tempdir().unwrap();
            std::fs::create_dir(root.path().join("a1")).unwrap();
            std::fs::write(root.path().join("a1").join(name), text).unwrap();
            let process = first_process(root.path(), &container)
                .ok()
                .map(|process| process.is_some());
            assert_eq!(
                process, found,
                "{name}: what cannot be read is no proof of an end"
            );
        }
    }
}
