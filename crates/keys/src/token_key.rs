//! Keys in PKCS#11 tokens by name: URIs of RFC 7512, in one form only.
//!
//! `pkcs11:token=TOKEN;object=OBJECT`
//!
//! | attribute | names |
//! |---|---|
//! | `token` | the token, by its label, of at most 32 bytes |
//! | `object` | the key, by its label (`CKA_LABEL`), of at most 128 bytes |
//!
//! A label is UTF-8; whatever is no letter, digit or one of `-._~:[]@!$'()*+,=&` is `%` and two hexadecimal digits.
//! Nothing else is taken: the module and the PIN belong to a host's settings, not into a deed that travels.

use cofferdam_model::{Problem, Result};
use std::fmt;
use std::str::FromStr;

/// What such a URI begins with.
pub(crate) const SCHEME: &str = "pkcs11";

/// The longest label of a token, in bytes (`CK_TOKEN_INFO`).
const TOKEN_MAX: usize = 32;

/// The longest label of a key, in bytes.
const OBJECT_MAX: usize = 128;

const RIGHT: &str =
    "write pkcs11:token=TOKEN;object=KEY with the two labels, every byte outside of A-Za-z0-9-._~ as %XX";

/// A key in a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenKey {
    pub(crate) token: String,
    pub(crate) object: String,
}

impl FromStr for TokenKey {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self> {
        let wrong =
            |why: &str| Problem::invalid(format!("not the URI of a key in a token: {why}")).remedy(RIGHT);
        let path = text
            .strip_prefix("pkcs11:")
            .ok_or_else(|| wrong("it does not begin with pkcs11:"))?;
        if path.contains('?') {
            return Err(wrong("what stands behind ? belongs to the settings of a host"));
        }
        let (mut token, mut object) = (None, None);
        for attribute in path.split(';') {
            let (name, value) = attribute
                .split_once('=')
                .ok_or_else(|| wrong("an attribute has no value"))?;
            let (place, limit) = match name {
                "token" => (&mut token, TOKEN_MAX),
                "object" => (&mut object, OBJECT_MAX),
                _ => return Err(wrong("it has an attribute beside token and object")),
            };
            let label = decode(value)
                .filter(|label| is_label(label, limit))
                .ok_or_else(|| wrong(&format!("{name} is no label of 1 to {limit} bytes")))?;
            if place.replace(label).is_some() {
                return Err(wrong(&format!("{name} stands there twice")));
            }
        }
        let key = TokenKey {
            token: token.ok_or_else(|| wrong("token is not there"))?,
            object: object.ok_or_else(|| wrong("object is not there"))?,
        };
        if key.to_string() != text {
            return Err(
                Problem::invalid("the URI of this key has another form").remedy(format!("write {key}"))
            );
        }
        Ok(key)
    }
}

impl fmt::Display for TokenKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{SCHEME}:token=")?;
        encode(&self.token, out)?;
        out.write_str(";object=")?;
        encode(&self.object, out)
    }
}

/// Tokens pad labels with blanks, so one that ends with a blank could not be found again.
fn is_label(label: &str, limit: usize) -> bool {
    (1..=limit).contains(&label.len()) && !label.ends_with(' ') && !label.contains(char::is_control)
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:[]@!$'()*+,=&".contains(&byte)
}

fn encode(label: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
    label.bytes().try_for_each(|byte| {
        if is_plain(byte) {
            write!(out, "{}", char::from(byte))
        } else {
            write!(out, "%{byte:02X}")
        }
    })
}

fn decode(value: &str) -> Option<String> {
    let mut label = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        label.push(match byte {
            b'%' => {
                let mut digit = || u8::try_from(char::from(bytes.next()?).to_digit(16)?).ok();
                digit()? << 4 | digit()?
            }
            _ if is_plain(byte) => byte,
            _ => return None,
        });
    }
    String::from_utf8(label).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_form_parses_and_shows_the_same() {
        for (text, token, object) in [
            ("pkcs11:token=hsm;object=volumes", "hsm", "volumes"),
            ("pkcs11:token=The%20HSM;object=a%3Bb%25", "The HSM", "a;b%"),
            ("pkcs11:token=a=b;object=%C3%A4", "a=b", "ä"),
        ] {
            let key: TokenKey = text.parse().unwrap();
            assert_eq!((key.token.as_str(), key.object.as_str()), (token, object));
            assert_eq!(key.to_string(), text);
        }
    }

    #[test]
    fn another_form_is_told_the_right_one() {
        for text in [
            "pkcs11:object=k;token=t",
            "pkcs11:token=%74;object=k",
            "pkcs11:token=t;object=%6b",
        ] {
            let problem = text.parse::<TokenKey>().unwrap_err();
            assert_eq!(problem.remedy.unwrap(), "write pkcs11:token=t;object=k");
        }
    }

    #[test]
    fn what_is_no_key_is_refused_with_the_reason() {
        let long = format!("pkcs11:token={};object=k", "t".repeat(33));
        for (text, why) in [
            ("", "begin with pkcs11:"),
            ("PKCS11:token=t;object=k", "begin with pkcs11:"),
            ("pkcs11:", "has no value"),
            ("pkcs11:token=t", "object is not there"),
            ("pkcs11:object=k", "token is not there"),
            ("pkcs11:token=t;object=k;", "has no value"),
            ("pkcs11:token=t;object=k;object=k", "object stands there twice"),
            ("pkcs11:token=t;object=k;id=%01", "beside token and object"),
            ("pkcs11:token=t;object=k?pin-value=1234", "settings of a host"),
            ("pkcs11:token=;object=k", "token is no label"),
            ("pkcs11:token=t;object=a b", "object is no label"),
            ("pkcs11:token=t;object=%4", "object is no label"),
            ("pkcs11:token=t;object=%+4", "object is no label"),
            ("pkcs11:token=t;object=%FF", "object is no label"),
            ("pkcs11:token=t;object=%0A", "object is no label"),
            ("pkcs11:token=t%20;object=k", "token is no label"),
            (long.as_str(), "token is no label"),
        ] {
            let problem = text.parse::<TokenKey>().unwrap_err();
            assert!(problem.message.contains(why), "{text:?}: {problem}");
        }
    }
}
