//! How the daemon is, who holds what, and what was decided.

use crate::daemon::Daemon;
use crate::state::not_kept;
use cofferdam_model::api::{Decision, Status};
use cofferdam_model::{Attachment, DecisionId, Result};

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

/// One decision; one that may not be seen is answered like one that is not kept.
pub(crate) fn decision(
    daemon: &Daemon,
    id: DecisionId,
    sees: impl Fn(&Decision) -> bool,
) -> Result<Decision> {
    let known = daemon.state.now();
    match known.decision(id)? {
        decision if sees(decision) => Ok(decision.clone()),
        _ => Err(not_kept(id)),
    }
}
