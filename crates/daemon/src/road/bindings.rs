//! Containers that hold no volume, and bind what an app was granted: followed until they end.
//!
//! They have no lease, since nothing has to be closed. What ends with them is their mark, and what they have written by then is
//! theirs when they start again, as with containers that hold a volume.

use super::held::{self, Binds};
use super::lease::{first_process, follow, layer_at_end, no_longer_there};
use crate::daemon::Daemon;
use crate::state::{Change, Record, ended_key};
use cofferdam_linux::process::Process as LiveProcess;
use cofferdam_model::{ContainerId, Problem, Process, Result};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};
use tracing::warn;

/// Follows a container whose mark is of the start `start`: from `process`, its runtime's, to its own first one, and to the end of that.
pub(super) fn watch(
    daemon: &Arc<Daemon>,
    container: ContainerId,
    runtime_root: PathBuf,
    start: Process,
    process: Process,
) {
    follow(daemon, container, process, move |daemon, container, mine| {
        next(daemon, container, &runtime_root, start, mine)
    });
}

/// Who comes after a process that has ended; none where the container has.
fn next(
    daemon: &Daemon,
    container: &ContainerId,
    runtime_root: &Path,
    start: Process,
    mine: Process,
) -> Result<Option<Process>> {
    let found = first_process(runtime_root, container)
        .map_err(|error| Problem::unavailable(format!("cannot tell whether it still runs: {error}")))?;
    if let Some(process) = found.as_ref().map(of).filter(|process| *process != mine) {
        return Ok(Some(process));
    }
    end(daemon, container, start).map(|()| None)
}

fn of(process: &LiveProcess) -> Process {
    Process {
        pid: process.pid(),
        started: process.started(),
    }
}

/// Before anything that takes its time, its own layer is looked at: what is changed from here on must show.
fn end(daemon: &Daemon, container: &ContainerId, start: Process) -> Result<()> {
    let layer = layer_at_end(daemon, container);
    let gone_for_good = no_longer_there(daemon);
    let _marks = daemon.marks.lock().unwrap_or_else(PoisonError::into_inner);
    // It may have been started again meanwhile: then the mark is that start's.
    if held::binds(daemon, container)?.is_none_or(|binds| binds.start != start) {
        return Ok(());
    }
    daemon.state.change(|_| {
        let ended = layer.map(|layer| {
            Change::Put(Record::Ended {
                container: container.clone(),
                layer,
            })
        });
        let gone = gone_for_good.iter().filter(|gone| *gone != container);
        let gone = gone.map(|id| Change::Delete(ended_key(id)));
        Ok((ended.into_iter().chain(gone).collect(), ()))
    })?;
    held::unmark_if_free(daemon, container);
    Ok(())
}

/// Follows the containers that an earlier daemon marked; those that have ended meanwhile are let go of.
pub(super) fn take_up(daemon: &Arc<Daemon>, marked: Vec<(ContainerId, Binds)>) {
    for (container, binds) in marked {
        match first_process(&binds.runtime_root, &container) {
            Ok(None) => held::unmark_if_free(daemon, &container),
            Ok(Some(process)) => watch(daemon, container, binds.runtime_root, binds.start, of(&process)),
            Err(error) => warn!(%container, "cannot tell whether it still runs: {error}"),
        }
    }
}
