//! What is to happen beside an open volume: another process in the container (a shell there is the data), or a memory
//! image of it.

use super::held::{self, Binding, Binds};
use super::{Refusal, record};
use crate::daemon::Daemon;
use crate::sealed;
use crate::state::Snapshot;
use cofferdam_model::{
    App, Attachment, ContainerId, ExecProcess, HostPathGrant, Kind, LaunchRule, Measurement, Problem, Result,
};
use cofferdam_policy::{is_healthcheck, refuse_other_code, refuse_reaching};
use jiff::Timestamp;
use tracing::debug;

/// Whether a process may be added to the container. `process` is its JSON; none where it was given as arguments.
///
/// # Errors
/// The refusal.
pub(crate) fn exec(
    daemon: &Daemon,
    container: &ContainerId,
    process: Option<&[u8]>,
) -> std::result::Result<(), Refusal> {
    if let Some(binds) = held::binds(daemon, container)? {
        let judged = beside_a_path(daemon, container, &binds, process);
        judged.map_err(|problem| refused_beside(daemon, container, "exec", binds, problem))?;
    }
    judged(daemon, container, "exec", |measurement, held| {
        let process = ExecProcess::parse(process.ok_or_else(unjudgeable)?)?;
        refuse_reaching(&process)?;
        let healthcheck = {
            let known = daemon.state.now();
            is_healthcheck(measurement, &rules(&known, held), &process)
        };
        debug!(%container, healthcheck, "exec");
        let now = Timestamp::now();
        daemon
            .judge
            .exec(daemon.state.now().facts(), measurement, held, healthcheck, now)?;
        by_deeds(daemon, held, !healthcheck, now)?;
        // One disk sync every few seconds for each container would buy nothing.
        if healthcheck {
            runs_the_images_code(daemon, measurement, held)?;
            return Ok(());
        }
        record::reached(daemon, "exec", measurement, held)
    })
}

fn refused_beside(
    daemon: &Daemon,
    container: &ContainerId,
    verb: &str,
    binds: Binds,
    problem: Problem,
) -> Refusal {
    record::refused(
        daemon,
        container,
        verb,
        Vec::new(),
        Some(binds.measurement),
        problem,
    )
}

/// Whether a process may be added to a container that binds granted paths: where every grant says so, or for a healthcheck.
fn beside_a_path(
    daemon: &Daemon,
    container: &ContainerId,
    binds: &Binds,
    process: Option<&[u8]>,
) -> Result<()> {
    let process = ExecProcess::parse(process.ok_or_else(unjudgeable)?)?;
    refuse_reaching(&process)?;
    let measurement = &binds.measurement;
    let now = Timestamp::now();
    let apps: Vec<App> = {
        let known = daemon.state.now();
        let apps = binds
            .by_grant
            .iter()
            .map(|binding| known.facts().app(&binding.app).cloned());
        apps.collect::<Option<_>>().unwrap_or_default()
    };
    let rules: Vec<&LaunchRule> = apps.iter().map(|app| &app.rule).collect();
    if is_healthcheck(measurement, &rules, &process) {
        let found = as_it_is_now(daemon, measurement)?;
        return apps.iter().try_for_each(|app| refuse_other_code(app, &found));
    }
    let known = daemon.state.now();
    for Binding { path, app } in &binds.by_grant {
        let grant = known.facts().host_path_grant(path, app);
        let holds = |grant: &&HostPathGrant| grant.exec && grant.until.is_none_or(|until| until > now);
        if grant.filter(holds).is_none() {
            return Err(Problem::denied(format!(
                "adding a process to a container that binds {path} is not allowed: no grant of {app} lets processes be added"
            ))
            .remedy("have the operator grant the path with --exec: cofferdam host-path allow"));
        }
    }
    // Where it holds volumes too, what is decided about those is recorded.
    let holds_volumes = known.held_by(container).next().is_some();
    drop(known);
    match holds_volumes {
        true => Ok(()),
        false => record::reached(daemon, "exec", measurement, &[]),
    }
}

/// The rules of the apps by which the volumes are held; none where one of them is not known any more.
fn rules<'k>(known: &'k Snapshot, held: &[Attachment]) -> Vec<&'k LaunchRule> {
    let rule = |held: &Attachment| known.facts().app(&held.app).map(|app| &app.rule);
    held.iter().map(rule).collect::<Option<_>>().unwrap_or_default()
}

