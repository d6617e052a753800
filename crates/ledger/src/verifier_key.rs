//! The key that verifies a ledger's checkpoints, as text that witnesses take (C2SP signed-note, "verifier key"):
//!
//! | part | what it is |
//! |---|---|
//! | name | the ledger's origin |
//! | `+` | |
//! | key id | 8 lower-case hexadecimal digits: the first 4 bytes of SHA-256 of name, `0x0a`, `0x01` and the 32 bytes of the key |
//! | `+` | |
//! | key | base64 of `0x01` (Ed25519) and the 32 bytes of the key |

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cofferdam_model::{Problem, Result};
use cofferdam_vault::VerifyingKey;
use serde::{Deserialize, Serialize};
use sha2::Digest;
use std::fmt;
use std::str::FromStr;

/// The longest origin, in bytes.
const ORIGIN_MAX: usize = 255;

/// The signature type that stands for Ed25519.
const ED25519: u8 = 0x01;

/// The name of one ledger in all the world, such as `example.com/cofferdam/host-7`: 1 to 255 bytes without spaces,
/// control characters and `+`. It is the first line of each checkpoint and the name of the key that signs it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Origin(String);

impl Origin {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self> {
        let foreign = |c: char| c.is_whitespace() || c.is_control() || c == '+';
        if text.is_empty() || text.len() > ORIGIN_MAX || text.contains(foreign) {
            let shown: String = text.chars().take(80).collect();
            return Err(Problem::invalid(format!("{shown:?} is no name for a ledger"))
                .remedy("write something like example.com/cofferdam/host-7: no spaces, no +"));
        }
        Ok(Origin(text.to_owned()))
    }
}

impl TryFrom<String> for Origin {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> String {
        origin.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose signature makes a checkpoint: the ledger's name and its public key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VerifierKey {
    origin: Origin,
    key: VerifyingKey,
}

impl VerifierKey {
    /// The key of the ledger `origin`.
    #[must_use]
    pub fn new(origin: Origin, key: VerifyingKey) -> Self {
        VerifierKey { origin, key }
    }

    /// The ledger's name.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The public key.
    #[must_use]
    pub fn key(&self) -> VerifyingKey {
        self.key
    }

    /// The four bytes by which signatures name the key.
    #[must_use]
    pub fn id(&self) -> [u8; 4] {
        let mut hasher = sha2::Sha256::new();
        hasher.update(self.origin.as_str());
        hasher.update([b'\n', ED25519]);
        hasher.update(self.key.as_bytes());
        let hash: [u8; 32] = hasher.finalize().into();
        let [a, b, c, d, ..] = hash;
        [a, b, c, d]
    }
}

impl FromStr for VerifierKey {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Problem::invalid("not a ledger's verifier key")
                .remedy("take it from the ledger's host: name, + and 8 digits, + and base64, in one line")
        };
        let mut parts = text.splitn(3, '+');
        let (Some(origin), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong());
        };
        let bytes: [u8; 33] = STANDARD
            .decode(key)
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or_else(wrong)?;
        let [ED25519, key @ ..] = bytes else {
            return Err(wrong().context("its key is not of type Ed25519"));
        };
        let parsed = VerifierKey::new(origin.parse()?, VerifyingKey::from_bytes(key));
        // Of one key there is one text: digits in another case, or of another key, are a mistake in copying.
        if hex(parsed.id()) != id {
            return Err(wrong().context("its digits belong to another key"));
        }
        Ok(parsed)
    }
}

impl TryFrom<String> for VerifierKey {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<VerifierKey> for String {
    fn from(key: VerifierKey) -> String {
        key.to_string()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![ED25519];
        bytes.extend(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.origin, hex(self.id()), STANDARD.encode(bytes))
    }
}

fn hex(id: [u8; 4]) -> String {
    format!("{:08x}", u32::from_be_bytes(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published keys: of Go's checksum database, and of the example of golang.org/x/mod/sumdb/note.
    const PUBLISHED: [&str; 2] = [
        "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
        "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ];

    #[test]
    fn published_keys_parse_back() {
        for text in PUBLISHED {
            assert_eq!(text.parse::<VerifierKey>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_changed_key_is_refused() {
        for text in PUBLISHED {
            for at in 0..text.len() {
                let mut bytes = text.as_bytes().to_vec();
                bytes[at] ^= 1;
                let Ok(changed) = String::from_utf8(bytes) else {
                    continue;
                };
                assert!(changed.parse::<VerifierKey>().is_err(), "{changed}");
                assert!(text[..at].parse::<VerifierKey>().is_err(), "{}", &text[..at]);
            }
        }
        let upper = PUBLISHED[1].replacen("c74f20a3", "C74F20A3", 1);
        assert!(upper.parse::<VerifierKey>().is_err());
        // A cosignature key (type 4) of a witness, with digits that are right.
        let witness = "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2";
        assert!(witness.parse::<VerifierKey>().is_err());
    }

    #[test]
    fn other_names_are_refused() {
        let long = "x".repeat(ORIGIN_MAX + 1);
        for text in ["", "a b", "a+b", "a\nb", "a\u{a0}b", "a\u{2028}b", "a\0", &long] {
            assert!(text.parse::<Origin>().is_err(), "{text:?} was taken for a name");
        }
    }
}
