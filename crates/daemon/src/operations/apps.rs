//! Apps: what a container must be to be trusted.

use super::grants;
use super::tenants::with_tenant;
use crate::daemon::Daemon;
use crate::sealed::Signer;
use crate::state::{Change, Record, Snapshot, app_key, grant_key};
use cofferdam_model::api::NewApp;
use cofferdam_model::{App, AppName, Command, LaunchRule, Problem, Result, Sha256, environment, place};
use jiff::Timestamp;

/// The app that `new` describes, with its image pinned.
///
/// # Errors
/// `invalid` for a rule that could never be satisfied or must never be.
pub(crate) fn pinned(new: NewApp, image: Sha256) -> Result<App> {
    let rule = LaunchRule {
        image,
        command: new.command,
        user: new.user,
        cwd: new.cwd,
        network: new.network,
        mounts: new.mounts,
        env: new.env,
        groups: new.groups,
        changed: new.changed,
        allow: new.allow,
        healthcheck: new.healthcheck,
        no_new_privileges: new.no_new_privileges,
        ticket: new.ticket,
    };
    sane(&rule)?;
    Ok(App {
        name: new.name,
        image_reference: new.image,
        rule,
        created: Timestamp::now(),
    })
}

/// Whether a rule can be satisfied, and may be.
///
/// # Errors
/// `invalid`, with what is wrong with it.
pub(super) fn sane(rule: &LaunchRule) -> Result<()> {
    if let Some(name) = rule.env.iter().find(|name| !environment::is_name(name)) {
        return Err(Problem::invalid(format!("{name:?} is no name in an environment"))
            .remedy("write the name alone, such as POSTGRES_PASSWORD"));
    }
    if let Some(name) = rule.env.iter().find(|name| environment::leads_to_code(name)) {
        return Err(Problem::invalid(format!(
            "{name} leads a program to other code than the image's; no rule can allow it from outside"
        ))
        .remedy("have it in the image's own environment"));
    }
    let is_odd = |text: &&String| place::plain(text).is_none();
    if let Some(place) = rule.mounts.iter().chain(&rule.changed).find(is_odd) {
        return Err(Problem::invalid(format!("{place:?} is no place in a container"))
            .remedy("write a path from /, without //, . or .., such as /etc/app.conf"));
    }
    if let Some(cwd) = rule.cwd.as_ref().filter(is_odd) {
        return Err(
            Problem::invalid(format!("{cwd:?} is no working directory in a container"))
                .remedy("write a path from /, without //, . or .., such as /srv/app"),
        );
    }
    if matches!(&rule.command, Command::Exactly(argv) if argv.is_empty()) {
        return Err(Problem::invalid("an empty command")
            .remedy("leave it out for the image's own, or write it after --"));
    }
    if rule.healthcheck.as_ref().is_some_and(Vec::is_empty) {
        return Err(Problem::invalid("an empty healthcheck").remedy("leave it out for the image's own"));
    }
    Ok(())
}

/// Makes an app; one that exists with the same rule is answered with. With `replace`, one with another rule gets this one.
pub(crate) fn create_app(daemon: &Daemon, new: &App, replace: bool) -> Result<App> {
    daemon.state.change(|known| match known.facts().app(&new.name) {
        Some(app) if app.rule == new.rule => Ok((Vec::new(), app.clone())),
        Some(_) if replace => Ok((replaced(daemon, known, new)?, new.clone())),
        Some(app) => Err(Problem::conflict(format!(
            "app {} exists already with another rule (image {})",
            app.name, app.rule.image
        ))
        .remedy(format!(
            "look at it with: cofferdam app show {0}; give it this rule with --replace",
            app.name
        ))),
        None => {
            let mut changes = with_tenant(known, new.name.tenant())?;
            changes.push(Change::Put(Record::App(Box::new(new.clone()))));
            Ok((changes, new.clone()))
        }
    })
}

