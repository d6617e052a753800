//! A plan: a container that bears the mark of one is measured and decided on by the very functions that `open` uses, and then nothing
//! happens. No lease, no first content, no disk server, no mark; what was kept of the container's end stays as it is.
//!
//! What this does not do: find out what shows only when it is done, such as a disk server that does not start.

use super::open::{Asked, Launch, decide, measure, unknown, volumes_asked_for};
use super::{guard, host_paths, nested, prepare, record, ticket};
use crate::daemon::Daemon;
use crate::plans::Planned;
use cofferdam_model::api::{Plan, PlannedNeighbour, PlannedPath, VolumeDecision};
use cofferdam_model::{
    ContainerId, Guarding, MeasuredMount, Measurement, MountKind, PLAN_VARIABLE, PlanId, Problem, Result,
};
use cofferdam_policy::{neighbour, reaches};
use jiff::Timestamp;
use std::os::fd::AsFd;
use std::sync::Arc;

/// How many host paths are judged one by one; beyond that, all of them together.
const PATHS_TOLD: usize = 16;

/// What was found out.
#[derive(Default)]
struct Outlook {
    volumes: Vec<VolumeDecision>,
    host_paths: Vec<PlannedPath>,
    neighbour: Option<PlannedNeighbour>,
    /// Why it would be refused, the reason that the road would give.
    refused: Option<Problem>,
    /// That reason is none of a volume's.
    elsewhere: bool,
    /// A host path may be bound by a grant alone.
    granted: bool,
}

/// Plans a launch; none is asked about where the runtime would not. Answers why it would be refused.
///
/// # Errors
/// `conflict` where the id is taken; `unavailable` where the plan cannot be recorded.
pub(crate) fn plan(
    daemon: &Arc<Daemon>,
    id: PlanId,
    container: &ContainerId,
    asked: Option<Asked>,
) -> Result<Option<Problem>> {
    let launch = match asked {
        None => return keep(daemon, plan_of(id, container, false), None),
        Some(asked) => look(daemon, container, asked)?,
    };
    let (outlook, measurement) = launch;
    let mut plan = plan_of(id, container, true);
    plan.allowed = outlook.refused.is_none();
    plan.volumes.clone_from(&outlook.volumes);
    plan.host_paths = outlook.host_paths;
    plan.neighbour = outlook.neighbour;
    let nothing_to_decide = outlook.volumes.is_empty() && plan.neighbour.is_none() && !outlook.granted;
    if nothing_to_decide && outlook.refused.is_none() {
        return keep(daemon, plan, None);
    }
    // As the road records it: of what is refused for something else, no volume is told.
    let volumes = if outlook.elsewhere {
        Vec::new()
    } else {
        outlook.volumes
    };
    let decision = record::planned(daemon, container, volumes, measurement.as_ref(), outlook.refused)?;
    keep(daemon, plan, Some(decision))
}

fn plan_of(id: PlanId, container: &ContainerId, asked: bool) -> Plan {
    Plan {
        id,
        at: Timestamp::now(),
        container: container.clone(),
        asked,
        allowed: true,
        volumes: Vec::new(),
        host_paths: Vec::new(),
        neighbour: None,
        explained: None,
    }
}

fn keep(
    daemon: &Daemon,
    plan: Plan,
    decision: Option<cofferdam_model::api::Decision>,
) -> Result<Option<Problem>> {
    let refused = decision.as_ref().and_then(|decision| decision.refused.clone());
    daemon.plans.keep(Planned { plan, decision })?;
    Ok(refused)
}

/// Measures, and decides everything that the road decides.
fn look(
    daemon: &Arc<Daemon>,
    container: &ContainerId,
    asked: Asked,
) -> Result<(Outlook, Option<Measurement>)> {
    let volume = asked.volume;
    let refused = |problem| Outlook {
        refused: Some(problem),
        elsewhere: true,
        ..Outlook::default()
    };
    let launch = match measure(daemon, asked) {
        Ok(Some(launch)) => launch,
        Ok(None) if !volume => return Ok((Outlook::default(), None)),
        Ok(None) => return Ok((refused(unknown(daemon, container)), None)),
        Err(_) if !volume && guard::only_observes(daemon) => return Ok((Outlook::default(), None)),
        Err(problem) => return Ok((refused(problem), None)),
    };
    let outlook = judged(daemon, &launch)?;
    Ok((outlook, Some(launch.evidence.measurement)))
}

