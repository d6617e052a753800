//! How the daemon is, who holds what, and what was decided.

use super::Asker;
use super::explaining::explained;
use crate::daemon::Daemon;
use crate::plans::Planned;
use crate::state::not_kept;
use cofferdam_model::api::{Decision, Explained, Plan, Status};
use cofferdam_model::{Attachment, DecisionId, PlanId, Problem, Result};

/// How many decisions one answer lists.
const LISTED: usize = 100;

/// How the daemon is.
pub(crate) fn status(daemon: &Daemon) -> Result<Status> {
    let known = daemon.state.now();
    Ok(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        since: daemon.since,
        tenants: known.tenants().len(),
        apps: known.facts().app_count(),
        volumes: known.volumes().len(),
        grants: known.facts().grant_count(),
        attachments: known.attachments().count(),
        recipient: daemon.keys.recipient().to_string(),
        warnings: daemon.warnings.clone(),
    })
}

/// Every lease.
pub(crate) fn attachments(daemon: &Daemon) -> Result<Vec<Attachment>> {
    Ok(daemon.state.now().attachments().cloned().collect())
}

/// The latest decisions that may be seen, newest first.
pub(crate) fn decisions(daemon: &Daemon, sees: impl Fn(&Decision) -> bool) -> Result<Vec<Decision>> {
    let known = daemon.state.now();
    let seen = known.decisions().filter(|decision| sees(decision));
    Ok(seen.take(LISTED).cloned().collect())
}

/// One plan, explained; one that may not be seen is answered like one that is not kept.
pub(crate) fn plan(daemon: &Daemon, asker: &Asker, id: PlanId) -> Result<Plan> {
    let seen = daemon.plans.find(id).filter(|planned| asker.sees_plan(planned));
    let Planned { plan, decision } = seen.ok_or_else(|| {
        Problem::missing("there is no such plan").remedy("plans are kept for some minutes: plan it again")
    })?;
    Ok(Plan {
        explained: decision.map(|decision| Box::new(explained(daemon, asker, decision))),
        ..plan
    })
}

/// One decision, explained; one that may not be seen is answered like one that is not kept.
pub(crate) fn decision(daemon: &Daemon, asker: &Asker, id: DecisionId) -> Result<Explained> {
    let found = daemon.state.now().decision(id)?.clone();
    match asker.sees_decision(&found) {
        true => Ok(explained(daemon, asker, found)),
        false => Err(not_kept(id)),
    }
}
