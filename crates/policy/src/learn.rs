//! Making a launch rule from a container that ran: each point in which it is not an image's ordinary container becomes one relaxation,
//! with the sentence that says so.
//!
//! What this does not do: say that the container was what it should be. Whoever takes the rule looks at what it lets in.

use crate::{rule, shown};
use cofferdam_model::{
    AppName, Command, LaunchRule, Measurement, MountKind, Namespace, NetworkRule, Owner, UserRule,
    environment, place,
};
use std::collections::BTreeSet;

/// What was learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Learned {
    /// The rule: as strict as the container lets it be.
    pub rule: LaunchRule,
    /// What it lets in beyond the image's ordinary container, a sentence each.
    pub lets_in: Vec<String>,
    /// What no rule can let in, in words of a refusal: the container as it ran would be refused for it.
    pub cannot: Vec<String>,
}

/// The rule that fits a container as it was measured, and the healthcheck that the engine runs in it.
pub fn learn(app: &AppName, measurement: &Measurement, healthcheck: Option<&[String]>) -> Learned {
    let mut lets_in = Vec::new();
    let rule = LaunchRule {
        image: measurement.image.config,
        command: command(measurement, &mut lets_in),
        user: UserRule::Exactly(user(measurement, &mut lets_in)),
        cwd: directory(measurement, &mut lets_in),
        network: network(measurement, &mut lets_in),
        mounts: mounts(measurement, &mut lets_in),
        env: names(measurement, &mut lets_in),
        groups: groups(measurement, &mut lets_in),
        changed: changed(measurement, &mut lets_in),
        allow: measurement
            .privileges
            .iter()
            .filter(|privilege| !privilege.reaches_out())
            .inspect(|privilege| lets_in.push(format!("privilege {}", shown::text(&privilege.to_string()))))
            .cloned()
            .collect(),
        healthcheck: checked(measurement, healthcheck, &mut lets_in),
        no_new_privileges: no_new_privileges(measurement, &mut lets_in),
        ticket: false,
    };
    let left = rule::mismatches(&rule, app, measurement);
    Learned {
        cannot: left.iter().map(ToString::to_string).collect(),
        rule,
        lets_in,
    }
}

fn command(measurement: &Measurement, lets_in: &mut Vec<String>) -> Command {
    if measurement.argv == measurement.image_command {
        return Command::Image;
    }
    lets_in.push(format!(
        "its own command {} in place of the image's {}",
        shown::list(&measurement.argv),
        shown::list(&measurement.image_command)
    ));
    Command::Exactly(measurement.argv.clone())
}

fn user(measurement: &Measurement, lets_in: &mut Vec<String>) -> Owner {
    let owner = measurement.user.owner;
    lets_in.push(format!("user {owner}, and no other"));
    owner
}

/// Where it could gain none, its rule asks for that: it lets in less.
fn no_new_privileges(measurement: &Measurement, lets_in: &mut Vec<String>) -> bool {
    if measurement.no_new_privileges {
        lets_in.push("no container that may gain privileges by set-uid programs".to_owned());
    }
    measurement.no_new_privileges
}

fn groups(measurement: &Measurement, lets_in: &mut Vec<String>) -> BTreeSet<u32> {
    let found = &measurement.foreign_groups;
    lets_in.extend(found.iter().map(|group| format!("group {group}")));
    found.clone()
}

fn directory(measurement: &Measurement, lets_in: &mut Vec<String>) -> Option<String> {
    if place::same(&measurement.cwd, &measurement.image_cwd) {
        return None;
    }
    lets_in.push(format!("the directory {}", shown::text(&measurement.cwd)));
    Some(measurement.cwd.clone())
}

fn network(measurement: &Measurement, lets_in: &mut Vec<String>) -> NetworkRule {
    match measurement.namespaces.network {
        Namespace::Own => NetworkRule::Own,
        Namespace::Host => {
            lets_in.push("the host's network".to_owned());
            NetworkRule::Host
        }
        Namespace::Foreign => {
            lets_in.push("any other container's network".to_owned());
            NetworkRule::Any
        }
    }
}

