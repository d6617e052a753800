//! What every guarded container is judged for, whether or not it asks for a volume: the host paths that it binds, and whether it could
//! reach the volumes of others.

use super::{Refusal, host_paths, record};
use crate::daemon::Daemon;
use crate::state::Change;
use cofferdam_model::{Guarding, Measurement, Problem, Result};
use cofferdam_policy::neighbour;
use std::os::fd::OwnedFd;

/// What of the sources was judged, and is to be mounted as it was.
///
/// # Errors
/// The refusal.
pub(super) fn host_paths(
    daemon: &Daemon,
    measurement: &Measurement,
    sources: &[(usize, OwnedFd)],
) -> std::result::Result<Vec<usize>, Refusal> {
    match host_paths::judge(daemon, measurement, sources) {
        Ok(judged) => Ok(judged),
        Err(problem) => {
            unless_observed(daemon, daemon.settings.guard.host_paths, measurement, problem)?;
            Ok(Vec::new())
        }
    }
}

/// Whether nothing that a container without a volume is judged for keeps it from starting.
pub(super) fn only_observes(daemon: &Daemon) -> bool {
    let guard = &daemon.settings.guard;
    ![guard.neighbours, guard.host_paths].contains(&Guarding::Enforce)
}

/// Whether a container without a volume may have what it could reach others by. That it may is recorded, since it can.
///
/// # Errors
/// The refusal.
pub(super) fn without_volume(daemon: &Daemon, measurement: &Measurement) -> std::result::Result<(), Refusal> {
    let mode = daemon.settings.guard.neighbours;
    if mode == Guarding::Off {
        return Ok(());
    }
    let judged = {
        let known = daemon.state.now();
        neighbour(known.facts(), measurement).map(|app| app.map(|app| app.name.clone()))
    };
    match judged {
        Ok(None) => Ok(()),
        Ok(Some(_)) => admit(daemon, measurement).map_err(Refusal::from),
        Err(problem) => unless_observed(daemon, mode, measurement, problem),
    }
}

fn admit(daemon: &Daemon, measurement: &Measurement) -> Result<()> {
    daemon.state.change(|known| {
        let (changes, event): (Vec<Change>, _) = record::allowed(known, measurement, Vec::new())?;
        daemon.record(vec![event])?;
        Ok((changes, ()))
    })
}

/// A refusal, which is recorded in either case.
fn unless_observed(
    daemon: &Daemon,
    mode: Guarding,
    measurement: &Measurement,
    problem: Problem,
) -> std::result::Result<(), Refusal> {
    let verb = match mode {
        Guarding::Observe => "observe",
        Guarding::Enforce | Guarding::Off => "open",
    };
    let container = &measurement.container;
    let refusal = record::refused(
        daemon,
        container,
        verb,
        Vec::new(),
        Some(measurement.clone()),
        problem,
    );
    match mode {
        Guarding::Observe => Ok(()),
        Guarding::Enforce | Guarding::Off => Err(refusal),
    }
}
