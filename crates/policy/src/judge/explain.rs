//! What explains an answer: the apps that come into question beside the container, and the one command that would change it.
//!
//! As in a refusal, only what helps is proposed: nothing against a guard rail or a policy, and nothing for what no rule can allow. A rule
//! that is proposed has been held against the container before, by the same comparison that decides.

use super::{Denial, Judge, Search, asked_for};
use crate::{
    command, compare,
    facts::Facts,
    learn,
    neighbour::{neighbour, reaches},
    relaxation,
    rule::{Difference, Mismatch, mismatches, mismatches_without_volume},
    shown,
};
use cofferdam_model::{
    App, AppName, Command, Grant, Label, LaunchRule, MeasuredMount, Measurement, MountKind, Privilege,
    Result, TICKET_VARIABLE, TenantName, VolumeName,
    api::{Compared, Remedy},
};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// How many apps are shown.
const SHOWN: usize = 5;

/// How many apps are compared at all; there may be thousands of one image.
const COMPARED: usize = 64;

/// How many names are tried for a new app.
const NAMES: u32 = 100;

const UNTYPABLE: &str = "what it runs holds characters that cannot be typed, or is too long to be shown; start it with arguments that can be, and ask again";

/// What explains an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The closest apps, side by side with the container.
    pub compared: Vec<Compared>,
    /// How many more come into question.
    pub more: usize,
    /// What would change the answer.
    pub remedy: Remedy,
}

/// What is to be explained.
struct Question<'a> {
    facts: &'a Facts,
    measurement: &'a Measurement,
    /// Each mount of a volume.
    volumes: Vec<(&'a VolumeName, &'a MeasuredMount)>,
    at: Timestamp,
    now: Timestamp,
    /// Whether the asker may see what this tenant owns.
    sees: &'a dyn Fn(&TenantName) -> bool,
}

/// An app that comes into question, and in what the container is not it.
struct Candidate<'a> {
    app: &'a App,
    differing: Vec<Mismatch>,
    granted: Vec<VolumeName>,
}

impl Judge {
    /// Explains what is decided about a container as apps and grants are now; `at` is when it was decided. Of apps whose tenant the
    /// asker does not see, nothing is told.
    pub fn explain(
        &self,
        facts: &Facts,
        measurement: &Measurement,
        at: Timestamp,
        now: Timestamp,
        sees: &dyn Fn(&TenantName) -> bool,
    ) -> Explanation {
        let volumes = measurement.mounts.iter().filter_map(|mount| match &mount.kind {
            MountKind::Volume(name) => Some((name, mount)),
            _ => None,
        });
        let question = Question {
            facts,
            measurement,
            volumes: volumes.collect(),
            at,
            now,
            sees,
        };
        let candidates = question.candidates();
        let remedy = match question.volumes.is_empty() {
            true => question.as_neighbour(&candidates),
            false => self
                .remedy(&question, &candidates)
                .unwrap_or_else(|problem| Remedy::Told(problem.to_string())),
        };
        Explanation {
            more: candidates.len().saturating_sub(SHOWN),
            compared: candidates
                .iter()
                .take(SHOWN)
                .map(|candidate| question.beside(candidate))
                .collect(),
            remedy,
        }
    }

    /// What would open every volume.
    fn remedy(&self, question: &Question<'_>, candidates: &[Candidate<'_>]) -> Result<Remedy> {
        let (mut grants, mut without_app) = (Vec::new(), Vec::new());
        for (volume, mount) in &question.volumes {
            let asked = asked_for(question.measurement, volume, mount, question.now);
            match self.search(question.facts, &asked)? {
                Search::Found(winner) if winner.write || mount.read_only => {}
                Search::Found(winner) if winner.right.write => {}
                // It is opened, and less than was asked for.
                Search::Found(winner) => {
                    let mut grant = winner.right.grant(volume, &winner.app.name);
                    grant.write = true;
                    grants.push(grant);
                }
                Search::Denied(Denial::Rails(answer)) => return Ok(never(&answer.reasons)),
                Search::Denied(Denial::Failed(problem)) => return Err(problem),
                Search::Denied(Denial::Refused { app, right, answer }) => {
                    if super::denial::expired(&asked, &app.name, right).is_none() {
                        return Ok(never(&answer.reasons));
                    }
                    let mut grant = right.grant(volume, &app.name);
                    grant.until = None;
                    grants.push(grant);
                }
                Search::Denied(Denial::Ungranted(app)) if (question.sees)(app.name.tenant()) => {
                    grants.push(new_grant(volume, &app.name, mount));
                }
                Search::Denied(Denial::Ungranted(_) | Denial::Mismatched(_) | Denial::NoGrant) => {
                    without_app.push((*volume, *mount));
                }
            }
        }
        if without_app.is_empty() {
            return Ok(match grants.as_slice() {
                [] => Remedy::Now,
                grants => line(grants.iter().map(command::grant).collect(), None),
            });
        }
        Ok(question.for_an_app(candidates, grants, &without_app))
    }
}

