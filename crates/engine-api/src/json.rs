//! JSON, as Go's decoder takes it (`encoding/json`): the first value counts and what follows it does not; keys fit in any case; a
//! key that is not known says nothing; null is as if the key were not there.
//!
//! | of several keys that fit one field | Go takes |
//! |---|---|
//! | a text, a number | the last that is not null |
//! | an object | all of them, laid over each other |
//! | a list | the last, laid over what the others left in the same places |
//!
//! No client writes a key twice, and what Go makes of it differs from one version to the next: so that is refused.

use cofferdam_model::{Problem, Result};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::fmt;

/// The most values in a document; more would only cost memory.
const VALUES_MAX: usize = 100_000;

/// The longest piece of a document in an error, in characters.
const SHOWN_MAX: usize = 60;

/// A value, with every key as often as it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number,
    Text(String),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
}

/// What stands for whatever is not there.
static NULL: Value = Value::Null;

/// The first value in `bytes`.
///
/// # Errors
/// `invalid`, with the place; also for what Go would mend (bytes that are not UTF-8, half of a surrogate pair).
pub(crate) fn first(bytes: &[u8]) -> Result<Value> {
    let left = Cell::new(VALUES_MAX);
    Keeper(&left)
        .deserialize(&mut serde_json::Deserializer::from_slice(bytes))
        .map_err(|error| Problem::invalid(format!("its body cannot be read: {error}")))
}

impl Value {
    /// What Go would put into the field `name` of an object: null where there is no such key.
    ///
    /// # Errors
    /// `invalid` where this is no object, or more than one key fits.
    pub(crate) fn field(&self, name: &str) -> Result<&Value> {
        let keys = match self {
            Value::Null => return Ok(&NULL),
            Value::Object(keys) => keys,
            _ => return Err(Problem::invalid(format!("what should have {name} is no object"))),
        };
        let mut fitting = keys.iter().filter(|(key, _)| fits(key, name));
        match (fitting.next(), fitting.next()) {
            (None, _) => Ok(&NULL),
            (Some((_, value)), None) => Ok(value),
            _ => Err(twice(name)),
        }
    }

    /// The text in a field; empty where there is none.
    ///
    /// # Errors
    /// As [`Self::field`]; `invalid` where it is something else.
    pub(crate) fn text(&self, name: &str) -> Result<&str> {
        self.field(name)?
            .as_text()
            .ok_or_else(|| other_than(name, "a text"))
    }

    /// Whether a field is true; it is not where it is not there.
    ///
    /// # Errors
    /// As [`Self::field`]; `invalid` where it is something else.
    pub(crate) fn flag(&self, name: &str) -> Result<bool> {
        match self.field(name)? {
            Value::Null => Ok(false),
            Value::Bool(flag) => Ok(*flag),
            _ => Err(other_than(name, "true or false")),
        }
    }

    /// The list in a field; empty where there is none.
    ///
    /// # Errors
    /// As [`Self::field`]; `invalid` where it is something else.
    pub(crate) fn list(&self, name: &str) -> Result<&[Value]> {
        match self.field(name)? {
            Value::Null => Ok(&[]),
            Value::List(list) => Ok(list),
            _ => Err(other_than(name, "a list")),
        }
    }

    /// The text under a key of an object whose keys are data, not names: there, case makes a difference. Empty where there is none.
    ///
    /// # Errors
    /// `invalid` where it is something else, this is no object, or the key is there twice.
    pub(crate) fn entry(&self, key: &str) -> Result<&str> {
        let keys = match self {
            Value::Null => return Ok(""),
            Value::Object(keys) => keys,
            _ => return Err(other_than(key, "in an object")),
        };
        let mut same = keys.iter().filter(|(other, _)| other == key);
        match (same.next(), same.next()) {
            (None, _) => Ok(""),
            (Some((_, value)), None) => value.as_text().ok_or_else(|| other_than(key, "a text")),
            _ => Err(twice(key)),
        }
    }

    /// Itself, as a text; null is the empty one.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Value::Null => Some(""),
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// A piece of what somebody wrote, for an error.
pub(crate) fn shown(text: &str) -> String {
    let begin: String = text.chars().take(SHOWN_MAX).collect();
    format!("{begin:?}")
}

fn twice(name: &str) -> Problem {
    Problem::invalid(format!(
        "{name} is in its body more than once, and readers differ on which counts"
    ))
    .remedy("write each key once")
}

fn other_than(name: &str, what: &str) -> Problem {
    Problem::invalid(format!("{name} in its body is not {what}"))
}

/// Whether Go takes `key` for the field `name`: by Unicode's simple folding, which adds two letters to ASCII's.
fn fits(key: &str, name: &str) -> bool {
    let mut letters = key.chars().map(|letter| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        letter => letter.to_ascii_lowercase(),
    });
    let mut wanted = name.chars().map(|letter| letter.to_ascii_lowercase());
    letters.by_ref().eq(wanted.by_ref())
}

