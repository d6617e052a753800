//! A verifying key as text.
//!
//! | form | where | what |
//! |---|---|---|
//! | [`PublicKey`] | JSON | its 32 bytes (RFC 8032, section 5.1.5) in base64 (RFC 4648, section 4), 44 characters |
//! | [`KeyId`] | envelopes, messages | the first 16 lower-case hexadecimal digits of the SHA-256 of its 32 bytes |
//! | [`pem`](crate::pem) | files | PEM |

use crate::envelope::base64_decoded;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use cofferdam_model::{Problem, Result};
use cofferdam_vault::VerifyingKey;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::{fmt, str::FromStr};

/// A verifying key, as JSON and messages have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// The key itself.
    #[must_use]
    pub fn verifying(self) -> VerifyingKey {
        self.0
    }

    /// Its short name.
    #[must_use]
    pub fn id(self) -> KeyId {
        KeyId::of(&self.0)
    }
}

impl From<VerifyingKey> for PublicKey {
    fn from(key: VerifyingKey) -> Self {
        PublicKey(key)
    }
}

impl FromStr for PublicKey {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self> {
        base64_decoded(text)
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .map(|bytes| PublicKey(VerifyingKey::from_bytes(bytes)))
            .ok_or_else(|| {
                Problem::invalid("not a public key: it should be 32 bytes in base64")
                    .remedy("give the 44 characters that Cofferdam shows for the key")
            })
    }
}

impl TryFrom<String> for PublicKey {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> String {
        key.to_string()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0.as_bytes()))
    }
}

/// A key's short name: 64 bits of its SHA-256. It tells keys apart for people and for messages. It proves nothing:
/// whoever wants to can make two keys with the same one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct KeyId(u64);

impl KeyId {
    /// The id of a key.
    #[must_use]
    pub fn of(key: &VerifyingKey) -> Self {
        let mut first = [0; 8];
        for (to, from) in first.iter_mut().zip(Sha256::digest(key.as_bytes())) {
            *to = from;
        }
        KeyId(u64::from_be_bytes(first))
    }
}

impl FromStr for KeyId {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self> {
        let digits = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        match u64::from_str_radix(text, 16) {
            Ok(id) if digits && text.len() == 16 => Ok(KeyId(id)),
            _ => Err(Problem::invalid("not a key id").remedy("write its 16 digits of 0-9 and a-f")),
        }
    }
}

impl TryFrom<String> for KeyId {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<KeyId> for String {
    fn from(id: KeyId) -> String {
        id.to_string()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> PublicKey {
        VerifyingKey::from_bytes(std::array::from_fn(|index| u8::try_from(index).unwrap())).into()
    }

    /// Computed outside this workspace, with Python's `base64` and `hashlib`.
    #[test]
    fn a_key_has_these_texts() {
        assert_eq!(key().to_string(), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        assert_eq!(key().id().to_string(), "630dcd2966c43366");
    }

    #[test]
    fn texts_parse_back_and_nothing_else_does() {
        let text = key().to_string();
        assert_eq!(text.parse::<PublicKey>().unwrap(), key());
        let json = serde_json::to_string(&key()).unwrap();
        assert_eq!(serde_json::from_str::<PublicKey>(&json).unwrap(), key());
        for wrong in [
            "",
            &text[..43],
            &text[..40],
            &text.replace("8=", "9="),
            &format!("{text}\n"),
        ] {
            assert!(
                wrong.parse::<PublicKey>().is_err(),
                "{wrong:?} was taken for a key"
            );
        }
        let id = key().id().to_string();
        assert_eq!(id.parse::<KeyId>().unwrap(), key().id());
        for wrong in [
            "",
            &id[..15],
            &id.to_uppercase(),
            "+00dcd2966c43366",
            &format!("{id}0"),
        ] {
            assert!(
                wrong.parse::<KeyId>().is_err(),
                "{wrong:?} was taken for a key id"
            );
        }
    }
}
