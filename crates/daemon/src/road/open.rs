//! A container is about to be created: measure it, decide, and open what it may have.

use super::commit::{Case, Committed, commit, process_of};
use super::prepare::{Prepared, prepare};
use super::{Refusal, bindings, guard, lease, nested, plan, record, ticket};
use crate::daemon::Daemon;
use crate::state::Snapshot;
use cofferdam_deed::VerifiedTicket;
use cofferdam_linux::process::Process as LiveProcess;
use cofferdam_measure::{Bundle, Evidence};
use cofferdam_model::api::VolumeDecision;
use cofferdam_model::wire::OpenedMount;
use cofferdam_model::{
    Access, ContainerId, MeasuredMount, Measurement, MountKind, Problem, Result, VolumeName,
};
use cofferdam_policy::Admitted;
use cofferdam_volume::Progress;
use jiff::Timestamp;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use tracing::info;

/// How often a decision is taken again because grants changed under it, before that is called a fault.
const ATTEMPTS: usize = 16;

/// What the runtime brought.
pub(crate) struct Asked {
    pub(crate) container: ContainerId,
    pub(crate) runtime_root: PathBuf,
    /// The bytes of config.json.
    pub(crate) config: Vec<u8>,
    /// The root filesystem.
    pub(crate) root: OwnedFd,
    /// Which mount, and its source.
    pub(crate) sources: Vec<(usize, OwnedFd)>,
    /// Whether one of them looks like a placeholder.
    pub(crate) volume: bool,
    /// The runtime's process.
    pub(crate) caller: LiveProcess,
}

/// A launch: what was asked, and what was found.
pub(super) struct Launch {
    pub(super) asked: Asked,
    pub(super) evidence: Evidence,
    /// The ticket that it brought, where that holds.
    pub(super) ticket: Option<VerifiedTicket>,
}

/// Which mount of config.json, and the detached mount for it.
type Opened = Vec<(OpenedMount, OwnedFd)>;

/// What the runtime gets.
#[derive(Default)]
pub(crate) struct Given {
    /// What was opened.
    pub(crate) opened: Opened,
    /// Mounts that it must make from the descriptors that it sent.
    pub(crate) as_judged: Vec<usize>,
}

/// The whole road for one container. All of its volumes are opened, or none.
///
/// # Errors
/// The refusal, with its decision where one was recorded.
pub(crate) fn open(
    daemon: &Arc<Daemon>,
    asked: Asked,
    progress: &Arc<Progress>,
) -> std::result::Result<Given, Refusal> {
    lease::release_if_ended(daemon, &asked.container)?;
    let container = asked.container.clone();
    let refused = |volumes, measurement, problem| {
        Err(record::refused(
            daemon,
            &container,
            "open",
            volumes,
            measurement,
            problem,
        ))
    };
    let volume = asked.volume;
    let launch = match measure(daemon, asked) {
        Ok(Some(launch)) => launch,
        // Whoever starts containers past the engine is root, and asks for nothing of ours.
        Ok(None) if !volume => return Ok(Given::default()),
        Ok(None) => return refused(Vec::new(), None, unknown(daemon, &container)),
        Err(problem) if !volume && guard::only_observes(daemon) => {
            drop(record::refused(
                daemon,
                &container,
                "observe",
                Vec::new(),
                None,
                problem,
            ));
            return Ok(Given::default());
        }
        Err(problem) => return refused(Vec::new(), None, problem),
    };
    let measurement = &launch.evidence.measurement;
    plan::is_none(measurement)?;
    let hosts = guard::host_paths(daemon, measurement, &launch.asked.sources)?;
    if !launch.evidence.judged && !hosts.by_grant.is_empty() {
        return Err(Problem::busy("a path that it binds was granted meanwhile")
            .remedy("start the container again")
            .into());
    }
    let given = |opened: Opened| Given {
        opened: opened.into_iter().chain(hosts.opened).collect(),
        as_judged: hosts.as_judged,
    };
    if !launch.asked.volume && volumes_asked_for(measurement).next().is_none() {
        guard::without_volume(daemon, measurement, &launch.asked, &hosts.by_grant)?;
        if !hosts.by_grant.is_empty() {
            let runtime_root = launch.asked.runtime_root.clone();
            let start = process_of(&launch.asked);
            bindings::watch(daemon, container, runtime_root, start, start);
        }
        return Ok(given(Vec::new()));
    }
    for _ in 0..ATTEMPTS {
        let facts_version = daemon.state.now().facts_version();
        let decided = decide(daemon, &daemon.state.now(), measurement);
        let (admitted, decided) = match decided {
            Ok(decided) => decided,
            Err((decided, problem)) => return refused(decided, Some(measurement.clone()), problem),
        };
        let case = Case {
            launch: &launch,
            by_grant: &hosts.by_grant,
            admitted: &admitted,
            decided: &decided,
            facts_version,
        };
        match open_and_commit(daemon, &case, progress) {
            Ok(Some(opened)) => {
                lease::watch(daemon, container.clone(), process_of(&launch.asked));
                info!(%container, volumes = opened.len(), "opened");
                return Ok(given(opened));
            }
            Ok(None) => {}
            Err(problem) => return refused(decided, Some(measurement.clone()), problem),
        }
    }
    Err(Problem::busy("grants change faster than a decision can be taken")
        .remedy("start the container again")
        .into())
}