/// Reads a value, as long as there may be more.
struct Keeper<'a>(&'a Cell<usize>);

impl<'de> DeserializeSeed<'de> for Keeper<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Value, D::Error> {
        let left = self.0.get().checked_sub(1);
        self.0
            .set(left.ok_or_else(|| D::Error::custom(format_args!("more than {VALUES_MAX} values")))?);
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Keeper<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> std::result::Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, _: i64) -> std::result::Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_u64<E>(self, _: u64) -> std::result::Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<Value, E> {
        Ok(Value::Number)
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Keeper(self.0))? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Value, A::Error> {
        let mut keys = Vec::new();
        while let Some(key) = map.next_key::<Key>()? {
            keys.push((key.0, map.next_value_seed(Keeper(self.0))?));
        }
        Ok(Value::Object(keys))
    }
}

/// A key of an object.
struct Key(String);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer).map(Key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        first(text.as_bytes()).unwrap()
    }

    #[test]
    fn keys_fit_in_any_case_also_by_the_letters_that_go_folds() {
        for key in [
            "HostConfig",
            "hostconfig",
            "HOSTCONFIG",
            "Ho\u{17f}tConfig",
            "\\u0048ostConfig",
            "ho\\u017ftconfig",
        ] {
            let found = value(&format!(r#"{{"Image": "x", "{key}": "found"}}"#));
            assert_eq!(found.text("HostConfig").unwrap(), "found", "{key}");
        }
        assert_eq!(value(r#"{"K": "found"}"#).text("k").unwrap(), "found");
        for key in [
            "HostConfig ",
            "Host-Config",
            "HostConf\u{131}g",
            "H\u{f6}stConfig",
            "",
        ] {
            let found = value(&format!(r#"{{"{key}": "found"}}"#));
            assert_eq!(found.text("HostConfig").unwrap(), "", "{key}");
        }
    }

    #[test]
    fn a_key_that_is_there_twice_is_refused_in_any_case_and_any_order() {
        for text in [
            r#"{"Runtime": "a", "Runtime": "b"}"#,
            r#"{"Runtime": "a", "runtime": "b"}"#,
            r#"{"RUNTIME": null, "Runtime": "b"}"#,
            r#"{"Runtime": "b", "x": 1, "\u0052untime": null}"#,
        ] {
            assert!(value(text).text("Runtime").is_err(), "{text}");
        }
        assert!(value(r#"{"type": "a", "type": "b"}"#).entry("type").is_err());
        let twice_elsewhere = value(r#"{"Labels": 1, "labels": 2, "Runtime": "a"}"#);
        assert_eq!(twice_elsewhere.text("Runtime").unwrap(), "a");
    }

    #[test]
    fn the_first_value_counts_and_null_says_nothing() {
        assert_eq!(value("{\"a\": 1} {\"b\"").flag("b"), Ok(false));
        let nulls = value(r#"{"text": null, "list": null, "flag": null, "object": null}"#);
        assert_eq!(nulls.text("text"), Ok(""));
        assert_eq!(nulls.list("list"), Ok(&[][..]));
        assert_eq!(nulls.flag("flag"), Ok(false));
        assert_eq!(nulls.field("object").and_then(|object| object.text("x")), Ok(""));
    }

    #[test]
    fn keys_that_are_data_are_exact() {
        let options = value(r#"{"Type": "a", "device": "b"}"#);
        assert_eq!(options.entry("type"), Ok(""));
        assert_eq!(options.entry("device"), Ok("b"));
    }

    #[test]
    fn what_is_of_another_kind_or_cannot_be_read_is_refused() {
        let kinds = value(r#"{"text": 1, "list": {}, "flag": "true"}"#);
        assert!(kinds.text("text").is_err() && kinds.list("list").is_err() && kinds.flag("flag").is_err());
        assert!(value("[]").field("x").is_err() && value("7").entry("x").is_err());
        let deep = "[".repeat(100_000);
        let many = format!("[{}0]", "0,".repeat(VALUES_MAX));
        for text in ["", " ", "{", "\u{feff}{}", "{\"a\": \"\\ud800\"}", &deep, &many] {
            assert!(
                first(text.as_bytes()).is_err(),
                "{:?}",
                &text[..text.len().min(20)]
            );
        }
        assert!(first(b"{\"a\": \"\xff\"}").is_err());
    }
}
