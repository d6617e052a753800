//! Taking a volume back from whoever has it open.
//!
//! Unmounting is not that: open files and other mount namespaces go on reading. So the filesystem is shut down, which ends
//! every file of it wherever it is open; the disk below it is ended and its key wiped; and the containers that held it are
//! killed, since what a process has mapped, or has read, it goes on seeing.

use super::server::DiskServer;
use crate::daemon::Daemon;
use crate::road;
use cofferdam_ledger::Event;
use cofferdam_model::{Attachment, Kind, Problem, Result, Volume};
use tracing::{info, warn};

/// Ends a volume for everybody who has it open, and kills the containers that hold it. One that is not open is no error.
///
/// # Errors
/// What could not be ended; everything else is.
pub(crate) fn shut(daemon: &Daemon, volume: &Volume, why: &str) -> Result<()> {
    let taken = daemon.open_volumes.take(&volume.id);
    let ended = taken.as_ref().map_or(Ok(()), DiskServer::shut);
    let killed = kill_holders(daemon, volume);
    if taken.is_some() {
        daemon.record_or_warn(vec![Event::Closed {
            volume: volume.name.clone(),
            id: volume.id.clone(),
            epoch: volume.epoch,
            reason: why.to_owned(),
        }]);
        info!(volume = %volume.name, "taken back: {why}");
    }
    ended.map_err(|problem| problem.context(&volume.name))?;
    if taken.is_some() && volume.kind() == Kind::Ephemeral {
        super::make::end_ephemeral(daemon, volume)?;
    }
    killed
}

fn kill_holders(daemon: &Daemon, volume: &Volume) -> Result<()> {
    let holders: Vec<Attachment> = {
        let known = daemon.state.now();
        known.holders_of(&volume.name).cloned().collect()
    };
    let mut first_problem = None;
    for held in holders {
        if let Err(problem) = kill(daemon, &held) {
            warn!(container = %held.container, "cannot be killed: {problem}");
            first_problem.get_or_insert(problem);
        }
    }
    first_problem.map_or(Ok(()), Err)
}

/// The container's first process, where the runtime's own has ended already.
fn kill(daemon: &Daemon, held: &Attachment) -> Result<()> {
    let Some(process) = road::living(daemon, held)? else {
        return Ok(());
    };
    process.kill().map_err(|error| {
        Problem::unavailable(format!(
            "container {} cannot be killed: {error}",
            held.container.short()
        ))
        .remedy("stop it by hand")
    })
}