fn mounts(measurement: &Measurement, lets_in: &mut Vec<String>) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for mount in &measurement.mounts {
        let outside = matches!(mount.kind, MountKind::Outside(_));
        let (true, Some(at)) = (
            outside || measurement.is_hidden_by(mount),
            place::plain(&mount.destination),
        ) else {
            continue;
        };
        let what = match &mount.kind {
            MountKind::Outside(source) => format!("what is mounted from outside ({})", shown::text(source)),
            MountKind::Volume(volume) => format!("volume {volume}, over the image's own files"),
            MountKind::Kernel(kind) => format!("a {}, over the image's own files", shown::text(kind)),
            MountKind::Engine => "the engine's own".to_owned(),
        };
        lets_in.push(format!("{what}, at {}", shown::text(at)));
        named.insert(mount.destination.clone());
    }
    named
}

fn names(measurement: &Measurement, lets_in: &mut Vec<String>) -> BTreeSet<String> {
    let found = measurement.foreign_env.iter();
    found
        .filter(|name| environment::is_name(name) && !environment::leads_to_code(name))
        .inspect(|name| {
            lets_in.push(format!(
                "{} in the environment, with any value",
                shown::text(name)
            ))
        })
        .cloned()
        .collect()
}

fn changed(measurement: &Measurement, lets_in: &mut Vec<String>) -> BTreeSet<String> {
    let mut places = measurement.root.places.clone();
    if measurement.root.more {
        places = ["/".to_owned()].into();
    }
    places.retain(|at| place::plain(at) == Some(at.as_str()));
    for at in &places {
        lets_in.push(format!(
            "any change of its root filesystem at {}",
            shown::text(at)
        ));
    }
    places
}

fn checked(
    measurement: &Measurement,
    healthcheck: Option<&[String]>,
    lets_in: &mut Vec<String>,
) -> Option<Vec<String>> {
    let given = healthcheck.filter(|argv| measurement.healthcheck.as_deref() != Some(*argv))?;
    lets_in.push(format!("the healthcheck {}", shown::list(given)));
    Some(given.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::measurement;
    use cofferdam_model::Privilege;

    fn name() -> AppName {
        "payments.postgres".parse().unwrap()
    }

    #[test]
    fn an_ordinary_container_makes_the_strictest_rule() {
        let learned = learn(&name(), &measurement(), None);
        assert!(learned.cannot.is_empty(), "{:?}", learned.cannot);
        assert_eq!(learned.lets_in, ["user 999:999, and no other"]);
        assert_eq!(learned.rule.command, Command::Image);
        assert!(learned.rule.mounts.is_empty() && learned.rule.allow.is_empty());
    }

    #[test]
    fn whatever_is_learned_proves_the_container_that_it_was_learned_from() {
        let mut found = measurement();
        found.argv = vec!["postgres".into(), "-c".into(), "fsync=on".into()];
        found.cwd = "/srv".into();
        found.namespaces.network = Namespace::Foreign;
        found.foreign_env = ["POSTGRES_DB".to_owned()].into();
        found.foreign_groups = [44].into();
        found.root.add("/etc/nginx/conf.d/default.conf");
        found.privileges.insert("cap:NET_ADMIN".parse().unwrap());
        if let Some(mount) = found.mounts.get_mut(2) {
            mount.kind = MountKind::Outside("/srv/conf".into());
            mount.destination = "/etc/postgres.conf".into();
        }
        let learned = learn(&name(), &found, None);
        assert!(learned.cannot.is_empty(), "{:?}", learned.cannot);
        assert!(rule::mismatches(&learned.rule, &name(), &found).is_empty());
        assert_eq!(learned.lets_in.len(), 9, "{:?}", learned.lets_in);
        // And no other.
        assert!(!rule::mismatches(&learned.rule, &name(), &measurement()).is_empty());
    }

    #[test]
    fn a_healthcheck_is_learned_where_it_is_not_the_images_own() {
        let found = measurement();
        let own = learn(&name(), &found, found.healthcheck.as_deref());
        assert_eq!(own.rule.healthcheck, None);
        let given = ["redis-cli".to_owned(), "ping".to_owned()];
        let learned = learn(&name(), &found, Some(&given));
        assert_eq!(learned.rule.healthcheck.as_deref(), Some(&given[..]));
        assert!(learned.lets_in.iter().any(|one| one.contains("redis-cli")));
    }

    #[test]
    fn what_no_rule_can_let_in_is_said_and_not_learned() {
        let mut found = measurement();
        found.foreign_env = ["LD_PRELOAD".to_owned(), "od d".to_owned()].into();
        found.privileges.insert(Privilege::BlockDevice("/dev/sda".into()));
        let learned = learn(&name(), &found, None);
        assert_eq!(learned.cannot.len(), 3, "{:?}", learned.cannot);
        assert!(learned.rule.env.is_empty() && learned.rule.allow.is_empty());
    }
}
