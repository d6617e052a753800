//! Where a measurement differs from an app's launch rule.
//!
//! Strict by default: the image's own command and directory, no mount from outside, nothing laid over the image's
//! own files, no privilege beyond the engine's default, namespaces of its own. Each relaxation is named in the
//! rule. Every difference is told, not only the first, so that a launch can be put right in one go.
//!
//! What this does not do: decide. A rule that matches proves who the container is, not what it may open. Places
//! are judged by where they lead in the image.

mod told;

use cofferdam_model::{
    AppName, Command, LaunchRule, MeasuredMount, Measurement, MountKind, Namespace, NetworkRule, Owner,
    Privilege, Sha256, TicketFound, UserRule, environment, place,
};

/// One point in which a measurement is not what an app's rule asks for. Reads as a fragment of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// The app whose rule it is.
    pub app: AppName,
    /// The point.
    pub difference: Difference,
}

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// Another image.
    Image {
        /// What the container's root filesystem is made of.
        found: Sha256,
        /// What the rule has.
        wanted: Sha256,
    },
    /// Another command than the image's own.
    NotTheImagesCommand {
        /// What the container runs.
        found: Vec<String>,
        /// What the image says.
        image: Vec<String>,
    },
    /// Another command than the one in the rule.
    NotTheRulesCommand {
        /// What the container runs.
        found: Vec<String>,
        /// What the rule says.
        wanted: Vec<String>,
    },
    /// Another user.
    User {
        /// Who it runs as.
        found: Owner,
        /// Who the rule says.
        wanted: Owner,
    },
    /// An extra group that neither the image nor the rule gives it.
    Group(u32),
    /// Another working directory.
    Directory {
        /// Where it works.
        found: String,
        /// Where the rule, or else the image, says.
        wanted: String,
    },
    /// A mount at a place that may be read in more than one way, which no rule can allow.
    OddPlace {
        /// What is mounted.
        what: Laid,
        /// The place.
        destination: String,
    },
    /// A volume or a filesystem of the kernel over the image's own files where the rule names none.
    OverImage {
        /// What is mounted.
        what: Laid,
        /// Where the container sees it.
        destination: String,
        /// Where that leads in the image, where it is somewhere else.
        leads_to: Option<String>,
    },
    /// A mount from outside where the rule names none.
    OutsideMount {
        /// Where the container sees it.
        destination: String,
    },
    /// A name in the environment that the rule does not name.
    Environment(String),
    /// One that no rule can allow: it leads to other code than the image's.
    LeadsToCode(String),
    /// A root filesystem that is not the image's where the rule does not say that it need not be.
    Changed {
        /// The places; all where there are more than were looked at.
        places: Vec<String>,
        /// There are more.
        more: bool,
    },
    /// A privilege that the rule does not name.
    Privilege(Privilege),
    /// A privilege that no rule can allow.
    WayOut(Privilege),
    /// It may gain privileges, which the rule does not have.
    NewPrivileges,
    /// No ticket of the app's tenant; what was found instead, where there was one.
    Ticket(Option<TicketFound>),
    /// A namespace that is not the container's own.
    Namespace {
        /// Which kind: `network`, `pid`, `mount`, `user`.
        kind: &'static str,
        /// Whose it is.
        found: Namespace,
    },
}

/// What is laid over the image's own files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Laid {
    /// A volume.
    Volume,
    /// A filesystem of the kernel, by its type.
    Kernel(String),
}

/// Every point in which the measurement is not what the rule asks for. None at all proves the app.
pub fn mismatches(rule: &LaunchRule, app: &AppName, measurement: &Measurement) -> Vec<Mismatch> {
    let differences = image(rule, measurement)
        .into_iter()
        .chain(command(rule, measurement))
        .chain(user(rule, measurement))
        .chain(groups(rule, measurement))
        .chain(directory(rule, measurement))
        .chain(mounts(rule, measurement))
        .chain(environment(rule, measurement))
        .chain(root(rule, measurement))
        .chain(privileges(rule, measurement))
        .chain(namespaces(rule, measurement))
        .chain(new_privileges(rule, measurement))
        .chain(ticket(rule, app, measurement));
    differences
        .map(|difference| Mismatch {
            app: app.clone(),
            difference,
        })
        .collect()
}

/// The same for a container without a volume: there a rule may allow what reaches out of it.
pub(crate) fn mismatches_without_volume(
    rule: &LaunchRule,
    app: &AppName,
    measurement: &Measurement,
) -> Vec<Mismatch> {
    let allows =
        |privilege: &Privilege| rule.allow.contains(privilege) || rule.allow.contains(&Privilege::Everything);
    let mut found = mismatches(rule, app, measurement);
    found.retain(|mismatch| match &mismatch.difference {
        Difference::WayOut(privilege) | Difference::Privilege(privilege) => !allows(privilege),
        Difference::Namespace { kind, .. } => !allows(&Privilege::SharedNamespace((*kind).to_owned())),
        _ => true,
    });
    found
}

fn image(rule: &LaunchRule, measurement: &Measurement) -> Option<Difference> {
    let found = measurement.image.config;
    (found != rule.image).then_some(Difference::Image {
        found,
        wanted: rule.image,
    })
}

