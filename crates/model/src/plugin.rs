//! The bodies of Docker's volume plugin protocol, version 1: what Docker asks when somebody names a volume.
//!
//! Source: Docker's documentation, "Docker volume plugins" (VolumeDriver.*). Fields beyond these, such as the id that Mount and Unmount
//! carry, mean nothing to us.

use crate::api::NewVolume;
use crate::{Access, Kind, Problem, Result, VolumeName, json};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Every request that names a volume.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Asked {
    /// The name, as somebody gave it.
    #[serde(rename = "Name")]
    pub name: String,
    /// `docker volume create --opt`.
    #[serde(rename = "Opts", default)]
    options: Option<BTreeMap<String, String>>,
}

impl Asked {
    /// Reads a body.
    ///
    /// # Errors
    /// `invalid`, with the place.
    pub fn parse(body: &[u8]) -> Result<Self> {
        json::read("the request", body)
    }

    /// The volume that it names.
    ///
    /// # Errors
    /// `invalid` for a name that no volume has.
    pub fn volume(&self) -> Result<VolumeName> {
        self.name.parse()
    }

    /// Whether nothing but the name was asked for.
    pub fn has_options(&self) -> bool {
        self.options.as_ref().is_some_and(|options| !options.is_empty())
    }

    /// The options as they were given, each `name=value`.
    pub fn told(&self) -> impl Iterator<Item = String> {
        let options = self.options.iter().flatten();
        options.map(|(option, text)| format!("{option}={text}"))
    }

    /// The volume that is to be made.
    ///
    /// # Errors
    /// `invalid` for an option that there is not, or a value that it cannot have.
    pub fn new_volume(&self) -> Result<NewVolume> {
        let mut new = NewVolume {
            name: self.volume()?,
            kind: Kind::default(),
            size: None,
            access: Access::default(),
        };
        for (option, text) in self.options.iter().flatten() {
            match option.as_str() {
                "size" => new.size = Some(text.parse()?),
                "access" => new.access = text.parse()?,
                "kind" => new.kind = text.parse()?,
                _ => {
                    let shown: String = option.escape_debug().take(40).collect();
                    return Err(Problem::invalid(format!("a volume has no option {shown}"))
                        .remedy("use -o size=10G, -o access=shared, -o kind=plain or -o kind=ephemeral"));
                }
            }
        }
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(body: &str) -> Result<NewVolume> {
        Asked::parse(body.as_bytes())?.new_volume()
    }

    #[test]
    fn options_become_a_volume() {
        let made =
            new(r#"{"Name":"web","Opts":{"size":"1G","access":"shared","kind":"plain"},"ID":"x"}"#).unwrap();
        assert_eq!(made.name.to_string(), "default.web");
        assert_eq!(made.size.map(|size| size.get()), Some(1 << 30));
        assert_eq!((made.access, made.kind), (Access::Shared, Kind::Plain));
        assert!(new(r#"{"Name":"web","Opts":null}"#).is_ok());
    }

    #[test]
    fn what_cannot_be_made_is_refused() {
        for body in [
            "",
            "{}",
            r#"{"Name":7}"#,
            r#"{"Name":"../x"}"#,
            r#"{"Name":"x","Opts":{"size":"-1"}}"#,
            r#"{"Name":"x","Opts":{"device":"/dev/sda"}}"#,
            r#"{"Name":"x","Opts":{"size":1}}"#,
        ] {
            assert!(new(body).is_err(), "{body}");
        }
    }
}