fn judged(daemon: &Arc<Daemon>, launch: &Launch) -> Result<Outlook> {
    let measurement = &launch.evidence.measurement;
    let guarding = &daemon.settings.guard;
    let mut outlook = Outlook {
        host_paths: paths(daemon, launch),
        ..Outlook::default()
    };
    if guarding.host_paths == Guarding::Enforce {
        match host_paths::judge(daemon, measurement, &launch.asked.sources) {
            Ok(judged) => outlook.granted = judged.iter().any(|one| one.bound.is_some()),
            Err(problem) => outlook.refused = Some(problem),
        }
        outlook.elsewhere = outlook.refused.is_some();
    }
    if launch.asked.volume || volumes_asked_for(measurement).next().is_some() {
        let (decided, problem) = volumes(daemon, launch)?;
        outlook.volumes = decided;
        outlook.refused = outlook.refused.or(problem);
        return Ok(outlook);
    }
    outlook.neighbour = reaching(daemon, measurement);
    let problem = outlook.neighbour.as_ref().and_then(|one| one.refused.clone());
    if guarding.neighbours == Guarding::Enforce {
        outlook.refused = outlook.refused.or(problem);
    }
    Ok(outlook)
}

/// What would be decided of the volumes, and what would refuse them after that: a deed, a ticket that is used up.
fn volumes(daemon: &Arc<Daemon>, launch: &Launch) -> Result<(Vec<VolumeDecision>, Option<Problem>)> {
    let known = daemon.state.now();
    let decided = decide(daemon, &known, &launch.evidence.measurement);
    let (admitted, decided) = match decided {
        Ok(decided) => decided,
        Err((decided, problem)) => return Ok((decided, Some(problem))),
    };
    let used = ticket::used_up(&known, launch.ticket.as_ref(), &admitted).map(drop);
    // A deed is read, and a key unwrapped to confirm it: not while the state is held.
    drop(known);
    let mut permitted = admitted.iter();
    let sources = launch.asked.sources.iter();
    let sources = sources.map(|(index, source)| (*index, source.as_fd()));
    // What a volume itself brings nobody knows before it is open.
    let problem = used
        .and_then(|()| permitted.try_for_each(|proof| prepare::permitted(daemon, proof)))
        .and_then(|()| nested::through_no_link(&launch.evidence.measurement, sources));
    Ok((decided, problem.err()))
}

/// What the rule about neighbours says; none where the container could reach nobody, or nobody asks.
fn reaching(daemon: &Daemon, measurement: &Measurement) -> Option<PlannedNeighbour> {
    let ways = reaches(measurement);
    if ways.is_empty() || daemon.settings.guard.neighbours == Guarding::Off {
        return None;
    }
    let known = daemon.state.now();
    let (app, refused) = match neighbour(known.facts(), measurement) {
        Ok(app) => (app.map(|app| app.name.clone()), None),
        Err(problem) => (None, Some(problem)),
    };
    Some(PlannedNeighbour {
        ways: ways.iter().map(|way| record::cut(&way.to_string())).collect(),
        app,
        refused,
    })
}

/// Each host path by itself.
fn paths(daemon: &Daemon, launch: &Launch) -> Vec<PlannedPath> {
    let measurement = &launch.evidence.measurement;
    let outside = |mount: &&MeasuredMount| matches!(mount.kind, MountKind::Outside(_));
    let all = measurement.mounts.iter().filter(outside);
    all.take(PATHS_TOLD)
        .map(|mount| PlannedPath {
            source: match &mount.kind {
                MountKind::Outside(source) => record::cut(source),
                _ => String::new(),
            },
            destination: record::cut(&mount.destination),
            refused: judged_alone(daemon, launch, mount).err(),
        })
        .collect()
}

/// As if it were the only one.
fn judged_alone(daemon: &Daemon, launch: &Launch, mount: &MeasuredMount) -> Result<()> {
    let mut alone = launch.evidence.measurement.clone();
    alone
        .mounts
        .retain(|other| other.index == mount.index || !matches!(other.kind, MountKind::Outside(_)));
    host_paths::judge(daemon, &alone, &launch.asked.sources).map(drop)
}

/// Refuses to open anything for what must never start. The runtime does so before it asks.
///
/// # Errors
/// `denied` for a container that bears the mark of a plan.
pub(super) fn is_none(measurement: &Measurement) -> Result<()> {
    let marked = measurement.env.iter().any(|entry| {
        let name = entry.split_once('=').map_or(entry.as_str(), |(name, _)| name);
        name == PLAN_VARIABLE
    });
    match marked {
        false => Ok(()),
        true => Err(Problem::denied(format!(
            "a container with {PLAN_VARIABLE} in its environment is a plan, and never starts"
        ))
        .remedy("leave it out")),
    }
}
