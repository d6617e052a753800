//! Decisions, as they are kept for `cofferdam why`: the last thousand.

use super::Refusal;
use crate::daemon::Daemon;
use crate::state::{Change, DECISIONS_KEPT, Record, Snapshot, decision_key};
use cofferdam_ledger::{Event, VolumeOutcome, measurement_digest};
use cofferdam_model::api::{Decision, VolumeDecision};
use cofferdam_model::{
    Attachment, ContainerId, DecisionId, IdMap, MeasuredMount, Measurement, MountKind, Problem, Result,
    RootChanges, User,
};
use jiff::Timestamp;
use tracing::{info, warn};

/// Keeps a refusal. One that cannot be kept is still one.
pub(super) fn refused(
    daemon: &Daemon,
    container: &ContainerId,
    verb: &str,
    volumes: Vec<VolumeDecision>,
    measurement: Option<Measurement>,
    problem: Problem,
) -> Refusal {
    info!(%container, verb, kind = problem.kind.word(), "refused: {problem}");
    let kept = daemon.state.change(|known| {
        let id = known.next_decision();
        let decision = Decision {
            id,
            at: Timestamp::now(),
            container: container.clone(),
            verb: verb.to_owned(),
            volumes: none_opened(volumes),
            refused: Some(problem.clone()),
            measurement: measurement.as_ref().map(bounded),
            shortened: measurement.as_ref().is_some_and(is_shortened),
        };
        if let Err(error) = daemon.record(vec![event(&decision, measurement.as_ref())?]) {
            warn!(%container, "a refusal is not in the ledger: {error}");
        }
        Ok((keep(id, decision), id))
    });
    match kept {
        Ok(id) => Refusal {
            problem,
            decision: Some(id),
        },
        Err(error) => {
            warn!(%container, "a refusal cannot be recorded: {error}");
            Refusal {
                problem,
                decision: None,
            }
        }
    }
}

/// The changes that keep an admission, and the event for the ledger.
///
/// # Errors
/// `internal` where the measurement has no JSON form.
pub(super) fn allowed(
    known: &Snapshot,
    measurement: &Measurement,
    volumes: Vec<VolumeDecision>,
) -> Result<(Vec<Change>, Event)> {
    let id = known.next_decision();
    let decision = Decision {
        id,
        at: Timestamp::now(),
        container: measurement.container.clone(),
        verb: "open".to_owned(),
        volumes: volumes.into_iter().map(few_reasons).collect(),
        refused: None,
        measurement: Some(bounded(measurement)),
        shortened: is_shortened(measurement),
    };
    let event = event(&decision, Some(measurement))?;
    Ok((keep(id, decision), event))
}

/// Keeps what would be decided: a decision like any other, which says that it was a plan.
///
/// # Errors
/// `unavailable` where it cannot be recorded: a plan that leaves no trace would be a way to try a volume unseen.
pub(super) fn planned(
    daemon: &Daemon,
    container: &ContainerId,
    volumes: Vec<VolumeDecision>,
    measurement: Option<&Measurement>,
    refused: Option<Problem>,
) -> Result<Decision> {
    daemon.state.change(|known| {
        let id = known.next_decision();
        let volumes = match refused {
            Some(_) => none_opened(volumes),
            None => volumes.into_iter().map(few_reasons).collect(),
        };
        let decision = Decision {
            id,
            at: Timestamp::now(),
            container: container.clone(),
            verb: "plan".to_owned(),
            volumes,
            refused,
            measurement: measurement.map(bounded),
            shortened: measurement.is_some_and(is_shortened),
        };
        daemon.record(vec![event(&decision, measurement)?])?;
        Ok((keep(id, decision.clone()), decision))
    })
}

/// What could not be opened was not, whatever had been decided before.
fn none_opened(volumes: Vec<VolumeDecision>) -> Vec<VolumeDecision> {
    let refused = |volume| VolumeDecision {
        allowed: false,
        ..few_reasons(volume)
    };
    volumes.into_iter().map(refused).collect()
}

/// The most reasons that are kept for one volume: a container may differ from a rule in thousands of points.
const REASONS_MAX: usize = 32;

/// With the first reasons, and how many more there are.
fn few_reasons(mut volume: VolumeDecision) -> VolumeDecision {
    let reasons = &mut volume.reasons;
    if reasons.len() > REASONS_MAX {
        let more = reasons.len() - (REASONS_MAX - 1);
        reasons.truncate(REASONS_MAX - 1);
        reasons.push(format!("and {more} more"));
    }
    volume
}

/// Records in the ledger that a container that holds volumes was reached into, before it is.
///
/// # Errors
/// `unavailable` where the ledger cannot be written.
pub(super) fn reached(
    daemon: &Daemon,
    verb: &str,
    measurement: &Measurement,
    held: &[Attachment],
) -> Result<()> {
    let outcome = |held: &Attachment| VolumeOutcome {
        volume: held.volume.clone(),
        app: Some(held.app.clone()),
        allowed: true,
        read_only: held.read_only,
    };
    let decision = daemon.state.now().next_decision();
    daemon.record(vec![Event::Decision {
        container: measurement.container.clone(),
        decision,
        verb: verb.to_owned(),
        volumes: held.iter().map(outcome).collect(),
        allowed: true,
        measurement: Some(measurement_digest(measurement)?),
        reasons: Vec::new(),
    }])
}

