//! JSON that every reader reads the same way.
//!
//! runc and engines read JSON with Go's decoder, which takes keys in any case and the last of several; serde takes exact
//! keys. A document on which the two could differ is refused: one where a key appears twice, also in another case, and one
//! with a key that differs from one of ours by its case alone.

use cofferdam_model::{Problem, Result};
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::collections::HashSet;
use std::fmt;

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

/// Parses `bytes`, of which the object keys in `ours` matter.
///
/// # Errors
/// `invalid`, with the place.
pub(crate) fn parse<T: DeserializeOwned>(what: &str, bytes: &[u8], ours: &[&str]) -> Result<T> {
    let wrong = |error: serde_json::Error| Problem::invalid(format!("{what} cannot be read: {error}"));
    let mut checked = serde_json::Deserializer::from_slice(bytes);
    Check {
        ours,
        depth: 0,
        is_map: false,
    }
    .deserialize(&mut checked)
    .map_err(wrong)?;
    checked.end().map_err(wrong)?;
    serde_json::from_slice(bytes).map_err(wrong)
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
        parse("it", text.as_bytes(), &["process", "args", "source"])
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
    fn depth_is_bounded() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(check(&nested(60)).is_ok());
        assert!(check(&nested(70)).is_err());
        assert!(check(&nested(100_000)).is_err());
    }
}
