//! Plans: a launch that is measured and decided on like any other, and then does not happen.
//!
//! A container bears the mark of a plan in its environment. The runtime never starts one that does, whatever the mark says.

use crate::{Problem, Result};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The environment variable that marks a container as a plan: it is asked about, and never starts.
pub const PLAN_VARIABLE: &str = "COFFERDAM_PLAN";

/// The label by which `cofferdam plan` finds the container that an engine has made for it.
pub const PLAN_LABEL: &str = "dev.cofferdam.plan";

/// How many digits an id has.
const DIGITS: usize = 32;

/// Names one plan: 128 bits that whoever plans has drawn, as 32 lower-case hexadecimal digits and nothing else. It is what a client
/// of the engine chose, so it names nothing but an answer that is kept in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PlanId(u128);

impl PlanId {
    /// The id of these bits.
    pub fn from_bits(bits: u128) -> Self {
        PlanId(bits)
    }
}

impl fmt::Display for PlanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for PlanId {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Problem::invalid(format!(
                "{PLAN_VARIABLE} is not the id of a plan, and a container that has it never starts"
            ))
            .remedy("leave it out; or let cofferdam plan choose it")
        };
        let fits = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != DIGITS || !text.bytes().all(fits) {
            return Err(wrong());
        }
        u128::from_str_radix(text, 16).map(PlanId).map_err(|_| wrong())
    }
}

impl TryFrom<String> for PlanId {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<PlanId> for String {
    fn from(id: PlanId) -> String {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_form() {
        let id = PlanId::from_bits(0x7f3a);
        assert_eq!(id.to_string(), "00000000000000000000000000007f3a");
        assert_eq!(id.to_string().parse::<PlanId>().unwrap(), id);
        for odd in [
            "",
            "7f3a",
            "00000000000000000000000000007F3A",
            "+0000000000000000000000000007f3a",
            "00000000000000000000000000007f3a0",
            "0000000000000000000000000000 f3a",
            "../../../../../../../../etc/pas/",
            "0000000000000000000000000000\n\u{1b}[2",
        ] {
            assert!(odd.parse::<PlanId>().is_err(), "{odd:?}");
        }
    }
}
