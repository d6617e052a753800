//! Small identifiers: containers, owners, epochs, decisions.

use crate::{Problem, Result};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A container's id as its engine names it. The characters are those that runc allows
/// (letters, digits, `_`, `+`, `-`, `.`), at most 128 of them, and never `.` or `..`: safe as one path
/// component.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerId(String);

impl ContainerId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first twelve characters, as engines print it.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl FromStr for ContainerId {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'-' | b'.');
        if text.is_empty() || text.len() > 128 || text == "." || text == ".." || !text.bytes().all(fits) {
            let shown: String = text.chars().take(80).collect();
            return Err(Problem::invalid(format!("{shown:?} is not a container id"))
                .remedy("use 1 to 128 letters, digits, _, +, - and ."));
        }
        Ok(ContainerId(text.to_owned()))
    }
}

impl TryFrom<String> for ContainerId {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<ContainerId> for String {
    fn from(id: ContainerId) -> String {
        id.0
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A user id and a group id, as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.uid, self.gid)
    }
}

/// Counts the openings of one volume. A holder of an older epoch is fenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Epoch(self.0.saturating_add(1))
    }
}

/// Names one decision, for `cofferdam why`: a serial number, shown as at least four hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DecisionId(pub u64);

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}", self.0)
    }
}

impl FromStr for DecisionId {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self> {
        let digits_only = text.bytes().all(|b| b.is_ascii_hexdigit());
        let wrong =
            || Problem::invalid("not a decision's id").remedy("take the id from the error, such as 7f3a");
        if text.is_empty() || !digits_only {
            return Err(wrong());
        }
        u64::from_str_radix(text, 16).map(DecisionId).map_err(|_| wrong())
    }
}

impl TryFrom<String> for DecisionId {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<DecisionId> for String {
    fn from(id: DecisionId) -> String {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_ids_are_one_path_component() {
        assert!("3f2a".parse::<ContainerId>().is_ok());
        for text in ["", ".", "..", "a/b", "a\0b", "a b", &"x".repeat(129)] {
            assert!(
                text.parse::<ContainerId>().is_err(),
                "{text:?} was taken for a container id"
            );
        }
    }

    #[test]
    fn decisions_read_as_hex() {
        assert_eq!(DecisionId(0x7f3a).to_string(), "7f3a");
        assert_eq!("0003".parse::<DecisionId>().unwrap(), DecisionId(3));
        assert!("xyz".parse::<DecisionId>().is_err());
    }
}