fn command(rule: &LaunchRule, measurement: &Measurement) -> Option<Difference> {
    let found = || measurement.argv.clone();
    match &rule.command {
        Command::Image if measurement.argv != measurement.image_command => {
            Some(Difference::NotTheImagesCommand {
                found: found(),
                image: measurement.image_command.clone(),
            })
        }
        Command::Exactly(wanted) if measurement.argv != *wanted => Some(Difference::NotTheRulesCommand {
            found: found(),
            wanted: wanted.clone(),
        }),
        Command::Image | Command::Exactly(_) => None,
    }
}

fn user(rule: &LaunchRule, measurement: &Measurement) -> Option<Difference> {
    let found = measurement.user.owner;
    match rule.user {
        UserRule::Exactly(wanted) if found != wanted => Some(Difference::User { found, wanted }),
        UserRule::Any | UserRule::Exactly(_) => None,
    }
}

fn groups(rule: &LaunchRule, measurement: &Measurement) -> impl Iterator<Item = Difference> {
    let found = measurement.foreign_groups.iter().copied();
    found
        .filter(|group| !rule.groups.contains(group))
        .map(Difference::Group)
}

fn directory(rule: &LaunchRule, measurement: &Measurement) -> Option<Difference> {
    let found = &measurement.cwd;
    let wanted = rule.cwd.as_ref().unwrap_or(&measurement.image_cwd);
    (!place::same(found, wanted)).then(|| Difference::Directory {
        found: found.clone(),
        wanted: wanted.clone(),
    })
}

fn mounts(rule: &LaunchRule, measurement: &Measurement) -> impl Iterator<Item = Difference> {
    measurement
        .mounts
        .iter()
        .filter_map(|mount| mounted(rule, measurement, mount))
}

/// Where a mount lies. What a volume holds is judged by its own grant.
fn mounted(rule: &LaunchRule, measurement: &Measurement, mount: &MeasuredMount) -> Option<Difference> {
    let destination = mount.destination.clone();
    let what = match &mount.kind {
        MountKind::Engine => return None,
        MountKind::Outside(_) => {
            return (!rule.mounts.contains(&destination)).then_some(Difference::OutsideMount { destination });
        }
        MountKind::Volume(_) => Laid::Volume,
        MountKind::Kernel(kind) => Laid::Kernel(kind.clone()),
    };
    if place::plain(&destination).is_none() {
        return Some(Difference::OddPlace { what, destination });
    }
    let is_named = || rule.mounts.iter().any(|place| place::same(place, &destination));
    let leads_to = mount.lands.clone();
    (measurement.is_hidden_by(mount) && !is_named()).then_some(Difference::OverImage {
        what,
        destination,
        leads_to,
    })
}

/// What leads to other code counts even where the rule names it.
fn environment(rule: &LaunchRule, measurement: &Measurement) -> impl Iterator<Item = Difference> {
    measurement.foreign_env.iter().filter_map(|name| {
        if environment::leads_to_code(name) {
            Some(Difference::LeadsToCode(name.clone()))
        } else if rule.env.contains(name) {
            None
        } else {
            Some(Difference::Environment(name.clone()))
        }
    })
}

/// Where the root filesystem is not the image's, and need be.
pub(crate) fn root(rule: &LaunchRule, measurement: &Measurement) -> Option<Difference> {
    let allows = |place: &String| rule.changed.iter().any(|outer| place::holds(outer, place));
    let found = &measurement.root;
    let places: Vec<String> = found
        .places
        .iter()
        .filter(|place| !allows(place))
        .cloned()
        .collect();
    let more = found.more && !rule.changed.contains("/");
    (more || !places.is_empty()).then_some(Difference::Changed { places, more })
}

fn privileges(rule: &LaunchRule, measurement: &Measurement) -> impl Iterator<Item = Difference> {
    measurement.privileges.iter().filter_map(|privilege| {
        if privilege.reaches_out() {
            Some(Difference::WayOut(privilege.clone()))
        } else if rule.allow.contains(privilege) {
            None
        } else {
            Some(Difference::Privilege(privilege.clone()))
        }
    })
}

/// The ipc, uts and cgroup namespaces are among the privileges. The host's user namespace is where containers
/// live by default.
fn namespaces(rule: &LaunchRule, measurement: &Measurement) -> impl Iterator<Item = Difference> {
    let found = measurement.namespaces;
    let network_fits = match rule.network {
        NetworkRule::Own => found.network == Namespace::Own,
        NetworkRule::Host => found.network != Namespace::Foreign,
        NetworkRule::Any => true,
    };
    [
        ("network", found.network, network_fits),
        ("pid", found.pid, found.pid == Namespace::Own),
        ("mount", found.mount, found.mount == Namespace::Own),
        ("user", found.user, found.user != Namespace::Foreign),
    ]
    .into_iter()
    .filter(|(_, _, fits)| !fits)
    .map(|(kind, found, _)| Difference::Namespace { kind, found })
}

fn new_privileges(rule: &LaunchRule, measurement: &Measurement) -> Option<Difference> {
    (rule.no_new_privileges && !measurement.no_new_privileges).then_some(Difference::NewPrivileges)
}

/// A ticket tells apart those who launch the same image in the same way.
fn ticket(rule: &LaunchRule, app: &AppName, measurement: &Measurement) -> Option<Difference> {
    match &measurement.ticket {
        _ if !rule.ticket => None,
        Some(TicketFound::Holds(named)) if named == app => None,
        found => Some(Difference::Ticket(found.clone())),
    }
}

#[cfg(test)]
mod tests;