impl<'a> Question<'a> {
    /// The apps of the container's image and those with a grant on one of its volumes, the closest first.
    fn candidates(&self) -> Vec<Candidate<'a>> {
        let (facts, measurement) = (self.facts, self.measurement);
        let mut names = BTreeSet::new();
        for (volume, _) in &self.volumes {
            names.extend(facts.rights_on(volume).map(|(app, _)| app).take(COMPARED));
        }
        let same_image = facts.apps_of_image(&measurement.image.config);
        names.extend(same_image.map(|app| &app.name).take(COMPARED));
        let seen = names.into_iter().filter(|name| (self.sees)(name.tenant()));
        let mut all: Vec<_> = seen
            .filter_map(|name| facts.app(name))
            .map(|app| Candidate {
                app,
                differing: self.differing(&app.rule, &app.name),
                granted: self.granted(&app.name),
            })
            .collect();
        all.sort_by_key(|candidate| (candidate.differing.len(), candidate.granted.is_empty()));
        all
    }

    fn differing(&self, rule: &LaunchRule, app: &AppName) -> Vec<Mismatch> {
        match self.volumes.is_empty() {
            true => mismatches_without_volume(rule, app, self.measurement),
            false => mismatches(rule, app, self.measurement),
        }
    }

    fn granted(&self, app: &AppName) -> Vec<VolumeName> {
        let volumes: BTreeSet<_> = self.volumes.iter().map(|(volume, _)| *volume).collect();
        let granted = volumes
            .into_iter()
            .filter(|volume| self.facts.right(volume, app).is_some());
        granted.cloned().collect()
    }

    fn beside(&self, candidate: &Candidate<'_>) -> Compared {
        let app = candidate.app;
        Compared {
            app: app.name.clone(),
            granted: candidate.granted.clone(),
            newer: app.created > self.at,
            points: compare::points(app, self.measurement, &candidate.differing),
        }
    }

    /// What would open volumes that no app is granted which this container is: an app whose rule lets it in, or one of its own.
    fn for_an_app(
        &self,
        candidates: &[Candidate<'_>],
        mut grants: Vec<Grant>,
        volumes: &[(&VolumeName, &MeasuredMount)],
    ) -> Remedy {
        let closest = candidates.iter().find(|candidate| {
            volumes
                .iter()
                .any(|(volume, _)| candidate.granted.contains(volume))
        });
        if let Some(Candidate { app, differing, .. }) = closest
            && let [
                Mismatch {
                    difference: Difference::Ticket(_),
                    ..
                },
            ] = differing.as_slice()
        {
            return Remedy::Told(bring_ticket(&app.name));
        }
        let widened = closest.and_then(|candidate| {
            let rule = relaxation::widened(&candidate.app.rule, &candidate.differing)?;
            self.fits(&rule, &candidate.app.name)
                .is_ok()
                .then_some((candidate.app, rule))
        });
        let (name, rule, replace) = match widened {
            Some((app, rule)) => (app.name.clone(), rule, true),
            None => match self.app_of_its_own(closest, volumes) {
                Ok((name, rule)) => (name, rule, false),
                Err(remedy) => return remedy,
            },
        };
        let Some(create) = command::app(&name, &rule, replace) else {
            return Remedy::Told(UNTYPABLE.to_owned());
        };
        for (volume, mount) in volumes {
            // An app that is replaced keeps what its own tenant granted it.
            let before = self.facts.right(volume, &name);
            match before {
                Some(_) if volume.tenant() == name.tenant() => {}
                Some(right) => grants.push(right.grant(volume, &name)),
                None => grants.push(new_grant(volume, &name, mount)),
            }
        }
        let mut commands = vec![create];
        for grant in grants.iter().map(command::grant) {
            if !commands.contains(&grant) {
                commands.push(grant);
            }
        }
        let besides = [
            (!rule.changed.is_empty() && !self.measurement.root.is_none())
                .then(|| "or make the container anew, so that its root filesystem is the image's".to_owned()),
            rule.ticket.then(|| bring_ticket(&name)),
        ];
        let besides: Vec<String> = besides.into_iter().flatten().collect();
        line(commands, (!besides.is_empty()).then(|| besides.join("; ")))
    }

    /// A rule that fits this container alone, under a name that is free.
    fn app_of_its_own(
        &self,
        closest: Option<&Candidate<'_>>,
        volumes: &[(&VolumeName, &MeasuredMount)],
    ) -> std::result::Result<(AppName, LaunchRule), Remedy> {
        let tenant = volumes.first().map(|(volume, _)| volume.tenant());
        let tenant = tenant.ok_or(Remedy::None)?;
        let label = closest.map_or("app", |candidate| candidate.app.name.label().as_str());
        let name = self.free_name(tenant, label).ok_or(Remedy::None)?;
        self.programs_are_the_images()?;
        let mut rule = learn::learn(&name, self.measurement, None).rule;
        rule.ticket = closest.is_some_and(|candidate| candidate.app.rule.ticket);
        self.fits(&rule, &name)?;
        Ok((name, rule))
    }

    /// Nothing is proposed for a container in which somebody has changed the image's programs: the rule would let in whatever is put
    /// there the next time.
    fn programs_are_the_images(&self) -> std::result::Result<(), Remedy> {
        let changed: Vec<String> = self
            .measurement
            .root
            .places
            .iter()
            .filter(|at| relaxation::is_code(at))
            .cloned()
            .collect();
        match changed.is_empty() {
            true => Ok(()),
            false => Err(never(&[format!(
                "programs of its image were changed ({}); make the container anew",
                shown::list(&changed)
            )])),
        }
    }

    /// Whether a rule is this container's, but for a ticket that it does not bring.
    fn fits(&self, rule: &LaunchRule, name: &AppName) -> std::result::Result<(), Remedy> {
        let mut left = self.differing(rule, name);
        left.retain(|one| !matches!(one.difference, Difference::Ticket(_)));
        let is_typed = !matches!(&rule.command, Command::Exactly(argv) if argv.is_empty());
        match left.is_empty() && is_typed {
            true => Ok(()),
            false => Err(never(&left.iter().map(Mismatch::to_string).collect::<Vec<_>>())),
        }
    }

    /// The first name of these that no app has.
    fn free_name(&self, tenant: &TenantName, label: &str) -> Option<AppName> {
        let numbered = (2..NAMES).map(|number| format!("{label}-{number}"));
        let mut labels = std::iter::once(label.to_owned()).chain(numbered);
        labels.find_map(|label| {
            let label: Label = label.parse().ok()?;
            let name: AppName = format!("{tenant}.{}", label.as_str()).parse().ok()?;
            self.facts.app(&name).is_none().then_some(name)
        })
    }

    /// What would let a container without a volume start that could reach others.
    fn as_neighbour(&self, candidates: &[Candidate<'_>]) -> Remedy {
        if neighbour(self.facts, self.measurement).is_ok() {
            return Remedy::Now;
        }
        let closest = candidates.first().map(|one| &one.app.name);
        let tenant = closest.map_or_else(TenantName::default_tenant, |app| app.tenant().clone());
        let label = closest.map_or("tool", |app| app.label().as_str());
        let Some(name) = self.free_name(&tenant, label) else {
            return Remedy::None;
        };
        if let Err(remedy) = self.programs_are_the_images() {
            return remedy;
        }
        let mut rule = learn::learn(&name, self.measurement, None).rule;
        rule.allow.extend(self.measurement.privileges.iter().cloned());
        let shared = reaches(self.measurement).into_iter();
        rule.allow
            .extend(shared.filter(|way| matches!(way, Privilege::SharedNamespace(_))));
        if let Err(remedy) = self.fits(&rule, &name) {
            return remedy;
        }
        match command::app(&name, &rule, false) {
            Some(create) => line(vec![create], Some("or start it without".to_owned())),
            None => Remedy::Told(UNTYPABLE.to_owned()),
        }
    }
}

fn new_grant(volume: &VolumeName, app: &AppName, mount: &MeasuredMount) -> Grant {
    Grant {
        volume: volume.clone(),
        app: app.clone(),
        write: !mount.read_only,
        exec: false,
        until: None,
    }
}

fn line(commands: Vec<String>, besides: Option<String>) -> Remedy {
    Remedy::Command {
        line: commands.join(" && "),
        besides,
    }
}

fn never(reasons: &[String]) -> Remedy {
    match reasons {
        [] => Remedy::Never("no policy allows it".to_owned()),
        reasons => Remedy::Never(super::denial::first(reasons)),
    }
}

fn bring_ticket(app: &AppName) -> String {
    format!(
        "hand a ticket over in {TICKET_VARIABLE}; its tenant issues one with: cofferdam ticket issue {app}"
    )
}

#[cfg(test)]
mod tests;
