//! Sizes in bytes, written as people write them: `512M`, `10G`.

use crate::{Problem, Result};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Binary units, largest first: letter and bytes.
const UNITS: [(char, u64); 5] = [
    ('P', 1 << 50),
    ('T', 1 << 40),
    ('G', 1 << 30),
    ('M', 1 << 20),
    ('K', 1 << 10),
];

/// A number of bytes. Units are binary: `1K` is 1024 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ByteSize(u64);

impl ByteSize {
    /// A size of `bytes` bytes.
    pub const fn bytes(bytes: u64) -> Self {
        ByteSize(bytes)
    }

    /// The number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            let shown: String = text.chars().take(40).collect();
            Problem::invalid(format!("{shown:?} is not a size"))
                .remedy("write a whole number and K, M, G, T or P, such as 10G")
        };
        let plain = text
            .strip_suffix("iB")
            .or_else(|| text.strip_suffix('B'))
            .unwrap_or(text);
        let (digits, factor) = match plain.chars().last() {
            Some(last) if last.is_ascii_alphabetic() => {
                let unit = UNITS
                    .iter()
                    .find(|(letter, _)| *letter == last.to_ascii_uppercase())
                    .ok_or_else(wrong)?;
                (plain.get(..plain.len() - 1).ok_or_else(wrong)?, unit.1)
            }
            _ => (plain, 1),
        };
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        let count: u64 = digits.parse().map_err(|_| wrong())?;
        count.checked_mul(factor).map(ByteSize).ok_or_else(wrong)
    }
}

impl fmt::Display for ByteSize {
    /// The largest unit that divides the size evenly, so that the text parses back to the same number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS
            .iter()
            .find(|(_, bytes)| self.0 >= *bytes && self.0.is_multiple_of(*bytes))
        {
            Some((letter, bytes)) => write!(f, "{}{letter}", self.0 / bytes),
            None => write!(f, "{}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_binary() {
        assert_eq!("10G".parse::<ByteSize>().unwrap().get(), 10 << 30);
        assert_eq!("512MiB".parse::<ByteSize>().unwrap().get(), 512 << 20);
        assert_eq!("7".parse::<ByteSize>().unwrap().get(), 7);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "G",
            "-1",
            "1.5G",
            "1X",
            "99999999P",
            "1 G",
            "+1",
            "0x10",
            "1GG",
            "٣G",
        ] {
            assert!(text.parse::<ByteSize>().is_err(), "{text:?} was taken for a size");
        }
    }

    proptest! {
        #[test]
        fn text_parses_back(bytes: u64) {
            let size = ByteSize::bytes(bytes);
            prop_assert_eq!(size.to_string().parse::<ByteSize>().unwrap(), size);
        }
    }
}
