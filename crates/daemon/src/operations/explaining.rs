//! Why a decision was what it was, for whoever may see it: the policy explains, as far as apps and grants are his to see.

use super::Asker;
use crate::daemon::Daemon;
use cofferdam_model::api::{Decision, Explained, Remedy};
use cofferdam_model::{ErrorKind, Measurement, MountKind, Problem};
use cofferdam_policy::{Explanation, Facts, neighbour};
use jiff::Timestamp;

const SHORTENED: &str =
    "what it was found to be is longer than what is kept of it, so nobody can say here what rule would fit";

/// The decision, explained by apps and grants as they are now.
pub(super) fn explained(daemon: &Daemon, asker: &Asker, decision: Decision) -> Explained {
    let known = daemon.state.now();
    let launches = matches!(decision.verb.as_str(), "open" | "plan" | "observe");
    let explanation = decision.measurement.as_ref().filter(|_| launches).map(|found| {
        let sees = |tenant: &_| asker.owns(tenant);
        let now = Timestamp::now();
        daemon
            .judge
            .explain(known.facts(), found, decision.at, now, &sees)
    });
    let Explanation {
        compared,
        more,
        remedy,
    } = explanation.unwrap_or(Explanation {
        compared: Vec::new(),
        more: 0,
        remedy: Remedy::None,
    });
    Explained {
        remedy: fitting(known.facts(), &decision, remedy),
        decision,
        compared,
        more,
    }
}

/// The remedy, where it is one against what the decision was refused for.
fn fitting(facts: &Facts, decision: &Decision, remedy: Remedy) -> Remedy {
    let Some(problem) = &decision.refused else {
        // Of what was allowed, only that it could have been more.
        return match remedy {
            Remedy::Command { .. } if !decision.shortened => remedy,
            _ => Remedy::None,
        };
    };
    if problem.kind != ErrorKind::Denied {
        return told(problem);
    }
    let Some(found) = &decision.measurement else {
        return told(problem);
    };
    match (decision.verb.as_str(), remedy) {
        ("exec" | "checkpoint", _) => match told(problem) {
            Remedy::None => Remedy::Never(problem.message.clone()),
            told => told,
        },
        // What it was refused for is neither a volume nor a neighbour: a host path.
        _ if !is_judged(facts, decision, found, problem) => told(problem),
        (_, Remedy::Now) if !is_by_rule(decision) => told(problem),
        (_, Remedy::Command { .. } | Remedy::Now) if decision.shortened => Remedy::Told(SHORTENED.to_owned()),
        (_, Remedy::None) => told(problem),
        (_, remedy) => remedy,
    }
}

/// Whether the policy is what refused it.
fn is_judged(facts: &Facts, decision: &Decision, found: &Measurement, problem: &Problem) -> bool {
    let is_volume = |kind: &MountKind| matches!(kind, MountKind::Volume(_));
    if found.mounts.iter().any(|mount| is_volume(&mount.kind)) {
        return !decision.volumes.is_empty();
    }
    match neighbour(facts, found) {
        // An app was made for it since.
        Ok(_) => false,
        Err(now) => now.message == problem.message,
    }
}

/// Whether it was refused because no app was proved, or had no grant: what apps and grants of now can change.
fn is_by_rule(decision: &Decision) -> bool {
    let mut volumes = decision.volumes.iter();
    volumes.any(|volume| volume.app.is_none() || volume.policies.is_empty())
}

/// What the refusal itself said to do.
fn told(problem: &Problem) -> Remedy {
    match &problem.remedy {
        Some(step) if !step.contains("cofferdam why") => Remedy::Told(step.clone()),
        _ => Remedy::None,
    }
}
