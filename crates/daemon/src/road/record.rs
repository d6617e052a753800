//! Decisions, as they are kept for `cofferdam why`: the last thousand.

use super::Refusal;
use crate::daemon::Daemon;
use crate::state::{Change, DECISIONS_KEPT, Record, Snapshot, decision_key};
use cofferdam_model::api::{Decision, VolumeDecision};
use cofferdam_model::{ContainerId, DecisionId, Measurement, Problem};
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
        // What could not be opened was not, whatever had been decided before.
        let volumes = volumes
            .into_iter()
            .map(|volume| VolumeDecision {
                allowed: false,
                ..volume
            })
            .collect();
        let decision = Decision {
            id,
            at: Timestamp::now(),
            container: container.clone(),
            verb: verb.to_owned(),
            volumes,
            refused: Some(problem.clone()),
            measurement,
        };
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

/// The changes that keep an admission.
pub(super) fn allowed(
    known: &Snapshot,
    measurement: &Measurement,
    volumes: Vec<VolumeDecision>,
) -> Vec<Change> {
    let id = known.next_decision();
    let decision = Decision {
        id,
        at: Timestamp::now(),
        container: measurement.container.clone(),
        verb: "open".to_owned(),
        volumes,
        refused: None,
        measurement: Some(measurement.clone()),
    };
    keep(id, decision)
}

/// Keeps one decision and lets go of the one that is too old now.
fn keep(id: DecisionId, decision: Decision) -> Vec<Change> {
    let mut changes = vec![Change::Put(Record::Decision(Box::new(decision)))];
    if let Some(old) = id.0.checked_sub(DECISIONS_KEPT).filter(|old| *old > 0) {
        changes.push(Change::Delete(decision_key(DecisionId(old))));
    }
    changes
}
