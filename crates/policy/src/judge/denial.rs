//! Why nobody was let in, in the words of its user, with what would have let it in.
//!
//! Only remedies that help are given: none against a guard rail or a policy, and none that would have an
//! operator grant a volume to a container whose launch was tampered with.

use crate::{
    cedar::{Answer, Asked},
    command,
    facts::{Facts, Right},
    relaxation,
    rule::{Difference, Mismatch, mismatches},
};
use cofferdam_model::{App, AppName, Problem, TICKET_VARIABLE};

/// How many apps are compared with the measurement only to explain a denial.
const EXPLAINED: usize = 3;

/// How many apps of the same image are looked at for one that the measurement proves without a grant.
const PROVED: usize = 16;

/// How many mismatches an error names; the decision's record has all.
const NAMED: usize = 3;

/// Why nobody was let in.
#[derive(Debug)]
pub(super) enum Denial<'a> {
    /// Guard rails, with their reasons.
    Rails(Answer),
    /// The measurement proves an app with a grant, and the policies say no.
    Refused {
        app: &'a App,
        right: Right,
        answer: Answer,
    },
    /// The measurement proves an app that has no grant here.
    Ungranted(&'a App),
    /// The measurement proves no app; this is the closest.
    Mismatched(Vec<Mismatch>),
    /// There is nobody who may open it.
    NoGrant,
    /// There was no decision.
    Failed(Problem),
}

/// The closest thing to an app that may open the volume, where no app was proved.
pub(super) fn nobody<'a>(facts: &'a Facts, asked: &Asked<'_>, closest: Option<Vec<Mismatch>>) -> Denial<'a> {
    let differs = |app: &App| mismatches(&app.rule, &app.name, asked.measurement);
    let proved = facts
        .apps_of_image(&asked.measurement.image.config)
        .filter(|app| facts.right(asked.volume, &app.name).is_none())
        .take(PROVED)
        .find(|app| differs(app).is_empty());
    if let Some(app) = proved {
        return Denial::Ungranted(app);
    }
    let other_images = || {
        facts
            .rights_on(asked.volume)
            .filter_map(|(name, _)| facts.app(name))
            .take(EXPLAINED)
            .map(differs)
            .min_by_key(Vec::len)
    };
    match closest.or_else(other_images) {
        Some(mismatches) => Denial::Mismatched(mismatches),
        None => Denial::NoGrant,
    }
}

impl Denial<'_> {
    /// The app that was proved.
    pub(super) fn app(&self, asked: &Asked<'_>) -> Option<&AppName> {
        match self {
            Denial::Refused { app, .. } => Some(&app.name),
            // Of another tenant's app nothing is told, not even in the record.
            Denial::Ungranted(app) => (app.name.tenant() == asked.volume.tenant()).then_some(&app.name),
            Denial::Rails(_) | Denial::Mismatched(_) | Denial::NoGrant | Denial::Failed(_) => None,
        }
    }

    /// Every reason, for the record.
    pub(super) fn reasons(&self, asked: &Asked<'_>) -> Vec<String> {
        match self {
            Denial::Rails(answer) => answer.reasons.clone(),
            Denial::Refused { answer, .. } if !answer.reasons.is_empty() => answer.reasons.clone(),
            Denial::Mismatched(mismatches) => mismatches.iter().map(Mismatch::to_string).collect(),
            Denial::Refused { .. } | Denial::Ungranted(_) | Denial::NoGrant | Denial::Failed(_) => {
                vec![self.problem(asked).message]
            }
        }
    }

    /// The policies that decided.
    pub(super) fn policies(&self) -> Vec<String> {
        match self {
            Denial::Rails(answer) | Denial::Refused { answer, .. } => answer.policies.clone(),
            Denial::Ungranted(_) | Denial::Mismatched(_) | Denial::NoGrant | Denial::Failed(_) => Vec::new(),
        }
    }

    /// The refusal, as its user reads it.
    pub(super) fn problem(&self, asked: &Asked<'_>) -> Problem {
        let volume = asked.volume;
        let closed = |why: &str| Problem::denied(format!("{volume} is not open to this container: {why}"));
        match self {
            Denial::Rails(answer) => closed(&first(&answer.reasons)),
            Denial::Refused { app, right, answer } => {
                expired(asked, &app.name, *right).unwrap_or_else(|| match answer.reasons.is_empty() {
                    true => closed("no policy allows it"),
                    false => closed(&first(&answer.reasons)),
                })
            }
            // Whoever starts a container learns nothing of other tenants' apps from its refusal.
            Denial::Ungranted(app) if app.name.tenant() != volume.tenant() => Problem::denied(format!(
                "no app of tenant {} that has a grant on {volume} is this container",
                volume.tenant()
            )),
            Denial::Ungranted(app) => {
                let app = &app.name;
                let flag = if asked.read_only { " --read-only" } else { "" };
                Problem::denied(format!("this container is {app}, which has no grant on {volume}"))
                    .remedy(format!("cofferdam grant {volume} {app}{flag}"))
            }
            Denial::Mismatched(mismatches) => {
                let all: Vec<String> = mismatches.iter().map(Mismatch::to_string).collect();
                match mismatches.as_slice() {
                    // All else fits: whoever launches it may have forgotten the ticket, or it is too old.
                    [Mismatch { app, difference: Difference::Ticket(_) }] => closed(&first(&all)).remedy(format!(
                        "hand a ticket over in {TICKET_VARIABLE}; its tenant issues one with: cofferdam ticket issue {app}"
                    )),
                    [Mismatch { difference: Difference::Changed { .. }, .. }] => closed(&first(&all)).remedy(
                        "make the container anew (docker rm, docker run); or make the app anew with --allow-changed PLACE",
                    ),
                    several => match relaxation::options(several) {
                        Some(options) => {
                            let it = if several.len() == 1 { "it" } else { "them" };
                            closed(&first(&all))
                                .remedy(format!("leave {it} out; or make the app anew with {options}"))
                        }
                        None => closed(&first(&all)),
                    },
                }
            }
            Denial::NoGrant => Problem::denied(format!("no app has a grant on {volume}"))
                .remedy(format!("cofferdam grant {volume} APP")),
            Denial::Failed(problem) => problem.clone(),
        }
    }
}

/// The refusal of a grant that has ended, if it has.
pub(super) fn expired(asked: &Asked<'_>, app: &AppName, right: Right) -> Option<Problem> {
    let volume = asked.volume;
    let until = right
        .until
        .filter(|until| until.as_second() <= asked.now.as_second())?;
    let renewed = Right { until: None, ..right };
    let command = command::grant(&renewed.grant(volume, app));
    Some(
        Problem::denied(format!("the grant of {app} on {volume} ended at {until}"))
            .remedy(format!("{command} --until TIME")),
    )
}

/// The first few reasons, and how many more there are.
pub(super) fn first(reasons: &[String]) -> String {
    let named: Vec<&str> = reasons.iter().take(NAMED).map(String::as_str).collect();
    let named = named.join("; ");
    match reasons.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named}; and {more} more"),
    }
}
