//! A container is about to be created: measure it, decide, and open what it may have.

use super::prepare::{Prepared, prepare};
use super::{Refusal, bindings, guard, held, lease, nested, plan, record, ticket};
use crate::daemon::Daemon;
use crate::sealed;
use crate::state::{Change, Record, Snapshot, ended_key};
use cofferdam_deed::VerifiedTicket;
use cofferdam_ledger::Event;
use cofferdam_linux::process::Process as LiveProcess;
use cofferdam_measure::{Bundle, Evidence};
use cofferdam_model::api::VolumeDecision;
use cofferdam_model::wire::OpenedMount;
use cofferdam_model::{
    Access, Attachment, ContainerId, MeasuredMount, Measurement, MountKind, Problem, Process, Result, Volume,
    VolumeName,
};
use cofferdam_policy::Admitted;
use cofferdam_volume::Progress;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
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
        match open_and_commit(daemon, &launch, &admitted, &decided, facts_version, progress) {
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
    launch: &Launch,
    admitted: &[Admitted],
    decided: &[VolumeDecision],
    facts_version: u64,
    progress: &Arc<Progress>,
) -> Result<Option<Opened>> {
    let prepared = prepare(daemon, &launch.evidence, admitted, progress)?;
    let sources = launch.asked.sources.iter();
    let sources = sources.map(|(index, source)| (*index, source.as_fd()));
    // A volume's own source is the placeholder.
    let brought = prepared.iter().map(Prepared::brings).chain(sources);
    nested::through_no_link(&launch.evidence.measurement, brought)?;
    still_waited_for(progress)?;
    match commit(daemon, launch, admitted, &prepared, decided, facts_version)? {
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
fn free(known: &Snapshot, name: &VolumeName, container: &ContainerId) -> Result<()> {
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

/// Whether the leases are on disk.
enum Committed {
    Done,
    /// Apps, grants or volumes are not what the decision was taken from.
    FactsChanged,
}

/// Records the decision and the leases, in one commit, and marks the container.
fn commit(
    daemon: &Daemon,
    launch: &Launch,
    admitted: &[Admitted],
    prepared: &[Prepared],
    decided: &[VolumeDecision],
    facts_version: u64,
) -> Result<Committed> {
    let (asked, measurement) = (&launch.asked, &launch.evidence.measurement);
    let _marks = daemon.marks.lock().unwrap_or_else(PoisonError::into_inner);
    held::mark(daemon, measurement)?;
    let outcome = daemon.state.change(|known| {
        let replaced = |(proof, prepared): (&Admitted, &Prepared)| {
            known
                .volume(proof.volume())
                .is_ok_and(|volume| volume.id != prepared.volume)
        };
        if admitted.iter().zip(prepared).any(replaced) {
            return Ok((Vec::new(), Committed::FactsChanged));
        }
        // Others may change what is theirs as often as they like: what counts is whether the answer is another one now.
        if known.facts_version() != facts_version {
            let again = decide(daemon, known, measurement);
            if !again.is_ok_and(|(again, _)| again == admitted) {
                return Ok((Vec::new(), Committed::FactsChanged));
            }
        }
        for one in prepared {
            match one.sealed.as_ref().map(sealed::Use::is_good) {
                None | Some(Some(true)) => {}
                Some(Some(false)) => {
                    let taken = format!("volume {} was taken back meanwhile", one.volume);
                    return Err(Problem::busy(taken).remedy("start the container again"));
                }
                // Somebody else works on it. Nobody waits for that here, where all changes wait.
                Some(None) => return Ok((Vec::new(), Committed::FactsChanged)),
            }
        }
        if known.held_by(&asked.container).next().is_some() {
            return Err(Problem::busy(format!(
                "a container with the id {} is being created already",
                asked.container.short()
            )));
        }
        let (mut changes, decision) = record::allowed(known, measurement, decided.to_vec())?;
        changes.extend(ticket::used_up(known, launch.ticket.as_ref(), admitted)?);
        let (leases, mut events) = leases(daemon, known, asked, admitted)?;
        changes.push(Change::Put(Record::Measured(Box::new(measurement.clone()))));
        // From here on it writes.
        changes.push(Change::Delete(ended_key(&asked.container)));
        changes.extend(leases);
        // In the ledger first: where the commit fails, it says more than has happened, and never less.
        events.insert(0, decision);
        daemon.record(events)?;
        Ok((changes, Committed::Done))
    });
    if !matches!(outcome, Ok(Committed::Done)) {
        held::unmark_if_free(daemon, &asked.container);
    }
    outcome
}

/// A lease for each mount, the next epoch for each volume, and what the ledger has of it: a container may ask for the same volume at two places.
fn leases(
    daemon: &Daemon,
    known: &Snapshot,
    asked: &Asked,
    admitted: &[Admitted],
) -> Result<(Vec<Change>, Vec<Event>)> {
    let mut volumes: BTreeMap<&VolumeName, Volume> = BTreeMap::new();
    let mut changes = Vec::new();
    for proof in admitted {
        free(known, proof.volume(), &asked.container)?;
        let current = known.volume(proof.volume())?;
        let volume = volumes.entry(proof.volume()).or_insert_with(|| Volume {
            epoch: current.epoch.next(),
            ..current.clone()
        });
        let attachment = Box::new(attachment(daemon, asked, proof, volume));
        changes.push(Change::Put(Record::Lease {
            mount: proof.mount_index(),
            attachment,
        }));
    }
    let opened = |volume: &Volume| Event::Opened {
        volume: volume.name.clone(),
        id: volume.id.clone(),
        epoch: volume.epoch,
    };
    let events = volumes.values().map(opened).collect();
    changes.extend(
        volumes
            .into_values()
            .map(|volume| Change::Put(Record::Volume(Box::new(volume)))),
    );
    Ok((changes, events))
}

/// The runtime's own process: the lease follows it until the container's first one exists.
pub(super) fn process_of(asked: &Asked) -> Process {
    Process {
        pid: asked.caller.pid(),
        started: asked.caller.started(),
    }
}

fn attachment(daemon: &Daemon, asked: &Asked, proof: &Admitted, volume: &Volume) -> Attachment {
    Attachment {
        volume: volume.name.clone(),
        volume_id: volume.id.clone(),
        container: asked.container.clone(),
        app: proof.app().clone(),
        destination: proof.destination().to_owned(),
        read_only: proof.read_only(),
        exec: proof.exec(),
        epoch: volume.epoch,
        since: Timestamp::now(),
        process: process_of(asked),
        runtime_root: asked.runtime_root.clone(),
        boot: daemon.boot.clone(),
    }
}