/// The changes that give an app another rule. What its own tenant granted it stays, and is signed anew where it is in a deed. What
/// others granted it ends: they granted it to what it was.
fn replaced(daemon: &Daemon, known: &Snapshot, new: &App) -> Result<Vec<Change>> {
    let mut changes = Vec::new();
    for grant in known.facts().grants_of(&new.name) {
        if grant.volume.tenant() == new.name.tenant() {
            let volume = known.volume(&grant.volume)?;
            changes.extend(grants::deed_with(daemon, known, volume, new)?);
        } else {
            changes.push(Change::Delete(grant_key(&grant.volume, &grant.app)));
        }
    }
    changes.push(Change::Put(Record::App(Box::new(new.clone()))));
    Ok(changes)
}

/// All apps.
pub(crate) fn apps(daemon: &Daemon) -> Result<Vec<App>> {
    Ok(daemon.state.now().facts().apps().cloned().collect())
}

/// One app.
pub(crate) fn app(daemon: &Daemon, name: &AppName) -> Result<App> {
    daemon
        .state
        .now()
        .facts()
        .app(name)
        .cloned()
        .ok_or_else(|| missing(name))
}

pub(super) fn missing(name: &AppName) -> Problem {
    Problem::missing(format!("app {name} does not exist"))
        .remedy(format!("make it with: cofferdam app create {name} --image IMAGE"))
}

/// Removes an app and its grants. Containers of it that run keep what they hold.
pub(crate) fn remove_app(daemon: &Daemon, name: &AppName) -> Result<App> {
    daemon.state.change(|known| {
        let app = known.facts().app(name).cloned().ok_or_else(|| missing(name))?;
        let mut changes: Vec<_> = known
            .facts()
            .grants_of(name)
            .map(|grant| Change::Delete(grant_key(&grant.volume, &grant.app)))
            .collect();
        let volumes: Vec<_> = known.facts().grants_of(name).map(|grant| grant.volume).collect();
        // A deed of another tenant's is not this one's to change, nor in the way: it has this app's rule, and opens nothing alone.
        for volume in volumes
            .into_iter()
            .filter(|volume| volume.tenant() == name.tenant())
        {
            changes.extend(grants::deed_without(
                daemon,
                known,
                known.volume(&volume)?,
                name,
                &Signer::Host,
            )?);
        }
        changes.push(Change::Delete(app_key(name)));
        Ok((changes, app))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use cofferdam_model::ErrorKind;

    fn pinned_with(mounts: &[&str], cwd: Option<&str>) -> Result<LaunchRule> {
        let new = NewApp {
            name: "payments.app".parse()?,
            image: "app:1".to_owned(),
            command: Command::Image,
            user: Default::default(),
            cwd: cwd.map(str::to_owned),
            network: Default::default(),
            mounts: mounts.iter().map(|place| (*place).to_owned()).collect(),
            env: Default::default(),
            groups: Default::default(),
            changed: Default::default(),
            allow: Default::default(),
            healthcheck: None,
            no_new_privileges: false,
            ticket: false,
            replace: false,
        };
        pinned(new, Sha256::from_bytes([1; 32])).map(|app| app.rule)
    }

    #[test]
    fn odd_places_are_no_part_of_a_rule() {
        for odd in ["", "etc", "/a/../b", "/..", "//bin", "/a/./b", "./a"] {
            let refused = |result: Result<LaunchRule>| result.unwrap_err().kind;
            assert_eq!(refused(pinned_with(&[odd], None)), ErrorKind::Invalid, "{odd:?}");
            assert_eq!(
                refused(pinned_with(&[], Some(odd))),
                ErrorKind::Invalid,
                "{odd:?}"
            );
        }
        let rule = pinned_with(&["/bin", "/etc/app.conf"], Some("/srv/app")).unwrap();
        assert_eq!(rule.cwd.as_deref(), Some("/srv/app"));
        assert_eq!(rule.mounts.len(), 2);
        assert_eq!(pinned_with(&[], None).unwrap().cwd, None);
    }
}