/// Opens what was admitted and records it; none where the facts changed meanwhile and it has to be decided again.
fn open_and_commit(
    daemon: &Arc<Daemon>,
    case: &Case<'_>,
    progress: &Arc<Progress>,
) -> Result<Option<Opened>> {
    let launch = case.launch;
    let prepared = prepare(daemon, &launch.evidence, case.admitted, progress)?;
    let sources = launch.asked.sources.iter();
    let sources = sources.map(|(index, source)| (*index, source.as_fd()));
    // A volume's own source is the placeholder.
    let brought = prepared.iter().map(Prepared::brings).chain(sources);
    nested::through_no_link(&launch.evidence.measurement, brought)?;
    still_waited_for(progress)?;
    match commit(daemon, case, &prepared)? {
        Committed::Done => Ok(Some(prepared.into_iter().map(Prepared::hand_out).collect())),
        Committed::FactsChanged => Ok(None),
    }
}

/// Nothing is opened for a runtime that has gone.
fn still_waited_for(progress: &Progress) -> Result<()> {
    if progress.is_cancelled() {
        Err(Problem::unavailable("the runtime that asked is gone"))
    } else {
        Ok(())
    }
}

/// What the container is, by the engine that knows it and by the ticket that it brings; none where no engine does.
pub(super) fn measure(daemon: &Daemon, asked: Asked) -> Result<Option<Launch>> {
    let Some(mut evidence) = by_an_engine(daemon, &asked)? else {
        return Ok(None);
    };
    let mut holds = None;
    if let Some(text) = &evidence.ticket {
        let (found, ticket) = ticket::check(daemon, text, &evidence.measurement.image.config);
        evidence.measurement.ticket = Some(found);
        holds = ticket;
    }
    Ok(Some(Launch {
        asked,
        evidence,
        ticket: holds,
    }))
}

fn by_an_engine(daemon: &Daemon, asked: &Asked) -> Result<Option<Evidence>> {
    let sources: Vec<_> = asked
        .sources
        .iter()
        .map(|(index, source)| (*index, source.as_fd()))
        .collect();
    let (ended, judged) = {
        let known = daemon.state.now();
        let judged = known.facts().granted_host_paths().next().is_some();
        (known.ended().get(&asked.container).copied(), judged)
    };
    let bundle = Bundle {
        container: &asked.container,
        config: &asked.config,
        root: asked.root.as_fd(),
        sources: &sources,
        ended,
        judged,
    };
    let placeholders = daemon.placeholders().lookup();
    for engine in &daemon.engines {
        if let Some(evidence) = engine.measure(&bundle, &|source| placeholders.volume_of(source))? {
            return Ok(Some(evidence));
        }
    }
    Ok(None)
}

pub(super) fn unknown(daemon: &Daemon, container: &ContainerId) -> Problem {
    let names: Vec<_> = daemon.engines.iter().map(|engine| engine.name()).collect();
    let shown = container.short();
    Problem::denied(format!(
        "no engine knows the container {shown}, so it cannot be measured"
    ))
    .remedy(format!("start it with {}", names.join(" or ")))
}

/// What was admitted, and the answers to be recorded.
pub(super) type Decided = (Vec<Admitted>, Vec<VolumeDecision>);

/// Decides every volume that the container asks for; one refusal refuses all.
pub(super) fn decide(
    daemon: &Daemon,
    known: &Snapshot,
    measurement: &Measurement,
) -> std::result::Result<Decided, (Vec<VolumeDecision>, Problem)> {
    let now = Timestamp::now();
    let (mut admitted, mut decided, mut refused) = (Vec::new(), Vec::new(), None);
    for (mount, name) in volumes_asked_for(measurement) {
        if let Err(problem) = known.volume(name) {
            decided.push(VolumeDecision {
                volume: name.clone(),
                app: None,
                allowed: false,
                read_only: false,
                reasons: vec![problem.message.clone()],
                policies: Vec::new(),
            });
            refused.get_or_insert(problem);
            continue;
        }
        let verdict = daemon.judge.open(known.facts(), measurement, name, mount, now);
        decided.push(verdict.decision);
        match verdict.outcome {
            Ok(proof) => match free(known, name, &measurement.container) {
                Ok(()) => admitted.push(proof),
                Err(problem) => drop(refused.get_or_insert(problem)),
            },
            Err(problem) => drop(refused.get_or_insert(problem)),
        }
    }
    match refused {
        Some(problem) => Err((decided, problem)),
        None if admitted.is_empty() => Err((decided, no_volume())),
        None => Ok((admitted, decided)),
    }
}

/// The runtime asks about every source that looks like a placeholder.
fn no_volume() -> Problem {
    Problem::invalid("a mount's source looks like a placeholder and stands for no volume")
        .remedy("if cofferdamd was restarted or the volume removed meanwhile, start the container again")
}

pub(super) fn volumes_asked_for(
    measurement: &Measurement,
) -> impl Iterator<Item = (&MeasuredMount, &VolumeName)> {
    measurement.mounts.iter().filter_map(|mount| match &mount.kind {
        MountKind::Volume(name) => Some((mount, name)),
        _ => None,
    })
}

/// An exclusive volume has one holder.
pub(super) fn free(known: &Snapshot, name: &VolumeName, container: &ContainerId) -> Result<()> {
    if known.volume(name)?.access == Access::Shared {
        return Ok(());
    }
    match known.holders_of(name).find(|held| held.container != *container) {
        None => Ok(()),
        Some(held) => Err(Problem::busy(format!(
            "{name} is held by container {} (app {})",
            held.container.short(),
            held.app
        ))
        .remedy("stop that container first, or make the volume with --access shared")),
    }
}
