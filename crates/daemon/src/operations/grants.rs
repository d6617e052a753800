//! Grants: which app may open which volume.

use super::apps::missing;
use super::volumes::adopted;
use crate::daemon::Daemon;
use crate::sealed::{self, Signer};
use crate::state::{Change, Record, Snapshot, grant_key};
use cofferdam_deed::{DeedGrant, Draft, SignedDeed};
use cofferdam_model::{App, AppName, Grant, Maker, Problem, Result, Volume, VolumeName};
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
pub(crate) fn grant(daemon: &Daemon, grant: &Grant, by: &Signer) -> Result<Grant> {
    lies_ahead(grant)?;
    daemon.state.change(|known| {
        let app = known.facts().app(&grant.app).ok_or_else(|| missing(&grant.app))?;
        let volume = adopted(known.volume(&grant.volume)?, Maker::Admin);
        let volume = match volume.sealed {
            Some(_) => sealed::change_deed(daemon, known, &volume, by, |deed| {
                deed.with_grant(by_deed(grant, app))
            })?,
            None => volume,
        };
        // What is so already changes nothing: decisions that are being taken need not be taken again.
        let mut changes = Vec::new();
        if volume != *known.volume(&grant.volume)? {
            changes.push(Change::Put(Record::Volume(Box::new(volume))));
        }
        if known.facts().grant(&grant.volume, &grant.app).as_ref() != Some(grant) {
            changes.push(Change::Put(Record::Grant(grant.clone())));
        }
        Ok((changes, grant.clone()))
    })
}

fn lies_ahead(grant: &Grant) -> Result<()> {
    if grant.until.is_some_and(|until| until <= Timestamp::now()) {
        return Err(Problem::invalid("the grant would have ended already")
            .remedy("give a time in the future, or none"));
    }
    Ok(())
}

/// The deed that a grant would lead to, to be signed elsewhere; none where there is nothing to sign.
pub(crate) fn draft_grant(daemon: &Daemon, grant: &Grant) -> Result<Option<(Draft, SignedDeed)>> {
    lies_ahead(grant)?;
    let (volume, app) = {
        let known = daemon.state.now();
        let app = known.facts().app(&grant.app).ok_or_else(|| missing(&grant.app))?;
        (known.volume(&grant.volume)?.clone(), app.clone())
    };
    match volume.sealed {
        Some(_) => sealed::draft(daemon, &volume, |deed| deed.with_grant(by_deed(grant, &app))),
        None => Ok(None),
    }
}

/// The deed that taking a grant back would lead to, likewise.
pub(crate) fn draft_revocation(
    daemon: &Daemon,
    volume: &VolumeName,
    app: &AppName,
) -> Result<Option<(Draft, SignedDeed)>> {
    let volume = daemon.state.now().volume(volume)?.clone();
    match volume.sealed {
        Some(_) => sealed::draft(daemon, &volume, |deed| deed.without_grant(app)),
        None => Ok(None),
    }
}

/// A grant, as a deed has it: with the app's rule, so that nothing else can pass for the app.
pub(super) fn by_deed(grant: &Grant, app: &App) -> DeedGrant {
    DeedGrant {
        app: app.name.clone(),
        rule: app.rule.clone(),
        write: grant.write,
        exec: grant.exec,
        until: grant.until,
    }
}

/// Takes a grant back. A container that holds the volume keeps it until it ends; with `now`, whoever has the volume open
/// loses it, where a container of the app is among them: what is open cannot be taken from one alone.
pub(crate) fn revoke(
    daemon: &Daemon,
    volume: &VolumeName,
    app: &AppName,
    now: bool,
    by: &Signer,
) -> Result<Grant> {
    let taken = daemon.state.change(|known| {
        let grant = known.facts().grant(volume, app).ok_or_else(|| {
            Problem::missing(format!("app {app} has no grant on {volume}"))
                .remedy(format!("see who has: cofferdam volume show {volume}"))
        })?;
        let mut changes = deed_without(daemon, known, known.volume(volume)?, app, by)?;
        changes.push(Change::Delete(grant_key(volume, app)));
        Ok((changes, grant))
    })?;
    if now {
        let (found, held) = {
            let known = daemon.state.now();
            let held = known.holders_of(volume).any(|held| held.app == *app);
            (known.volume(volume)?.clone(), held)
        };
        if held {
            sealed::shut(daemon, &found, &format!("the grant of {app} was revoked"))?;
        }
    }
    Ok(taken)
}

/// The changes that a sealed volume's deed makes when an app that it grants something has another rule.
pub(super) fn deed_with(
    daemon: &Daemon,
    known: &Snapshot,
    volume: &Volume,
    app: &App,
) -> Result<Vec<Change>> {
    if volume.sealed.is_none() {
        return Ok(Vec::new());
    }
    // What the registry says beyond the deed nobody has signed, and nobody shall now.
    let changed = sealed::change_deed(daemon, known, volume, &Signer::Host, |deed| {
        deed.with_rule(&app.name, &app.rule)
    })?;
    Ok(vec![Change::Put(Record::Volume(Box::new(changed)))])
}

/// The changes that a sealed volume's deed makes when it grants the app nothing any more.
pub(super) fn deed_without(
    daemon: &Daemon,
    known: &Snapshot,
    volume: &Volume,
    app: &AppName,
    by: &Signer,
) -> Result<Vec<Change>> {
    if volume.sealed.is_none() {
        return Ok(Vec::new());
    }
    let changed = sealed::change_deed(daemon, known, volume, by, |deed| deed.without_grant(app))?;
    Ok(vec![Change::Put(Record::Volume(Box::new(changed)))])
}
