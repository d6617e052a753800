//! Whether a container may bind a host path that was granted to named apps.

use super::{Judge, closer, denial};
use crate::cedar::{Action, Launched};
use crate::facts::{Facts, HostPathRight};
use crate::rule::{Mismatch, mismatches, mismatches_without_volume};
use crate::shown;
use cofferdam_model::{AppName, HostPath, MeasuredMount, Measurement, MountKind, Problem, Result};
use jiff::Timestamp;

/// A host path that may be bound, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bound {
    /// The app that the container is.
    pub app: AppName,
    /// Whether what belongs to the directory's owner shall belong to the container's user.
    pub map_owner: bool,
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
        let mut refused = None;
        for (app, right) in facts.may_bind(path, &measurement.image.config) {
            let found = match asks_for_volume(measurement) {
                true => mismatches(&app.rule, &app.name, measurement),
                false => mismatches_without_volume(&app.rule, &app.name, measurement),
            };
            if !found.is_empty() {
                closest = Some(closer(closest, found));
                continue;
            }
            let case = self.policies.bind_case(app, right.right(), path, &launched)?;
            let answer = self.policies.ask(&case, Action::Bind)?;
            if answer.allowed {
                return Ok(Bound {
                    app: app.name.clone(),
                    map_owner: right.map_owner,
                });
            }
            refused.get_or_insert((app.name.clone(), right, answer.reasons));
        }
        Err(match refused {
            Some((app, right, reasons)) => why_not(path, mount, &app, right, &reasons, now),
            None => nobody(path, mount, closest.as_deref()),
        })
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
fn why_not(
    path: &HostPath,
    mount: &MeasuredMount,
    app: &AppName,
    right: HostPathRight,
    reasons: &[String],
    now: Timestamp,
) -> Problem {
    let command = format!("cofferdam host-path allow {path} --to {app}");
    if let Some(until) = right.until.filter(|until| until.as_second() <= now.as_second()) {
        return closed(path, mount, &format!("the grant of {app} ended at {until}"))
            .remedy(format!("{command} --until TIME"));
    }
    if !reasons.is_empty() {
        return closed(path, mount, &denial::first(reasons));
    }
    closed(path, mount, &format!("app {app} may only read it"))
        .remedy(format!("bind it read-only (:ro); or {command}"))
}

/// It is none of the apps that may.
fn nobody(path: &HostPath, mount: &MeasuredMount, closest: Option<&[Mismatch]>) -> Problem {
    let why = match closest {
        Some(found) => denial::first(&found.iter().map(Mismatch::to_string).collect::<Vec<_>>()),
        None => "it is granted to named apps, and this container is none of them".to_owned(),
    };
    let problem = closed(path, mount, &why);
    match closest {
        Some(_) => problem,
        None => problem.remedy(format!("cofferdam host-path allow {path} --to APP")),
    }
}

#[cfg(test)]
mod tests;
