//! The decision: which app a container is, and what it may open.
//!
//! ```text
//! guard rails ──▶ candidates: apps with a grant here and this image, by name
//!                    │ no mismatch with the launch rule
//!                    ▼
//!                 Cedar: read, and write where it was asked for ──▶ Admitted
//!                    │ nobody
//!                    ▼
//!                 the closest thing that would have fitted ──▶ Problem, with what would allow it
//! ```

mod admitted;
mod bind;
mod denial;
mod exec;
mod explain;

pub use admitted::{Admitted, Verdict};
pub use bind::Bound;
pub use explain::Explanation;

use crate::{
    cedar::{Action, Answer, Asked, Measured, Policies, Principal},
    facts::{Facts, Right},
    rule::{Mismatch, mismatches},
};
use cofferdam_model::{
    App, MeasuredMount, Measurement, MountKind, Privilege, Problem, Result, VolumeName, api::VolumeDecision,
};
use denial::Denial;
use jiff::Timestamp;

/// Decides, by the launch rules and by Cedar's policies.
#[derive(Debug)]
pub struct Judge {
    policies: Policies,
}

/// An app whose rule the measurement satisfies, and whom Cedar lets in.
struct Winner<'a> {
    app: &'a App,
    right: Right,
    write: bool,
    reasons: Vec<String>,
    policies: Vec<String>,
}

/// What the search for a winner found.
enum Search<'a> {
    Found(Winner<'a>),
    Denied(Denial<'a>),
}

impl Judge {
    /// A judge with the shipped policies and the operator's: file names and texts.
    ///
    /// # Errors
    /// `Invalid`, naming file and line, when a policy does not parse, does not fit the schema, or can never
    /// apply.
    pub fn new(operator: &[(String, String)]) -> Result<Self> {
        Ok(Judge {
            policies: Policies::load(operator)?,
        })
    }

    /// Decides whether this container may open this volume at this mount.
    ///
    /// Writing is asked for unless the mount is read-only; where only reading is granted, the volume is opened
    /// read-only.
    pub fn open(
        &self,
        facts: &Facts,
        measurement: &Measurement,
        volume: &VolumeName,
        mount: &MeasuredMount,
        now: Timestamp,
    ) -> Verdict {
        let asked = asked_for(measurement, volume, mount, now);
        let found = is_mount_of(mount, volume).and_then(|()| self.search(facts, &asked));
        let denial = match found {
            Ok(Search::Found(winner)) => return winner.verdict(&asked, mount),
            Ok(Search::Denied(denial)) => denial,
            Err(problem) => Denial::Failed(problem),
        };
        let problem = denial.problem(&asked);
        Verdict {
            decision: VolumeDecision {
                volume: volume.clone(),
                app: denial.app(&asked).cloned(),
                allowed: false,
                read_only: false,
                reasons: denial.reasons(&asked),
                policies: denial.policies(),
            },
            outcome: Err(problem),
        }
    }

    /// Goes through the candidates until one may do all that was asked.
    fn search<'a>(&self, facts: &'a Facts, asked: &Asked<'_>) -> Result<Search<'a>> {
        let measured = Measured::new(asked)?;
        let rails = self.rails(asked, &measured, Action::Read)?;
        if !rails.reasons.is_empty() {
            return Ok(Search::Denied(Denial::Rails(rails)));
        }
        let image = asked.measurement.image.config;
        let mut reader: Option<Winner<'a>> = None;
        let mut refused: Option<Denial<'a>> = None;
        let mut closest: Option<Vec<Mismatch>> = None;
        for (app, right) in facts.candidates(asked.volume, &image) {
            let found = mismatches(&app.rule, &app.name, asked.measurement);
            if !found.is_empty() {
                closest = Some(closer(closest, found));
                continue;
            }
            match self.consider(app, right, asked, &measured)? {
                Search::Found(winner) if winner.write || asked.read_only => return Ok(Search::Found(winner)),
                Search::Found(winner) => reader = reader.or(Some(winner)),
                Search::Denied(denial) => refused = refused.or(Some(denial)),
            }
        }
        Ok(match (reader, refused) {
            (Some(reader), _) => Search::Found(reader),
            (None, Some(refused)) => Search::Denied(refused),
            (None, None) => Search::Denied(denial::nobody(facts, asked, closest)),
        })
    }

    /// Asks Cedar about one app that the measurement proves.
    fn consider<'a>(
        &self,
        app: &'a App,
        right: Right,
        asked: &Asked<'_>,
        measured: &Measured,
    ) -> Result<Search<'a>> {
        let case = self
            .policies
            .case(Principal::App(app, Some(right)), asked, measured)?;
        let read = self.policies.ask(&case, Action::Read)?;
        if !read.allowed {
            let answer = read;
            return Ok(Search::Denied(Denial::Refused { app, right, answer }));
        }
        let mut winner = Winner {
            app,
            right,
            write: false,
            reasons: read.reasons,
            policies: read.policies,
        };
        if !asked.read_only {
            let write = self.policies.ask(&case, Action::Write)?;
            winner.write = write.allowed;
            winner.reasons.extend(write.reasons.iter().cloned());
            winner.policies.extend(write.policies);
            if !write.allowed && write.reasons.is_empty() {
                let why = "the grant does not let it write, so the volume is opened read-only";
                winner.reasons.push(why.to_owned());
            }
        }
        Ok(Search::Found(winner))
    }

    /// The guard rails that the container runs into, whoever it is, with the privileges that are the reason.
    fn rails(&self, asked: &Asked<'_>, measured: &Measured, action: Action) -> Result<Answer> {
        let case = self.policies.case(Principal::Nobody, asked, measured)?;
        let mut answer = self.policies.rails(&case, action)?;
        if !answer.reasons.is_empty() {
            let privileges = asked.measurement.privileges.iter();
            let reaching = privileges.filter(|privilege: &&Privilege| privilege.reaches_out());
            answer.reasons.extend(reaching.map(|privilege| {
                let shown = crate::shown::text(&privilege.to_string());
                format!("{shown} reaches out of the container")
            }));
        }
        Ok(answer)
    }
}

