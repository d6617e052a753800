//! Rules and grants as the commands that make them, such that a shell reads back exactly what is meant.

use crate::relaxation::word;
use cofferdam_model::{AppName, Command, Grant, LaunchRule, NetworkRule, UserRule};

/// The longest command that is proposed, in bytes.
const LONGEST: usize = 8192;

/// The command that makes an app with this rule; none where something in it cannot be typed, or it would be too long for anybody to
/// read.
pub(crate) fn app(name: &AppName, rule: &LaunchRule, replace: bool) -> Option<String> {
    let mut words = vec!["cofferdam app create".to_owned(), name.to_string()];
    words.extend(replace.then(|| "--replace".to_owned()));
    words.push(format!("--image {}", rule.image));
    if let UserRule::Exactly(owner) = rule.user {
        words.push(format!("--user {owner}"));
    }
    for group in &rule.groups {
        words.push(format!("--allow-group {group}"));
    }
    if let Some(directory) = &rule.cwd {
        words.push(format!("--workdir {}", quoted(directory)?));
    }
    if rule.network != NetworkRule::Own {
        words.push(format!("--network {}", word(rule.network)));
    }
    for place in &rule.mounts {
        words.push(format!("--allow-mount {}", quoted(place)?));
    }
    for name in &rule.env {
        words.push(format!("--allow-env {}", quoted(name)?));
    }
    for place in &rule.changed {
        words.push(format!("--allow-changed {}", quoted(place)?));
    }
    for privilege in &rule.allow {
        words.push(format!("--allow {}", quoted(&privilege.to_string())?));
    }
    if let Some(argv) = &rule.healthcheck {
        let list = serde_json::to_string(argv).ok()?;
        words.push(format!("--allow-healthcheck {}", quoted(&list)?));
    }
    words.extend(
        rule.no_new_privileges
            .then(|| "--require-no-new-privileges".to_owned()),
    );
    words.extend(rule.ticket.then(|| "--require-ticket".to_owned()));
    if let Command::Exactly(argv) = &rule.command {
        words.push("--".to_owned());
        for argument in argv {
            words.push(quoted(argument)?);
        }
    }
    let line = words.join(" ");
    (line.len() <= LONGEST).then_some(line)
}

/// The command that makes this grant. A grant replaces the one before it, so every part of it is named.
pub(crate) fn grant(grant: &Grant) -> String {
    let mut command = format!("cofferdam grant {} {}", grant.volume, grant.app);
    if !grant.write {
        command.push_str(" --read-only");
    }
    if grant.exec {
        command.push_str(" --exec");
    }
    if let Some(until) = grant.until {
        command.push_str(&format!(" --until {until}"));
    }
    command
}

/// A word as a POSIX shell reads it back; none where it holds a character that could be misread on a terminal.
pub(crate) fn quoted(word: &str) -> Option<String> {
    if !word.chars().all(is_typed) {
        return None;
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-./:=,+@%".contains(&b);
    if !word.is_empty() && word.bytes().all(plain) {
        return Some(word.to_owned());
    }
    Some(format!("'{}'", word.replace('\'', "'\\''")))
}

/// Printable ASCII, and letters and digits of other scripts, but for those of them that show nothing.
fn is_typed(character: char) -> bool {
    let shows_nothing = matches!(
        character,
        '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}' | '\u{ffa0}'
    );
    matches!(character, ' '..='~') || (character.is_alphanumeric() && !shows_nothing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::app as fixture;
    use std::process::Command as Program;

    #[test]
    fn words_are_quoted_for_the_shell() {
        assert_eq!(quoted("/usr/bin/a").unwrap(), "/usr/bin/a");
        assert_eq!(quoted("").unwrap(), "''");
        assert_eq!(quoted("it's; rm -rf $HOME").unwrap(), r"'it'\''s; rm -rf $HOME'");
        assert_eq!(quoted("größe").unwrap(), "'größe'");
    }

    #[test]
    fn what_cannot_be_shown_is_not_proposed() {
        for hidden in ["a\u{1b}[2J", "\u{202e}hs", "a\nb", "a\u{200b}b", "\u{3164}"] {
            assert_eq!(quoted(hidden), None, "{hidden:?}");
        }
    }

    #[test]
    fn a_shell_reads_back_every_word() {
        let mut app = fixture("payments.cat", 1);
        let rule = &mut app.rule;
        rule.command = Command::Exactly(
            ["sh", "-c", "cat '/data/a b'; echo $HOME `id` \"$1\" \\ !", ""]
                .map(str::to_owned)
                .into(),
        );
        rule.mounts = ["/usr/lib/my files".to_owned()].into();
        rule.env = ["A".to_owned(), "B".to_owned()].into();
        rule.allow = ["cap:NET_ADMIN".parse().unwrap()].into();
        rule.cwd = Some("/srv/it's".to_owned());
        rule.network = NetworkRule::Host;
        rule.ticket = true;
        rule.no_new_privileges = true;
        rule.groups = [44].into();
        rule.healthcheck = Some(vec!["redis-cli".to_owned(), "ping it".to_owned()]);
        let line = super::app(&app.name, &app.rule, true).unwrap();
        let script = format!("cofferdam() {{ printf '%s\\n' \"$@\"; }}\n{line}");
        let words = Program::new("sh").arg("-c").arg(script).output().unwrap();
        let words = String::from_utf8(words.stdout).unwrap();
        let image = app.rule.image.to_string();
        let expected = [
            "app",
            "create",
            "payments.cat",
            "--replace",
            "--image",
            &image,
            "--allow-group",
            "44",
            "--workdir",
            "/srv/it's",
            "--network",
            "host",
            "--allow-mount",
            "/usr/lib/my files",
            "--allow-env",
            "A",
            "--allow-env",
            "B",
            "--allow",
            "cap:NET_ADMIN",
            "--allow-healthcheck",
            r#"["redis-cli","ping it"]"#,
            "--require-no-new-privileges",
            "--require-ticket",
            "--",
            "sh",
            "-c",
            "cat '/data/a b'; echo $HOME `id` \"$1\" \\ !",
            "",
        ];
        assert_eq!(words.lines().collect::<Vec<_>>(), expected);
    }
}
