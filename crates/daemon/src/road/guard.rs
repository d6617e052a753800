//! What every guarded container is judged for, whether or not it asks for a volume: the host paths that it binds, and whether it could
//! reach the volumes of others.

use super::host_paths::{self, Judged};
use super::{Refusal, record};
use crate::daemon::Daemon;
use crate::state::Change;
use cofferdam_model::wire::OpenedMount;
use cofferdam_model::{Guarding, Measurement, Owner, Problem, Result};
use cofferdam_policy::neighbour;
use cofferdam_volume::id_map::Mapping;
use std::os::fd::{AsFd, OwnedFd};

/// What of the host's a container gets.
#[derive(Default)]
pub(super) struct HostPaths {
    /// Mounts whose ids are mapped.
    pub(super) mapped: Vec<(OpenedMount, OwnedFd)>,
    /// Mounts that are made of the very descriptors that were judged.
    pub(super) as_judged: Vec<usize>,
    /// Whether an app's grant was needed for one of them.
    pub(super) granted: bool,
}

/// What of the sources was judged, and how it is to be mounted.
///
/// # Errors
/// The refusal.
pub(super) fn host_paths(
    daemon: &Daemon,
    measurement: &Measurement,
    sources: &[(usize, OwnedFd)],
) -> std::result::Result<HostPaths, Refusal> {
    let judged = host_paths::judge(daemon, measurement, sources);
    match judged.and_then(|judged| opened(daemon, measurement, judged)) {
        Ok(opened) => Ok(opened),
        Err(problem) => {
            unless_observed(daemon, daemon.settings.guard.host_paths, measurement, problem)?;
            Ok(HostPaths::default())
        }
    }
}

fn opened(daemon: &Daemon, measurement: &Measurement, judged: Vec<Judged<'_>>) -> Result<HostPaths> {
    let mut found = HostPaths::default();
    for Judged { index, source, bound } in judged {
        found.granted |= bound.is_some();
        if !bound.is_some_and(|bound| bound.map_owner) {
            found.as_judged.push(index);
            continue;
        }
        let mount = measurement.mounts.iter().find(|mount| mount.index == index);
        let read_only = mount.is_some_and(|mount| mount.read_only);
        let mount = mapped(daemon, measurement, source, read_only)?;
        let opened = OpenedMount {
            mount: index,
            read_only,
        };
        found.mapped.push((opened, mount));
    }
    Ok(found)
}

/// A directory of the host's in which what belongs to its owner belongs to the container's user. What is mounted below it does not
/// come along: each mount has ids of its own.
fn mapped(daemon: &Daemon, measurement: &Measurement, source: &OwnedFd, read_only: bool) -> Result<OwnedFd> {
    let facts = rustix::fs::fstat(source)
        .map_err(|error| Problem::unavailable(format!("cannot look at a host path: {error}")))?;
    let owner = Owner {
        uid: facts.st_uid,
        gid: facts.st_gid,
    };
    let mapping = Mapping::between(owner, &measurement.user, measurement.id_map.as_ref());
    let mount = daemon.opener.open(source.as_fd(), &mapping, read_only);
    Ok(mount
        .map_err(|problem| problem.context("a host path whose owner is mapped"))?
        .into_fd())
}

/// Whether nothing that a container without a volume is judged for keeps it from starting.
pub(super) fn only_observes(daemon: &Daemon) -> bool {
    let guard = &daemon.settings.guard;
    ![guard.neighbours, guard.host_paths].contains(&Guarding::Enforce)
}

/// Whether a container without a volume may have what it could reach others by. That it may is recorded, since it can; so is what it
/// binds by a grant.
///
/// # Errors
/// The refusal.
pub(super) fn without_volume(
    daemon: &Daemon,
    measurement: &Measurement,
    granted: bool,
) -> std::result::Result<(), Refusal> {
    let mode = daemon.settings.guard.neighbours;
    if mode == Guarding::Off {
        return Ok(());
    }
    let judged = {
        let known = daemon.state.now();
        neighbour(known.facts(), measurement).map(|app| app.map(|app| app.name.clone()))
    };
    match judged {
        Ok(None) if !granted => Ok(()),
        Ok(_) => admit(daemon, measurement).map_err(Refusal::from),
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