impl Winner<'_> {
    /// Admits it.
    fn verdict(self, asked: &Asked<'_>, mount: &MeasuredMount) -> Verdict {
        Verdict {
            decision: VolumeDecision {
                volume: asked.volume.clone(),
                app: Some(self.app.name.clone()),
                allowed: true,
                read_only: !self.write,
                reasons: self.reasons,
                policies: self.policies,
            },
            outcome: Ok(Admitted::new(
                asked.volume.clone(),
                self.app.name.clone(),
                mount,
                !self.write,
                self.right.exec,
            )),
        }
    }
}

/// What one mount of a volume asks for.
fn asked_for<'a>(
    measurement: &'a Measurement,
    volume: &'a VolumeName,
    mount: &'a MeasuredMount,
    now: Timestamp,
) -> Asked<'a> {
    Asked {
        volume,
        measurement,
        destination: &mount.destination,
        read_only: mount.read_only,
        healthcheck: false,
        now,
    }
}

/// Whichever has fewer mismatches; the earlier one when they are equal.
fn closer(before: Option<Vec<Mismatch>>, found: Vec<Mismatch>) -> Vec<Mismatch> {
    match before {
        Some(before) if before.len() <= found.len() => before,
        _ => found,
    }
}

/// The caller must ask about the mount that was measured to be this volume.
fn is_mount_of(mount: &MeasuredMount, volume: &VolumeName) -> Result<()> {
    match &mount.kind {
        MountKind::Volume(measured) if measured == volume => Ok(()),
        _ => Err(Problem::internal(format!(
            "the mount at {} was not measured to be {volume}",
            crate::shown::text(&mount.destination)
        ))),
    }
}

#[cfg(test)]
mod tests;
