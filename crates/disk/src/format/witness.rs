//! What somebody outside the store remembers of it, so that an older copy put in its place is noticed.
//!
//! One line of text: `cofferdam-witness v1 VOLUME EPOCH LSN TAG`, volume and tag in hexadecimal.

use super::head::Mark;
use crate::geometry::{Lsn, TAG};
use std::fmt;

/// The newest record that was seen on stable storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witness {
    /// The volume's id.
    pub volume: [u8; 16],
    /// The epoch of the last opening.
    pub epoch: u64,
    pub(crate) mark: Mark,
}

impl Witness {
    /// The record's number in the log.
    pub fn lsn(&self) -> Lsn {
        self.mark.lsn
    }

    /// Reads what [`fmt::Display`] wrote; none for anything else.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.trim_end_matches('\n').split(' ');
        if (words.next()?, words.next()?) != ("cofferdam-witness", "v1") {
            return None;
        }
        let witness = Witness {
            volume: from_hex(words.next()?)?,
            epoch: words.next()?.parse().ok()?,
            mark: Mark {
                lsn: Lsn(words.next()?.parse().ok()?),
                tag: from_hex::<TAG>(words.next()?)?,
            },
        };
        words.next().is_none().then_some(witness)
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mark { lsn, tag } = self.mark;
        let (volume, tag) = (hex(&self.volume), hex(&tag));
        write!(f, "cofferdam-witness v1 {volume} {} {} {tag}", self.epoch, lsn.0)
    }
}

/// Bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != 2 * N || !text.bytes().all(|c| c.is_ascii_hexdigit()) {
        return None;
    }
    let mut bytes = [0; N];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_is_one_line() {
        let witness = Witness {
            volume: [0xab; 16],
            epoch: 7,
            mark: Mark {
                lsn: Lsn(99),
                tag: [1; TAG],
            },
        };
        let line = witness.to_string();
        assert_eq!(
            line,
            format!(
                "cofferdam-witness v1 {} 7 99 {}",
                "ab".repeat(16),
                "01".repeat(16)
            )
        );
        assert_eq!(Witness::parse(&line), Some(witness));
        for other in [
            line.replace("v1", "v2"),
            line.replace(" 99 ", " -1 "),
            format!("{line} x"),
            line[..40].to_owned(),
        ] {
            assert_eq!(Witness::parse(&other), None, "{other}");
        }
    }
}
