//! The commands that would allow what was refused, worked out from the measurement.
//!
//! Pure: a decision in, commands out. It proposes; the daemon decides again, by its own rules.

use crate::visible::visible;
use cofferdam_model::{
    AppName, ErrorKind, Grant, Measurement, MountKind, Namespace, TenantName, VolumeName,
    api::{Decision, VolumeDecision},
    place,
};

/// The next step where no command line can say what the container is.
const UNTYPABLE: &str =
    "what it runs holds characters that cannot be typed; start it with arguments that can, and ask again";

/// What would change a refusal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// It was allowed, or nothing is known that would help.
    None,
    /// What the daemon said to do.
    Told(String),
    /// Nothing that an operator may grant.
    Never(String),
    /// These commands, in order.
    Commands(Vec<String>),
}

/// What would change the decision. `grants` are those that the volumes asked for have now.
pub(crate) fn of(decision: &Decision, grants: &[Grant]) -> Remedy {
    let Some(problem) = &decision.refused else {
        return Remedy::None;
    };
    let told = || match &problem.remedy {
        Some(step) if !step.contains("cofferdam why") => Remedy::Told(step.clone()),
        _ => Remedy::None,
    };
    if problem.kind != ErrorKind::Denied {
        return told();
    }
    match decision.verb.as_str() {
        "open" => opening(decision, grants).unwrap_or_else(told),
        "exec" => adding(decision, grants).unwrap_or_else(told),
        "checkpoint" => {
            Remedy::Never("a container that holds a volume cannot be written to a memory image".to_owned())
        }
        _ => told(),
    }
}

fn opening(decision: &Decision, grants: &[Grant]) -> Option<Remedy> {
    let found = decision.measurement.as_ref()?;
    if let Some(reason) = beyond_any_rule(found) {
        return Some(Remedy::Never(reason));
    }
    let mut commands: Vec<String> = Vec::new();
    for asked in decision.volumes.iter().filter(|asked| !asked.allowed) {
        let Some(proposed) = commands_for(asked, found, grants) else {
            return Some(Remedy::Told(UNTYPABLE.to_owned()));
        };
        for command in proposed {
            if !commands.contains(&command) {
                commands.push(command);
            }
        }
    }
    (!commands.is_empty()).then_some(Remedy::Commands(commands))
}

/// Whether it works elsewhere than its image says.
fn moved(found: &Measurement) -> bool {
    !place::same(&found.cwd, &found.image_cwd)
}

/// What no rule can name, or the guard rails forbid whatever the grants say.
fn beyond_any_rule(found: &Measurement) -> Option<String> {
    if let Some(privilege) = found.privileges.iter().find(|privilege| privilege.reaches_out()) {
        return Some(format!(
            "{privilege} reaches past the container's walls; start it without"
        ));
    }
    let places = found.mounts.iter().map(|mount| mount.destination.as_str());
    let places = places.chain(moved(found).then_some(found.cwd.as_str()));
    if let Some(odd) = places.into_iter().find(|place| place::plain(place).is_none()) {
        return Some(format!(
            "{} is not a plain place; start it with a path from / that has no //, . or .. in it",
            format_args!("{odd:?}")
        ));
    }
    let joined = [("pid", found.namespaces.pid), ("mount", found.namespaces.mount)];
    let (name, namespace) = joined
        .into_iter()
        .find(|(_, namespace)| *namespace != Namespace::Own)?;
    Some(format!(
        "its {name} namespace is {}; start it with one of its own",
        namespace.word()
    ))
}

fn commands_for(asked: &VolumeDecision, found: &Measurement, grants: &[Grant]) -> Option<Vec<String>> {
    let volume = &asked.volume;
    let reads_only = found
        .mounts
        .iter()
        .filter(|mount| mount.kind == MountKind::Volume(volume.clone()))
        .all(|mount| mount.read_only);
    if let Some(app) = &asked.app {
        let mut wanted = Grant {
            volume: volume.clone(),
            app: app.clone(),
            write: !reads_only,
            exec: false,
            until: None,
        };
        if let Some(before) = given(grants, volume, app) {
            wanted.write = before.write;
            wanted.exec = before.exec;
        }
        return Some(vec![grant(&wanted)]);
    }
    let tenant = volume.tenant();
    let option = if reads_only { " --read-only" } else { "" };
    Some(vec![
        new_app(tenant, found)?,
        format!("cofferdam grant {volume} {tenant}.NAME{option}"),
    ])
}

/// The command that makes an app of this container, unless it cannot be typed.
fn new_app(tenant: &TenantName, found: &Measurement) -> Option<String> {
    let mut words = vec![format!(
        "cofferdam app create {tenant}.NAME --image {}",
        found.image.config
    )];
    match found.namespaces.network {
        Namespace::Own => {}
        Namespace::Host => words.push("--network host".to_owned()),
        Namespace::Foreign => words.push("--network any".to_owned()),
    }
    if moved(found) {
        words.push(format!("--workdir {}", quoted(&found.cwd)?));
    }
    for mount in &found.mounts {
        if matches!(mount.kind, MountKind::Outside(_)) || found.is_hidden_by(mount) {
            words.push(format!("--allow-mount {}", quoted(&mount.destination)?));
        }
    }
    for privilege in &found.privileges {
        words.push(format!("--allow {}", quoted(&privilege.to_string())?));
    }
    if found.argv != found.image_command {
        words.push("--".to_owned());
        for argument in &found.argv {
            words.push(quoted(argument)?);
        }
    }
    Some(words.join(" "))
}

/// A word as a POSIX shell reads it back; none where it holds characters that cannot be shown as they are.
fn quoted(word: &str) -> Option<String> {
    if visible(word) != word {
        return None;
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-./:=,+@%".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return Some(word.to_owned());
    }
    Some(format!("'{}'", word.replace('\'', "'\\''")))
}

/// What the operator gave already, and `exec` with it: a proposal must not widen anything else.
fn adding(decision: &Decision, grants: &[Grant]) -> Option<Remedy> {
    let commands: Vec<String> = decision
        .volumes
        .iter()
        .filter(|asked| !asked.allowed)
        .filter_map(|asked| given(grants, &asked.volume, asked.app.as_ref()?))
        .map(|before| {
            grant(&Grant {
                exec: true,
                ..before.clone()
            })
        })
        .collect();
    (!commands.is_empty()).then_some(Remedy::Commands(commands))
}

fn given<'a>(grants: &'a [Grant], volume: &VolumeName, app: &AppName) -> Option<&'a Grant> {
    grants
        .iter()
        .find(|grant| grant.volume == *volume && grant.app == *app)
}

/// The command that gives this.
fn grant(wanted: &Grant) -> String {
    let read_only = if wanted.write { "" } else { " --read-only" };
    let exec = if wanted.exec { " --exec" } else { "" };
    let until = wanted
        .until
        .map_or_else(String::new, |until| format!(" --until {until}"));
    format!(
        "cofferdam grant {} {}{read_only}{exec}{until}",
        wanted.volume, wanted.app
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_the_shell() {
        assert_eq!(quoted("/usr/bin/a").unwrap(), "/usr/bin/a");
        assert_eq!(quoted("").unwrap(), "''");
        assert_eq!(quoted("it's; rm -rf $HOME").unwrap(), r"'it'\''s; rm -rf $HOME'");
    }

    #[test]
    fn what_cannot_be_shown_is_not_proposed() {
        assert_eq!(quoted("a\u{1b}[2J"), None);
        assert_eq!(quoted("\u{202e}hs"), None);
    }
}
