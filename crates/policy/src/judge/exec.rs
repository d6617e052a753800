//! Adding a process to a container that holds volumes, or taking its memory image: a road to the same data.

use super::{Judge, denial};
use crate::{
    cedar::{Action, Asked, Measured, Principal},
    command,
    facts::Facts,
};
use cofferdam_model::{Attachment, Measurement, Problem, Result};
use jiff::Timestamp;

impl Judge {
    /// Decides whether a process may be added to a container that holds these volumes. Every one of them must
    /// allow it: by a grant with `exec`, or, for a healthcheck of the image's own or the rule's, by any grant that still holds.
    ///
    /// What the process itself would hold is judged by [`refuse_reaching`](crate::refuse_reaching).
    ///
    /// # Errors
    /// `Denied`, with what would allow it.
    pub fn exec(
        &self,
        facts: &Facts,
        measurement: &Measurement,
        held: &[Attachment],
        healthcheck: bool,
        now: Timestamp,
    ) -> Result<()> {
        self.reach(facts, measurement, held, healthcheck, now, "adding a process to")
    }

    /// Decides whether a memory image may be taken of a container that holds these volumes. What is in memory
    /// may be what was read, so the same grant is needed as for adding a process.
    ///
    /// # Errors
    /// `Denied`, with what would allow it.
    pub fn checkpoint(
        &self,
        facts: &Facts,
        measurement: &Measurement,
        held: &[Attachment],
        now: Timestamp,
    ) -> Result<()> {
        self.reach(facts, measurement, held, false, now, "taking a checkpoint of")
    }

    fn reach(
        &self,
        facts: &Facts,
        measurement: &Measurement,
        held: &[Attachment],
        healthcheck: bool,
        now: Timestamp,
        what: &str,
    ) -> Result<()> {
        held.iter().try_for_each(|attachment| {
            let asked = Asked {
                volume: &attachment.volume,
                measurement,
                destination: &attachment.destination,
                read_only: attachment.read_only,
                healthcheck,
                now,
            };
            self.reach_one(facts, attachment, &asked, what)
        })
    }

    fn reach_one(&self, facts: &Facts, attachment: &Attachment, asked: &Asked<'_>, what: &str) -> Result<()> {
        let (volume, name) = (&attachment.volume, &attachment.app);
        let denied = |why: &str| {
            Problem::denied(format!(
                "{what} a container that holds {volume} is not allowed: {why}"
            ))
        };
        let measured = Measured::new(asked)?;
        let rails = self.rails(asked, &measured, Action::Exec)?.reasons;
        if !rails.is_empty() {
            return Err(denied(&denial::first(&rails)));
        }
        let Some(app) = facts.app(name) else {
            return Err(denied(&format!("app {name} does not exist any more")));
        };
        let right = facts.right(volume, name);
        let case = self.policies.case(Principal::App(app, right), asked, &measured)?;
        let answer = self.policies.ask(&case, Action::Exec)?;
        if answer.allowed {
            return Ok(());
        }
        if let Some(problem) = right.and_then(|right| denial::expired(asked, name, right)) {
            return Err(problem);
        }
        if !answer.reasons.is_empty() {
            return Err(denied(&denial::first(&answer.reasons)));
        }
        let Some(right) = right else {
            return Err(denied(&format!("{name} has no grant on it any more"))
                .remedy(format!("cofferdam grant {volume} {name} --exec")));
        };
        let mut grant = right.grant(volume, name);
        grant.exec = true;
        Err(denied(&format!("the grant of {name} has no exec")).remedy(command::grant(&grant)))
    }
}
