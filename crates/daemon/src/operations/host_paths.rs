//! Grants on host paths: which app may bind which. The host is the operator's, and so are these.

use super::apps::missing;
use crate::daemon::Daemon;
use crate::road::{grantable, may_be_mapped};
use crate::state::{Change, Record, host_path_key};
use cofferdam_model::{
    HostPath, HostPathGrant, HostSource, NewHostPathGrant, OldHostPathGrant, Problem, Result,
};
use jiff::Timestamp;
use std::fs::File;
use std::io;

/// All grants on host paths.
pub(crate) fn host_path_grants(daemon: &Daemon) -> Result<Vec<HostPathGrant>> {
    Ok(daemon.state.now().facts().host_path_grants().cloned().collect())
}

/// Makes or replaces a grant on what lies at a path now. Where links led there, the grant is on where they lead.
pub(crate) fn grant_host_path(daemon: &Daemon, new: &NewHostPathGrant) -> Result<HostPathGrant> {
    if new.until.is_some_and(|until| until <= Timestamp::now()) {
        return Err(Problem::invalid("the grant would have ended already")
            .remedy("give a time in the future, or none"));
    }
    let (path, owner) = grantable(daemon, &named(daemon, &new.source)?)?;
    if new.map_owner {
        may_be_mapped(daemon, &path, owner)?;
    }
    daemon.state.change(|known| {
        let facts = known.facts();
        let app = facts.app(&new.app).ok_or_else(|| missing(&new.app))?;
        let grant = HostPathGrant {
            path: path.clone(),
            app: new.app.clone(),
            rule: app.rule.clone(),
            write: new.write,
            exec: new.exec,
            map_owner: new.map_owner,
            until: new.until,
        };
        if facts.host_path_grant(&grant.path, &grant.app) == Some(&grant) {
            return Ok((Vec::new(), grant.clone()));
        }
        // Before the grant: the runtime rather asks in vain.
        if is_dockers(daemon, &grant.path) {
            tell_runtime(daemon, true)?;
        }
        Ok((
            vec![Change::Put(Record::HostPathGrant(Box::new(grant.clone())))],
            grant.clone(),
        ))
    })
}

/// Whether it is where Docker keeps a volume of its own.
fn is_dockers(daemon: &Daemon, path: &HostPath) -> bool {
    path.as_path()
        .starts_with(daemon.settings.docker.data_root.join("volumes"))
}

/// Says whether the runtime has to ask about volumes of Docker's own.
fn tell_runtime(daemon: &Daemon, granted: bool) -> Result<()> {
    let path = daemon.settings.docker_volumes_granted();
    let fail = |error: io::Error| {
        Problem::unavailable(format!("cannot tell the runtime by {}: {error}", path.display()))
    };
    match granted {
        true => File::create(&path).and_then(|file| file.sync_all()).map_err(fail),
        false => match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(fail(error)),
            Ok(()) | Err(_) => Ok(()),
        },
    }
}

/// What the runtime is told becomes what the registry says, whatever happened in between.
///
/// # Errors
/// `unavailable` where the runtime cannot be told.
pub(crate) fn tell_of_docker_volumes(daemon: &Daemon) -> Result<()> {
    daemon.state.change(|known| {
        let mut paths = known.facts().granted_host_paths();
        tell_runtime(daemon, paths.any(|path| is_dockers(daemon, path)))?;
        Ok((Vec::new(), ()))
    })
}

/// Takes a grant back. Containers that have bound the path keep it until they end.
pub(crate) fn revoke_host_path(daemon: &Daemon, old: &OldHostPathGrant) -> Result<HostPathGrant> {
    let named = named(daemon, &old.source)?;
    let taken = daemon.state.change(|known| {
        let grant = known
            .facts()
            .host_path_grant(&named, &old.app)
            .cloned()
            .ok_or_else(|| {
                Problem::missing(format!("app {} has no grant on {named}", old.app))
                    .remedy("see who has: cofferdam host-path ls")
            })?;
        Ok((vec![Change::Delete(host_path_key(&named, &old.app))], grant))
    })?;
    tell_of_docker_volumes(daemon)?;
    Ok(taken)
}

/// The path that is meant: a volume of Docker's own is where Docker keeps it.
fn named(daemon: &Daemon, source: &HostSource) -> Result<HostPath> {
    match source {
        HostSource::Path(path) => Ok(path.clone()),
        HostSource::DockerVolume(name) => {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
            if name.is_empty() || name.starts_with('.') || !name.bytes().all(is_name) {
                return Err(Problem::invalid("no volume of Docker's can have such a name")
                    .remedy("name it as docker volume ls does"));
            }
            let path = daemon
                .settings
                .docker
                .data_root
                .join("volumes")
                .join(name)
                .join("_data");
            path.display().to_string().parse()
        }
    }
}
