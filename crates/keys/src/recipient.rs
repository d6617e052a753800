//! Recipients: who may unwrap a volume's key.
//!
//! | text | who | its copy is made |
//! |---|---|---|
//! | `age1…` | a host, or a recovery key (X25519) | here |
//! | `age1tag1…` | a key in hardware (P-256) | here |
//! | `age1tagpq1…` | the same, safe from quantum computers (ML-KEM-768 with P-256) | here |
//! | `age1NAME1…` | whatever the age plugin NAME serves | by the program `age-plugin-NAME` |
//! | `pkcs11:token=…;object=…` | a key in a PKCS#11 token | by the token |
//!
//! Each recipient has one text only, so equal recipients have equal texts.
//!
//! age does not put a recipient that is safe from quantum computers beside one that is not, for the weaker copy would
//! undo the stronger. Hosts are of the other kind, so `age1tagpq1…` is of use for keys without a host's copy only.

use crate::token_key::{self, TokenKey};
use age::{plugin, tag, tagpq, x25519};
use cofferdam_model::{Problem, Result};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// The longest text of a recipient, in bytes. One that is safe from quantum computers takes some 2000.
const LENGTH_MAX: usize = 4096;

const RIGHT: &str = "give a text that begins with age1 (the recipient of a host, a recovery key or an age plugin) or \
                     pkcs11:token=TOKEN;object=KEY";

/// Who may unwrap a key.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Recipient {
    text: String,
    pub(crate) kind: Kind,
}

/// How its copy is made.
#[derive(Clone)]
pub(crate) enum Kind {
    X25519(x25519::Recipient),
    Tag(tag::Recipient),
    TagPq(Box<tagpq::Recipient>),
    Plugin(plugin::Recipient),
    /// By the provider of this scheme, for which the text is the reference.
    Provider(&'static str),
}

impl Recipient {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn of_x25519(recipient: x25519::Recipient) -> Self {
        Recipient {
            text: recipient.to_string(),
            kind: Kind::X25519(recipient),
        }
    }
}

impl Kind {
    fn of_age(text: &str) -> Result<Self> {
        if let Ok(recipient) = text.parse::<x25519::Recipient>() {
            return Ok(Kind::X25519(recipient));
        }
        if let Ok(recipient) = text.parse::<tag::Recipient>() {
            return Ok(Kind::Tag(recipient));
        }
        if let Ok(recipient) = text.parse::<tagpq::Recipient>() {
            return Ok(Kind::TagPq(Box::new(recipient)));
        }
        // age's own names are no plugins': what bears one and is none of the above is broken.
        text.parse::<plugin::Recipient>()
            .ok()
            .filter(|recipient| !matches!(recipient.plugin(), "tag" | "tagpq"))
            .map(Kind::Plugin)
            .ok_or_else(|| {
                Problem::invalid("not a recipient: its checksum or its length is wrong")
                    .remedy("copy the whole text again, from age1 to its end")
            })
    }

    /// The one text of this kind, where that is known.
    fn text(&self) -> Option<String> {
        match self {
            Kind::X25519(recipient) => Some(recipient.to_string()),
            Kind::Tag(recipient) => Some(recipient.to_string()),
            Kind::TagPq(recipient) => Some(recipient.to_string()),
            Kind::Plugin(_) | Kind::Provider(_) => None,
        }
    }
}

impl FromStr for Recipient {
    type Err = Problem;

    /// The text is not repeated in errors, for it may be a secret that got into the wrong place.
    fn from_str(text: &str) -> Result<Self> {
        if text.len() > LENGTH_MAX {
            return Err(Problem::invalid("not a recipient: it is too long").remedy(RIGHT));
        }
        let upper = text.get(..4).unwrap_or_default().to_ascii_uppercase();
        let kind = if text.starts_with("pkcs11:") {
            text.parse::<TokenKey>()?;
            Kind::Provider(token_key::SCHEME)
        } else if text.starts_with("age1") && !text.contains(|letter: char| letter.is_ascii_uppercase()) {
            Kind::of_age(text)?
        } else if upper == "AGE-" {
            return Err(
                Problem::invalid("this is an identity, which is a secret, and not a recipient")
                    .remedy("give its recipient, which begins with age1 (age-keygen -y shows it)"),
            );
        } else if upper == "AGE1" {
            return Err(
                Problem::invalid("not a recipient: it has capital letters").remedy("write it in small ones")
            );
        } else {
            return Err(Problem::invalid("not a recipient").remedy(RIGHT));
        };
        if let Some(other) = kind.text().filter(|other| other != text) {
            return Err(Problem::invalid("this recipient has another text").remedy(format!("write {other}")));
        }
        let text = text.to_owned();
        Ok(Recipient { text, kind })
    }
}

impl TryFrom<String> for Recipient {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Recipient> for String {
    fn from(recipient: Recipient) -> String {
        recipient.text
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Recipient {}

impl PartialOrd for Recipient {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Recipient {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for Recipient {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

#[cfg(test)]
mod tests;
