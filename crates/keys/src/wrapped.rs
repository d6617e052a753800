//! A wrapped key as text: an armored age file, in one form only, checked before anything is done with it.
//!
//! | part of the file | bytes | what |
//! |---|---|---|
//! | first line | 22 | `age-encryption.org/v1` |
//! | for each copy of the file key, a stanza | any | `-> TYPE ARGUMENT…`, then lines of base64 |
//! | last line of the header | 48 | `--- ` and the header's HMAC under the file key |
//! | payload | 64 | see payload.rs |
//!
//! | type of stanza | for |
//! |---|---|
//! | `X25519`, `p256tag`, `mlkem768p256tag` | recipients of age's own |
//! | `cofferdam-SCHEME` | a provider's recipient |
//! | what a plugin chose | the plugin's recipient |
//! | `…-grease` | nobody: age adds one, so that programs go on passing over what they do not know |
//!
//! The text is the file in base64, 64 columns wide, between the two marker lines; every byte of it is checked, so one
//! file has one text.
//!
//! An attacker may have made the file. So its length, its lines and its stanzas are bounded, and a passphrase's stanza,
//! which would ask for a gigabyte of memory and seconds of work, is refused unseen. None of this takes a key.

use crate::payload::PAYLOAD;
use age::armor::{ArmoredReader, ArmoredWriter, Format};
use cofferdam_linux::file::read_limited;
use cofferdam_model::{Problem, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

/// The longest text, in bytes.
pub const WRAPPED_MAX: usize = 64 * 1024;

/// The most stanzas.
pub const STANZAS_MAX: usize = 64;

/// The most lines of the header: parsing takes time that grows with their square.
const LINES_MAX: usize = 1024;

const VERSION: &[u8] = b"age-encryption.org/v1";

/// A volume's key, wrapped: nobody learns anything from it but its recipients.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WrappedKey {
    text: String,
    file: Vec<u8>,
}

impl WrappedKey {
    /// Its text: lines of ASCII, the last one ended, too.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The age file without its armor.
    pub(crate) fn file(&self) -> &[u8] {
        &self.file
    }

    /// The wrapped key of a file that has been made.
    pub(crate) fn of_file(file: Vec<u8>) -> Result<Self> {
        let text = armored(&file).map_err(|error| Problem::internal(format!("armoring a key: {error}")))?;
        if text.len() > WRAPPED_MAX {
            return Err(
                Problem::invalid(format!("a wrapped key would be longer than {WRAPPED_MAX} bytes"))
                    .remedy("give fewer recipients"),
            );
        }
        examine(&file)?;
        Ok(WrappedKey { text, file })
    }
}

impl FromStr for WrappedKey {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self> {
        if text.len() > WRAPPED_MAX {
            return Err(corrupt(format!("it is longer than {WRAPPED_MAX} bytes")));
        }
        let file = read_limited(ArmoredReader::new(text.as_bytes()), WRAPPED_MAX)
            .map_err(|_| corrupt("it is no armored age file"))?;
        if armored(&file).ok().as_deref() != Some(text) {
            return Err(corrupt("its armor is not in the one form"));
        }
        examine(&file)?;
        let text = text.to_owned();
        Ok(WrappedKey { text, file })
    }
}

impl TryFrom<String> for WrappedKey {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<WrappedKey> for String {
    fn from(key: WrappedKey) -> String {
        key.text
    }
}

impl fmt::Display for WrappedKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl fmt::Debug for WrappedKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "WrappedKey({} bytes)", self.text.len())
    }
}

fn armored(file: &[u8]) -> io::Result<String> {
    let mut writer = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
    writer.write_all(file)?;
    String::from_utf8(writer.finish()?).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Looks at the lines of the header, and at how much comes after it.
fn examine(file: &[u8]) -> Result<()> {
    let mut rest = file;
    let mut line = || {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let (line, more) = rest.split_at_checked(end)?;
        rest = more.get(1..)?;
        Some(line)
    };
    if line() != Some(VERSION) {
        return Err(corrupt("it is no age file of version 1"));
    }
    let mut stanzas = 0;
    for _ in 0..LINES_MAX {
        let line = line().ok_or_else(|| corrupt("its header has no end"))?;
        if line.starts_with(b"---") {
            return match rest.len() {
                PAYLOAD => Ok(()),
                _ => Err(corrupt("what it holds is no key of 256 bits")),
            };
        }
        let Some(stanza) = line.strip_prefix(b"-> ") else {
            continue;
        };
        if stanza.split(|byte| *byte == b' ').next() == Some(b"scrypt") {
            return Err(corrupt("it is encrypted with a passphrase"));
        }
        stanzas += 1;
        if stanzas > STANZAS_MAX {
            return Err(corrupt(format!("it has more than {STANZAS_MAX} recipients")));
        }
    }
    Err(corrupt(format!("its header has more than {LINES_MAX} lines")))
}

/// A wrapped key that is not what Cofferdam wrote.
pub(crate) fn corrupt(why: impl fmt::Display) -> Problem {
    Problem::corrupt(format!("the wrapped key is not what was written: {why}"))
        .remedy("restore the volume's deed from a copy")
}

#[cfg(test)]
mod tests;