/// A decision, as the ledger has it. The measurement is the whole one, not the shortened one that is kept.
fn event(decision: &Decision, measurement: Option<&Measurement>) -> Result<Event> {
    let outcome = |volume: &VolumeDecision| VolumeOutcome {
        volume: volume.volume.clone(),
        app: volume.app.clone(),
        allowed: volume.allowed,
        read_only: volume.read_only,
    };
    let refused = decision.refused.iter().map(ToString::to_string);
    let reasons = decision
        .volumes
        .iter()
        .flat_map(|volume| volume.reasons.iter().cloned());
    Ok(Event::Decision {
        container: decision.container.clone(),
        decision: decision.id,
        verb: decision.verb.clone(),
        volumes: decision.volumes.iter().map(outcome).collect(),
        allowed: decision.refused.is_none(),
        measurement: measurement.map(measurement_digest).transpose()?,
        reasons: refused.chain(reasons).collect(),
    })
}

/// Keeps one decision and lets go of the one that is too old now.
fn keep(id: DecisionId, decision: Decision) -> Vec<Change> {
    let mut changes = vec![Change::Put(Record::Decision(Box::new(decision)))];
    if let Some(old) = id.0.checked_sub(DECISIONS_KEPT).filter(|old| *old > 0) {
        changes.push(Change::Delete(decision_key(DecisionId(old))));
    }
    changes
}

/// As many entries of a list, and as many characters of a text, as are kept of what a client chose.
const ENTRIES_MAX: usize = 64;
const TEXT_MAX: usize = 512;

/// A measurement as it is kept: a container may have megabytes of arguments, and a thousand decisions are kept.
pub(super) fn bounded(measurement: &Measurement) -> Measurement {
    let texts =
        |list: &[String]| -> Vec<String> { list.iter().take(ENTRIES_MAX).map(|text| cut(text)).collect() };
    let mount = |mount: &MeasuredMount| MeasuredMount {
        destination: cut(&mount.destination),
        lands: mount.lands.as_deref().map(cut),
        kind: match &mount.kind {
            MountKind::Outside(source) => MountKind::Outside(cut(source)),
            MountKind::Kernel(kind) => MountKind::Kernel(cut(kind)),
            kind => kind.clone(),
        },
        ..mount.clone()
    };
    let groups = measurement
        .user
        .groups
        .iter()
        .take(ENTRIES_MAX)
        .copied()
        .collect();
    Measurement {
        argv: texts(&measurement.argv),
        image_command: texts(&measurement.image_command),
        cwd: cut(&measurement.cwd),
        image_cwd: cut(&measurement.image_cwd),
        env: Vec::new(),
        foreign_env: measurement
            .foreign_env
            .iter()
            .take(ENTRIES_MAX)
            .map(|name| cut(name))
            .collect(),
        foreign_groups: measurement
            .foreign_groups
            .iter()
            .take(ENTRIES_MAX)
            .copied()
            .collect(),
        root: RootChanges {
            places: measurement
                .root
                .places
                .iter()
                .take(ENTRIES_MAX)
                .map(|place| cut(place))
                .collect(),
            more: measurement.root.more || measurement.root.places.len() > ENTRIES_MAX,
        },
        user: User {
            groups,
            ..measurement.user.clone()
        },
        mounts: measurement.mounts.iter().take(ENTRIES_MAX).map(mount).collect(),
        privileges: measurement
            .privileges
            .iter()
            .filter(|privilege| privilege.to_string().len() <= TEXT_MAX)
            .take(ENTRIES_MAX)
            .cloned()
            .collect(),
        capabilities: measurement
            .capabilities
            .iter()
            .filter(|name| name.len() <= TEXT_MAX)
            .take(ENTRIES_MAX)
            .cloned()
            .collect(),
        healthcheck: measurement.healthcheck.as_deref().map(texts),
        ticket: measurement.ticket.clone(),
        id_map: measurement.id_map.as_ref().map(|map| IdMap {
            uids: map.uids.iter().take(ENTRIES_MAX).copied().collect(),
            gids: map.gids.iter().take(ENTRIES_MAX).copied().collect(),
        }),
        ..measurement.clone()
    }
}

/// Whether more was found than is kept, but for the environment, of which nothing is.
fn is_shortened(measurement: &Measurement) -> bool {
    let all = Measurement {
        env: Vec::new(),
        ..measurement.clone()
    };
    bounded(measurement) != all
}

/// The beginning of a text that is too long, marked as such.
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_counted_where_there_are_too_many() {
        let with = |count: usize| VolumeDecision {
            volume: "a.b".parse().unwrap(),
            app: None,
            allowed: false,
            read_only: false,
            reasons: (0..count).map(|number| number.to_string()).collect(),
            policies: Vec::new(),
        };
        assert_eq!(few_reasons(with(REASONS_MAX)).reasons.len(), REASONS_MAX);
        let few = few_reasons(with(5000)).reasons;
        assert_eq!(few.len(), REASONS_MAX);
        assert_eq!(few.last().unwrap(), "and 4969 more");
    }
}
