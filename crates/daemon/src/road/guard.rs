//! What every guarded container is judged for, whether or not it asks for a volume: the host paths that it binds, and whether it could
//! reach the volumes of others.

use super::commit::process_of;
use super::held::{self, Binding, Binds};
use super::host_paths::{self, Claimed, Judged};
use super::open::Asked;
use super::{Refusal, nested, record};
use crate::daemon::Daemon;
use crate::state::Change;
use cofferdam_model::wire::OpenedMount;
use cofferdam_model::{Guarding, HostPath, Measurement, Owner, Problem, Result};
use cofferdam_policy::neighbour;
use cofferdam_volume::id_map::Mapping;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::PoisonError;

/// What of the host's a container gets.
#[derive(Default)]
pub(super) struct HostPaths {
    /// Mounts that were opened here: whose ids are mapped, or that can only be read.
    pub(super) opened: Vec<(OpenedMount, OwnedFd)>,
    /// Mounts that are made of the very descriptors that were judged.
    pub(super) as_judged: Vec<usize>,
    /// The grants by which it has some of them.
    pub(super) by_grant: Vec<Binding>,
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
    match judged.and_then(|judged| opened(daemon, measurement, sources, judged)) {
        Ok(opened) => Ok(opened),
        Err(problem) => {
            unless_observed(daemon, daemon.settings.guard.host_paths, measurement, problem)?;
            Ok(HostPaths::default())
        }
    }
}

fn opened(
    daemon: &Daemon,
    measurement: &Measurement,
    sources: &[(usize, OwnedFd)],
    judged: Vec<Judged<'_>>,
) -> Result<HostPaths> {
    let mut found = HostPaths::default();
    for Judged { index, source, bound } in judged {
        let Some(claimed) = bound else {
            found.as_judged.push(index);
            continue;
        };
        let asked = measurement.mounts.iter().find(|mount| mount.index == index);
        let read_only = !claimed.write || asked.is_some_and(|mount| mount.read_only);
        if claimed.map.is_none() && claimed.write {
            found.as_judged.push(index);
        } else {
            let mount = opened_here(daemon, measurement, source, &claimed, read_only)?;
            let opened = OpenedMount {
                mount: index,
                read_only,
            };
            found.opened.push((opened, mount));
        }
        found.by_grant.push(Binding {
            path: claimed.path,
            app: claimed.app,
        });
    }
    if !found.by_grant.is_empty() {
        let sources = sources.iter();
        let sources = sources.map(|(index, source)| (*index, source.as_fd()));
        nested::through_no_link(measurement, sources)?;
    }
    Ok(found)
}

/// A directory of the host's in which what belongs to its owner belongs to the container's user, or that can only be read. What is
/// mounted below it does not come along: each mount has ids of its own, and could be written.
fn opened_here(
    daemon: &Daemon,
    measurement: &Measurement,
    source: &OwnedFd,
    claimed: &Claimed,
    read_only: bool,
) -> Result<OwnedFd> {
    let mapping = match claimed.map {
        Some(owner) => {
            may_be_mapped(daemon, &claimed.path, owner)?;
            Mapping::between(owner, &measurement.user, measurement.id_map.as_ref())
        }
        None => Mapping::none(),
    };
    let mount = daemon.opener.open(source.as_fd(), &mapping, read_only);
    Ok(mount
        .map_err(|problem| problem.context(format!("the host path {}", claimed.path)))?
        .into_fd())
}

/// Whether an owner's files may be a container's. Root's may not, where users of the host can reach them: a container could leave a
/// program there that runs as root.
///
/// # Errors
/// `invalid`, with what to do.
pub(crate) fn may_be_mapped(daemon: &Daemon, path: &HostPath, owner: Owner) -> Result<()> {
    let is_dockers = path
        .as_path()
        .starts_with(daemon.settings.docker.data_root.join("volumes"));
    if is_dockers || (owner.uid != 0 && owner.gid != 0) {
        return Ok(());
    }
    Err(Problem::invalid(format!(
        "{path} belongs to root, whose files a container must not make where users of the host find them"
    ))
    .remedy("give the directory a user and a group of its own: chown 10000:10000, for one; or leave out --map-owner"))
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
    asked: &Asked,
    by_grant: &[Binding],
) -> std::result::Result<(), Refusal> {
    let mode = daemon.settings.guard.neighbours;
    let judged = match mode {
        Guarding::Off => Ok(None),
        Guarding::Enforce | Guarding::Observe => {
            let known = daemon.state.now();
            neighbour(known.facts(), measurement).map(|app| app.map(|app| app.name.clone()))
        }
    };
    let judged = judged.and_then(|app| {
        if app.is_some() {
            let sources = asked.sources.iter();
            let sources = sources.map(|(index, source)| (*index, source.as_fd()));
            nested::through_no_link(measurement, sources)?;
        }
        Ok(app)
    });
    match judged {
        Ok(None) if by_grant.is_empty() => Ok(()),
        Ok(_) => admit(daemon, measurement, asked, by_grant).map_err(Refusal::from),
        Err(problem) => {
            unless_observed(daemon, mode, measurement, problem)?;
            match by_grant.is_empty() {
                true => Ok(()),
                false => admit(daemon, measurement, asked, by_grant).map_err(Refusal::from),
            }
        }
    }
}

/// What a container binds by grants, for its mark.
pub(super) fn binds(measurement: &Measurement, asked: &Asked, by_grant: &[Binding]) -> Option<Binds> {
    (!by_grant.is_empty()).then(|| Binds {
        measurement: measurement.clone(),
        by_grant: by_grant.to_vec(),
        runtime_root: asked.runtime_root.clone(),
        start: process_of(asked),
    })
}

fn admit(daemon: &Daemon, measurement: &Measurement, asked: &Asked, by_grant: &[Binding]) -> Result<()> {
    if let Some(binds) = binds(measurement, asked, by_grant) {
        let _marks = daemon.marks.lock().unwrap_or_else(PoisonError::into_inner);
        held::mark(daemon, measurement, Some(binds))?;
    }
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