/// What the registry allows, the deeds of sealed volumes have to allow as well.
fn by_deeds(daemon: &Daemon, held: &[Attachment], exec: bool, now: Timestamp) -> Result<()> {
    for attachment in held {
        let (volume, app) = {
            let known = daemon.state.now();
            let app = known.facts().app(&attachment.app).cloned();
            (known.volume(&attachment.volume)?.clone(), app)
        };
        let app =
            app.ok_or_else(|| Problem::denied(format!("app {} does not exist any more", attachment.app)))?;
        if volume.sealed.is_some() {
            sealed::allows_reaching(daemon, &volume, attachment, &app.rule, exec, now)?;
        }
    }
    Ok(())
}

/// A healthcheck runs what lies in the container by now: nobody may have laid other code there (`docker cp`).
fn runs_the_images_code(daemon: &Daemon, measurement: &Measurement, held: &[Attachment]) -> Result<()> {
    let found = as_it_is_now(daemon, measurement)?;
    let known = daemon.state.now();
    let apps = held.iter().filter_map(|held| known.facts().app(&held.app));
    for app in apps {
        refuse_other_code(app, &found)?;
    }
    Ok(())
}

/// A container with its root filesystem as that is now.
fn as_it_is_now(daemon: &Daemon, measurement: &Measurement) -> Result<Measurement> {
    let mut changes = None;
    for engine in &daemon.engines {
        changes = changes.or(engine.root_changes(measurement)?);
    }
    Ok(Measurement {
        root: changes.unwrap_or_default(),
        ..measurement.clone()
    })
}

/// Engines describe the process in a file. What stands in options instead would be parsed by the real runtime alone.
fn unjudgeable() -> Problem {
    Problem::denied("a process given as arguments cannot be judged")
        .remedy("use the engine's own exec, or the runtime's exec --process FILE")
}

/// Whether a memory image may be taken of the container.
///
/// # Errors
/// The refusal.
pub(crate) fn checkpoint(daemon: &Daemon, container: &ContainerId) -> std::result::Result<(), Refusal> {
    if let Some(binds) = held::binds(daemon, container)? {
        let problem = Problem::denied("a container that binds what an app was granted is never checkpointed")
            .remedy("stop it instead");
        return Err(refused_beside(daemon, container, "checkpoint", binds, problem));
    }
    judged(daemon, container, "checkpoint", |measurement, held| {
        let now = Timestamp::now();
        daemon
            .judge
            .checkpoint(daemon.state.now().facts(), measurement, held, now)?;
        no_sealed(daemon, held)?;
        record::reached(daemon, "checkpoint", measurement, held)
    })
}

/// A memory image lies on the host's disk, and what is in it may be what was read.
fn no_sealed(daemon: &Daemon, held: &[Attachment]) -> Result<()> {
    let known = daemon.state.now();
    for attachment in held {
        if known.volume(&attachment.volume)?.kind() != Kind::Plain {
            return Err(Problem::denied(format!(
                "a container that holds the sealed volume {} is never checkpointed",
                attachment.volume
            ))
            .remedy("stop it instead"));
        }
    }
    Ok(())
}

/// Judges by what the container was measured to be when it was created. One that holds nothing is not judged.
fn judged(
    daemon: &Daemon,
    container: &ContainerId,
    verb: &str,
    judge: impl FnOnce(&Measurement, &[Attachment]) -> Result<()>,
) -> std::result::Result<(), Refusal> {
    let (leases, measurement) = {
        let known = daemon.state.now();
        let leases: Vec<Attachment> = known
            .held_by(container)
            .map(|(_, attachment)| attachment.clone())
            .collect();
        (leases, known.measurement(container).cloned())
    };
    if leases.is_empty() {
        return Ok(());
    }
    let Some(mut measurement) = measurement else {
        return Err(
            Problem::corrupt(format!("the measurement of container {container} is lost"))
                .remedy("stop the container and start it anew")
                .into(),
        );
    };
    measurement.env = held::environment(daemon, container)?;
    judge(&measurement, &leases)
        .map_err(|problem| record::refused(daemon, container, verb, Vec::new(), Some(measurement), problem))
}
