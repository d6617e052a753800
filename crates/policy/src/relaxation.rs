//! What a rule would have to let in for a difference to be none: each as an option of `cofferdam app create`, and as a change of the rule.
//!
//! Only for points in which a rule may let in more than it does. One that names another image, command, user or directory would be
//! another app; and what no rule can allow has no relaxation at all.

use crate::{
    command::quoted,
    rule::{Difference, Mismatch},
};
use cofferdam_model::{LaunchRule, Namespace, NetworkRule, Privilege, environment, place};

/// The most options that an error names; `cofferdam why` has all.
const NAMED: usize = 8;

/// One thing more that a rule lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Relaxation {
    Env(String),
    Mount(String),
    Changed(String),
    Group(u32),
    Allow(Privilege),
    Network(NetworkRule),
}

/// What would have to be let in; none where letting more in is not what it takes.
pub(crate) fn of(difference: &Difference) -> Option<Vec<Relaxation>> {
    match difference {
        Difference::Environment(name) => {
            environment::is_name(name).then(|| vec![Relaxation::Env(name.clone())])
        }
        Difference::OutsideMount { destination } | Difference::OverImage { destination, .. } => {
            Some(vec![Relaxation::Mount(destination.clone())])
        }
        // A rule that lets an image's programs be changed lets in whatever is put there the next time.
        Difference::Changed { places, more: false } if !places.iter().any(|at| is_code(at)) => {
            Some(places.iter().cloned().map(Relaxation::Changed).collect())
        }
        Difference::Group(group) => Some(vec![Relaxation::Group(*group)]),
        Difference::Privilege(privilege) => Some(vec![Relaxation::Allow(privilege.clone())]),
        Difference::Namespace {
            kind: "network",
            found,
        } => Some(vec![Relaxation::Network(match found {
            Namespace::Own => NetworkRule::Own,
            Namespace::Host => NetworkRule::Host,
            Namespace::Foreign => NetworkRule::Any,
        })]),
        Difference::Image { .. }
        | Difference::NotTheImagesCommand { .. }
        | Difference::NotTheRulesCommand { .. }
        | Difference::User { .. }
        | Difference::Directory { .. }
        | Difference::OddPlace { .. }
        | Difference::LeadsToCode(_)
        | Difference::Changed { .. }
        | Difference::WayOut(_)
        | Difference::NewPrivileges
        | Difference::Ticket(_)
        | Difference::Namespace { .. } => None,
    }
}

/// Whether images keep their programs there.
pub(crate) fn is_code(at: &str) -> bool {
    let code = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/usr"];
    code.iter()
        .any(|own| place::holds(own, at) || place::holds(at, own))
}

/// The rule that lets all of it in. A ticket is no matter of the rule's: that difference stays.
pub(crate) fn widened(rule: &LaunchRule, mismatches: &[Mismatch]) -> Option<LaunchRule> {
    let mut wider = rule.clone();
    for mismatch in mismatches {
        if matches!(mismatch.difference, Difference::Ticket(_)) {
            continue;
        }
        of(&mismatch.difference)?
            .into_iter()
            .for_each(|one| one.let_in(&mut wider));
    }
    Some(wider)
}

/// The options, as they are shown in an error; none where they would not help, or are too many for one.
pub(crate) fn options(mismatches: &[Mismatch]) -> Option<String> {
    let all: Option<Vec<_>> = mismatches.iter().map(|one| of(&one.difference)).collect();
    let all: Vec<Relaxation> = all?.into_iter().flatten().collect();
    // What a shell would not read back as it is meant is shown to nobody as a thing to type.
    let words: Vec<String> = all.iter().map(Relaxation::typed).collect::<Option<_>>()?;
    (!words.is_empty() && words.len() <= NAMED).then(|| words.join(" "))
}

impl Relaxation {
    fn let_in(self, rule: &mut LaunchRule) {
        match self {
            Relaxation::Env(name) => drop(rule.env.insert(name)),
            Relaxation::Mount(place) => drop(rule.mounts.insert(place)),
            Relaxation::Changed(place) => drop(rule.changed.insert(place)),
            Relaxation::Group(group) => drop(rule.groups.insert(group)),
            Relaxation::Allow(privilege) => drop(rule.allow.insert(privilege)),
            Relaxation::Network(network) => rule.network = network,
        }
    }

    fn typed(&self) -> Option<String> {
        Some(match self {
            Relaxation::Env(name) => format!("--allow-env {}", quoted(name)?),
            Relaxation::Group(group) => format!("--allow-group {group}"),
            Relaxation::Mount(place) => format!("--allow-mount {}", quoted(place)?),
            Relaxation::Changed(place) => format!("--allow-changed {}", quoted(place)?),
            Relaxation::Allow(privilege) => format!("--allow {}", quoted(&privilege.to_string())?),
            Relaxation::Network(network) => format!("--network {}", word(*network)),
        })
    }
}

/// A network rule, as `cofferdam app create --network` takes it.
pub(crate) fn word(network: NetworkRule) -> &'static str {
    match network {
        NetworkRule::Own => "own",
        NetworkRule::Host => "host",
        NetworkRule::Any => "any",
    }
}
