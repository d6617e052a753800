//! Apps: what a container must be to be trusted.

use super::tenants::with_tenant;
use crate::daemon::Daemon;
use crate::state::{Change, Record, app_key, grant_key};
use cofferdam_model::api::NewApp;
use cofferdam_model::{App, AppName, Command, LaunchRule, Problem, Result, Sha256};
use jiff::Timestamp;

/// The app that `new` describes, with its image pinned.
///
/// # Errors
/// `invalid` for a rule that could never be satisfied or must never be.
pub(crate) fn pinned(new: NewApp, image: Sha256) -> Result<App> {
    if let Some(privilege) = new.allow.iter().find(|privilege| privilege.reaches_out()) {
        return Err(Problem::invalid(format!(
            "{privilege} reaches out of the container; no rule can allow it beside a volume"
        ))
        .remedy("leave it out, or give the container no volume"));
    }
    if let Some(place) = new.mounts.iter().find(|place| !place.starts_with('/')) {
        return Err(Problem::invalid(format!("{place:?} is no place in a container"))
            .remedy("write an absolute path, such as /etc/app.conf"));
    }
    if matches!(&new.command, Command::Exactly(argv) if argv.is_empty()) {
        return Err(Problem::invalid("an empty command")
            .remedy("leave it out for the image's own, or write it after --"));
    }
    let rule = LaunchRule {
        image,
        command: new.command,
        user: new.user,
        network: new.network,
        mounts: new.mounts,
        allow: new.allow,
    };
    Ok(App {
        name: new.name,
        image_reference: new.image,
        rule,
        created: Timestamp::now(),
    })
}

/// Makes an app; one that exists with the same rule is answered with.
pub(crate) fn create_app(daemon: &Daemon, new: &App) -> Result<App> {
    daemon.state.change(|known| match known.facts().app(&new.name) {
        Some(app) if app.rule == new.rule => Ok((Vec::new(), app.clone())),
        Some(app) => Err(Problem::conflict(format!(
            "app {} exists already with another rule (image {})",
            app.name, app.rule.image
        ))
        .remedy(format!(
            "look at it with: cofferdam app show {0}; remove it with: cofferdam app rm {0}",
            app.name
        ))),
        None => {
            let mut changes = with_tenant(known, new.name.tenant())?;
            changes.push(Change::Put(Record::App(Box::new(new.clone()))));
            Ok((changes, new.clone()))
        }
    })
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
        changes.push(Change::Delete(app_key(name)));
        Ok((changes, app))
    })
}
