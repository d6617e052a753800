//! JSON that others wrote.
//!
//! runc and engines read JSON with Go's decoder, which takes keys in any case and the last of several; serde takes exact
//! keys. Where both read a document, one on which they could differ is refused ([`read_strictly`]): one where a key appears
//! twice, also in another case, and one with a key that differs from one of ours by its case alone.
//!
//! What a reader says of a document repeats parts of it, and ends in logs and on terminals: so it is escaped and cut.

use crate::{Problem, Result};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

/// Every key of config.json (OCI runtime-spec) that the runtime or the daemon reads. One that differs by its case alone is refused.
pub const CONFIG_KEYS: [&str; 44] = [
    "process",
    "args",
    "env",
    "cwd",
    "user",
    "uid",
    "gid",
    "additionalGids",
    "capabilities",
    "bounding",
    "effective",
    "permitted",
    "inheritable",
    "ambient",
    "root",
    "path",
    "mounts",
    "destination",
    "type",
    "source",
    "options",
    "uidMappings",
    "gidMappings",
    "containerID",
    "hostID",
    "size",
    "linux",
    "namespaces",
    "devices",
    "resources",
    "allow",
    "major",
    "minor",
    "access",
    "seccomp",
    "defaultAction",
    "listenerPath",
    "maskedPaths",
    "annotations",
    "noNewPrivileges",
    "readonlyPaths",
    "terminal",
    "hooks",
    "vm",
];

/// Deeper documents are refused.
const DEPTH_MAX: usize = 64;

/// Objects whose keys are data, not names: there, case makes a difference to every reader.
const MAPS: [&str; 6] = [
    "annotations",
    "sysctl",
    "unified",
    "Labels",
    "Volumes",
    "ExposedPorts",
];

/// The longest part of a reader's words that is shown, in characters.
const WORDS_MAX: usize = 200;

/// Reads a document that nobody else reads. `what` begins the error.
///
/// # Errors
/// `invalid`, with the place.
pub fn read<T: DeserializeOwned>(what: &str, bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| unreadable(what, &error))
}

/// Reads a document that another program reads as well, and of which the object keys in `ours` matter.
///
/// # Errors
/// `invalid`, with the place.
pub fn read_strictly<T: DeserializeOwned>(what: &str, bytes: &[u8], ours: &[&str]) -> Result<T> {
    let mut checked = serde_json::Deserializer::from_slice(bytes);
    Check {
        ours,
        depth: 0,
        is_map: false,
    }
    .deserialize(&mut checked)
    .and_then(|()| checked.end())
    .map_err(|error| unreadable(what, &error))?;
    read(what, bytes)
}

fn unreadable(what: &str, error: &serde_json::Error) -> Problem {
    Problem::invalid(format!("{what} cannot be read: {}", words(error)))
}

/// What a reader says, so that it can be shown: escaped, and cut where it is long.
pub fn words(error: &serde_json::Error) -> String {
    let said = error.to_string();
    let mut visible = said.chars().flat_map(visible);
    let mut shown: String = visible.by_ref().take(WORDS_MAX).collect();
    if visible.next().is_some() {
        shown.push('…');
    }
    shown
}

/// Everything beyond printable ASCII is escaped: controls, marks that reorder, letters that look like others.
fn visible(character: char) -> impl Iterator<Item = char> {
    let plain = character == ' ' || character.is_ascii_graphic();
    let escaped = (!plain).then(|| character.escape_default());
    plain
        .then_some(character)
        .into_iter()
        .chain(escaped.into_iter().flatten())
}

/// As Go compares keys: by simple case folding.
fn folded(key: &str) -> String {
    if key.is_ascii() {
        return key.to_ascii_lowercase();
    }
    key.chars()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect()
}

/// Reads a value and keeps nothing of it.
struct Check<'a> {
    ours: &'a [&'a str],
    depth: usize,
    is_map: bool,
}

impl Check<'_> {
    fn deeper<E: Error>(&self, is_map: bool) -> std::result::Result<Self, E>
    where
        Self: Sized,
    {
        if self.depth >= DEPTH_MAX {
            return Err(E::custom(format_args!("more than {DEPTH_MAX} levels deep")));
        }
        Ok(Check {
            ours: self.ours,
            depth: self.depth + 1,
            is_map,
        })
    }

    fn key<E: Error>(&self, key: &str, seen: &mut HashSet<String>) -> std::result::Result<(), E> {
        let shown = || key.escape_debug().take(60).collect::<String>();
        if self.is_map {
            return if seen.insert(key.to_owned()) {
                Ok(())
            } else {
                Err(E::custom(format_args!("the key {} appears twice", shown())))
            };
        }
        let folded_key = folded(key);
        if self
            .ours
            .iter()
            .any(|ours| *ours != key && ours.eq_ignore_ascii_case(&folded_key))
        {
            return Err(E::custom(format_args!(
                "the key {} is written in another case than it should be",
                shown()
            )));
        }
        if seen.insert(folded_key) {
            Ok(())
        } else {
            Err(E::custom(format_args!("the key {} appears twice", shown())))
        }
    }
}

impl<'de> DeserializeSeed<'de> for Check<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Check<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> std::result::Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> std::result::Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> std::result::Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> std::result::Result<(), A::Error> {
        while values.next_element_seed(self.deeper(false)?)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> std::result::Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            self.key(&key, &mut seen)?;
            entries.next_value_seed(self.deeper(MAPS.contains(&key.as_str()))?)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn check(text: &str) -> Result<Value> {
        read_strictly("it", text.as_bytes(), &["process", "args", "source"])
    }

    #[test]
    fn what_two_readers_read_differently_is_refused() {
        for text in [
            r#"{"process":1,"process":2}"#,
            r#"{"process":1,"Process":2}"#,
            r#"{"Process":1}"#,
            r#"{"a":{"ARGS":[]}}"#,
            r#"{"mounts":[{"\u017fource":"/x"}]}"#,
            r#"{"x":1,"X":2}"#,
            r#"{"annotations":{"a":1,"a":2}}"#,
            "{} {}",
            "",
        ] {
            assert!(check(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ordinary_documents_pass() {
        for text in [
            r#"{"process":{"args":[]},"annotations":{"a":1,"A":2}}"#,
            "null",
            r#"[1,2.5,-3,true,null,"x",{}]"#,
        ] {
            assert!(check(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_is_said_of_a_document_steers_no_terminal_and_is_short() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Nothing {}
        let hostile = format!("{{\"\u{202e}\\u001b[2J{}\":1}}", "é".repeat(10_000));
        let problem = read::<Nothing>("it", hostile.as_bytes()).unwrap_err();
        assert!(
            problem
                .message
                .starts_with(r"it cannot be read: unknown field `\u{202e}\u{1b}[2J\u{e9}"),
            "{problem}"
        );
        assert!(problem.message.chars().count() < 300 && problem.message.ends_with('…'));
        let whole = read::<Nothing>("it", br#"{"a":1}"#).unwrap_err();
        assert!(whole.message.ends_with("at line 1 column 4"), "{whole}");
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(check(&nested(60)).is_ok());
        assert!(check(&nested(70)).is_err());
        assert!(check(&nested(100_000)).is_err());
    }
}
