//! Whether a container may bind a host path that was granted to named apps.

use super::{Judge, closer, denial};
use crate::cedar::{Action, Launched};
use crate::command;
use crate::facts::{Facts, Right};
use crate::rule::{Mismatch, mismatches, mismatches_without_volume};
use crate::shown;
use cofferdam_model::{
    AppName, HostPath, HostPathGrant, MeasuredMount, Measurement, MountKind, Problem, Result,
};
use jiff::Timestamp;

/// A host path that may be bound, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The app that the container is.
    pub app: AppName,
    /// Whether what belongs to the directory's owner shall belong to the container's user.
    pub map_owner: bool,
    /// Whether the grant lets it write.
    pub write: bool,
}

impl Judge {
    /// Decides whether this container may bind what was granted as `path`, or what lies below it.
    ///
    /// # Errors
    /// `Denied`, with what would allow it.
    pub fn bind(
        &self,
        facts: &Facts,
        measurement: &Measurement,
        mount: &MeasuredMount,
        path: &HostPath,
        now: Timestamp,
    ) -> Result<Bound> {
        let launched = Launched {
            measurement,
            destination: &mount.destination,
            read_only: mount.read_only,
            healthcheck: false,
            now,
        };
        let mut closest: Option<Vec<Mismatch>> = None;
        let (mut refused, mut changed) = (None, None);
        for (app, grant) in facts.may_bind(path, &measurement.image.config) {
            if grant.rule != app.rule {
                changed.get_or_insert(&app.name);
                continue;
            }
            let found = match asks_for_volume(measurement) {
                true => mismatches(&app.rule, &app.name, measurement),
                false => mismatches_without_volume(&app.rule, &app.name, measurement),
            };
            if !found.is_empty() {
                closest = Some(closer(closest, found));
                continue;
            }
            let case = self.policies.bind_case(app, right_of(grant), path, &launched)?;
            let answer = self.policies.ask(&case, Action::Bind)?;
            if answer.allowed {
                return Ok(Bound {
                    app: app.name.clone(),
                    map_owner: grant.map_owner,
                    write: grant.write,
                });
            }
            refused.get_or_insert((grant, answer.reasons));
        }
        Err(match refused {
            Some((grant, reasons)) => why_not(mount, grant, &reasons, now),
            None => nobody(path, mount, closest.as_deref(), changed),
        })
    }
}

/// As policies know it.
fn right_of(grant: &HostPathGrant) -> Right {
    Right {
        write: grant.write,
        exec: grant.exec,
        until: grant.until,
    }
}

fn asks_for_volume(measurement: &Measurement) -> bool {
    let is_volume = |mount: &MeasuredMount| matches!(mount.kind, MountKind::Volume(_));
    measurement.mounts.iter().any(is_volume)
}

fn closed(path: &HostPath, mount: &MeasuredMount, why: &str) -> Problem {
    Problem::denied(format!(
        "the host path {}, to be bound at {}, is not open to this container: {why}",
        shown::text(path.as_str()),
        shown::text(&mount.destination)
    ))
}

/// The app is one of those, and may not all the same.
fn why_not(mount: &MeasuredMount, grant: &HostPathGrant, reasons: &[String], now: Timestamp) -> Problem {
    let (path, app) = (&grant.path, &grant.app);
    let ended = grant.until.filter(|until| until.as_second() <= now.as_second());
    if let Some(until) = ended {
        let problem = closed(path, mount, &format!("the grant of {app} ended at {until}"));
        return with_command(problem, "", path, &app.to_string(), " --until TIME");
    }
    if !reasons.is_empty() {
        return closed(path, mount, &denial::first(reasons));
    }
    let problem = closed(path, mount, &format!("app {app} may only read it"));
    with_command(
        problem,
        "bind it read-only (:ro); or ",
        path,
        &app.to_string(),
        "",
    )
}

/// With the command that grants it, where a shell reads that back as it is meant.
fn with_command(problem: Problem, or: &str, path: &HostPath, app: &str, more: &str) -> Problem {
    match command::quoted(path.as_str()) {
        Some(path) => problem.remedy(format!("{or}cofferdam host-path allow {path} --to {app}{more}")),
        None => problem,
    }
}

/// It is none of the apps that may.
fn nobody(
    path: &HostPath,
    mount: &MeasuredMount,
    closest: Option<&[Mismatch]>,
    changed: Option<&AppName>,
) -> Problem {
    let why = match (closest, changed) {
        (Some(found), _) => denial::first(&found.iter().map(Mismatch::to_string).collect::<Vec<_>>()),
        (None, Some(app)) => format!("app {app} has another rule than when the path was granted to it"),
        (None, None) => "it is granted to named apps, and this container is none of them".to_owned(),
    };
    let problem = closed(path, mount, &why);
    match (closest, changed) {
        (Some(_), _) => problem,
        (None, Some(app)) => with_command(problem, "", path, &app.to_string(), ""),
        (None, None) => with_command(problem, "", path, "APP", ""),
    }
}

#[cfg(test)]
mod tests;
