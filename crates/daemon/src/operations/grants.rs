//! Grants: which app may open which volume.

use super::apps::missing;
use super::volumes::adoption;
use crate::daemon::Daemon;
use crate::state::{Change, Record, grant_key};
use cofferdam_model::{AppName, Grant, Problem, Result, VolumeName};
use jiff::Timestamp;

/// All grants.
pub(crate) fn grants(daemon: &Daemon) -> Result<Vec<Grant>> {
    let known = daemon.state.now();
    let facts = known.facts();
    let mut all: Vec<Grant> = facts.apps().flat_map(|app| facts.grants_of(&app.name)).collect();
    all.sort_by(|one, other| (&one.volume, &one.app).cmp(&(&other.volume, &other.app)));
    Ok(all)
}

/// Makes or replaces a grant. A volume that is granted is the operator's: Docker cannot remove it any more.
pub(crate) fn grant(daemon: &Daemon, grant: &Grant) -> Result<Grant> {
    if grant.until.is_some_and(|until| until <= Timestamp::now()) {
        return Err(Problem::invalid("the grant would have ended already")
            .remedy("give a time in the future, or none"));
    }
    daemon.state.change(|known| {
        let mut changes = adoption(known, known.volume(&grant.volume)?);
        known.facts().app(&grant.app).ok_or_else(|| missing(&grant.app))?;
        changes.push(Change::Put(Record::Grant(grant.clone())));
        Ok((changes, grant.clone()))
    })
}

/// Takes a grant back. A container that holds the volume keeps it until it ends.
pub(crate) fn revoke(daemon: &Daemon, volume: &VolumeName, app: &AppName) -> Result<Grant> {
    daemon.state.change(|known| {
        let grant = known.facts().grant(volume, app).ok_or_else(|| {
            Problem::missing(format!("app {app} has no grant on {volume}"))
                .remedy(format!("see who has: cofferdam volume show {volume}"))
        })?;
        Ok((vec![Change::Delete(grant_key(volume, app))], grant))
    })
}
