//! The environment of a container's first process: which of it comes from outside.
//!
//! What is the image's own, name and value, came with the image. Engines add a few names of their own. Everything else somebody has
//! chosen who started the container, and what a program does with it nobody knows: so it counts, by its name alone. A value may be
//! a secret, and goes nowhere.

use cofferdam_model::{PLAN_VARIABLE, TICKET_VARIABLE};
use std::collections::BTreeSet;

/// What engines give a container whose image names no `PATH` (Docker: `DefaultPathEnv`).
const USUAL_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The longest name that is shown.
const NAME_MAX: usize = 128;

/// The names of all entries that are neither the image's own nor the engine's, and of those of the image's that are not there. An entry that is no `NAME=value` counts as the
/// whole that it is.
pub(crate) fn from_outside(env: &[String], image: &[String]) -> BTreeSet<String> {
    let foreign = env.iter().filter(|entry| !is_own(entry, image));
    // What was taken away counts as well: a program does other things without it.
    let gone = image
        .iter()
        .filter(|entry| entry.contains('=') && !env.contains(entry));
    foreign.chain(gone).map(|entry| name_of(entry)).collect()
}

fn is_own(entry: &String, image: &[String]) -> bool {
    if image.contains(entry) {
        return true;
    }
    match entry.split_once('=') {
        Some(("HOSTNAME", value)) => is_host_name(value),
        Some(("TERM", value)) => value == "xterm",
        Some(("PATH", value)) => value == USUAL_PATH && !image.iter().any(|own| own.starts_with("PATH=")),
        // A ticket is checked, and taken away before the container starts; one with a plan's mark never starts.
        Some((name, _)) => name == TICKET_VARIABLE || name == PLAN_VARIABLE,
        None => false,
    }
}

/// Whether it is a name that a host can have, and nothing else (RFC 1123).
fn is_host_name(value: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    value.len() <= 253 && value.bytes().all(fits)
}

fn name_of(entry: &str) -> String {
    let name = entry.split_once('=').map_or(entry, |(name, _)| name);
    name.chars().take(NAME_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foreign(env: &[&str], image: &[&str]) -> Vec<String> {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        from_outside(&texts(env), &texts(image)).into_iter().collect()
    }

    #[test]
    fn the_images_own_and_the_engines_are_not_from_outside() {
        let image = ["PATH=/opt/bin:/bin", "PGDATA=/data"];
        let env = [
            "PATH=/opt/bin:/bin",
            "PGDATA=/data",
            "HOSTNAME=3f2a9c",
            "TERM=xterm",
            "COFFERDAM_TICKET=abc",
        ];
        assert!(foreign(&env, &image).is_empty());
        assert!(foreign(&[&format!("PATH={USUAL_PATH}")], &[]).is_empty());
    }

    #[test]
    fn another_value_is_from_outside_as_another_name_is() {
        let image = ["PATH=/opt/bin:/bin", "PGDATA=/data"];
        assert_eq!(foreign(&["PATH=/evil:/bin", "PGDATA=/data"], &image), ["PATH"]);
        assert_eq!(foreign(&[&format!("PATH={USUAL_PATH}")], &[image[0]]), ["PATH"]);
        assert_eq!(foreign(&[image[0]], &image), ["PGDATA"], "taken away");
        assert_eq!(
            foreign(
                &[image[0], "PGDATA=/data", "PGDATA=/evil", "LD_PRELOAD=/data/x.so"],
                &image
            ),
            ["LD_PRELOAD", "PGDATA"]
        );
        assert_eq!(
            foreign(&["HOSTNAME=$(evil)", "TERM=/evil"], &[]),
            ["HOSTNAME", "TERM"]
        );
        assert_eq!(foreign(&["odd", "=x", ""], &[]), ["", "odd"]);
    }
}
