//! Host paths as resources: which app may bind one, and how.

use crate::{AppName, LaunchRule, Problem, Result, place};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// The longest path, in bytes: what the kernel takes (path_resolution(7)).
const LENGTH_MAX: usize = 4096;

/// A path of the host's: from `/`, without an empty part, `.` and `..`, and not `/` itself. What lies there is judged by its
/// descriptor; the path is how people name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostPath(String);

impl HostPath {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As a path.
    pub fn as_path(&self) -> &Path {
        Path::new(&self.0)
    }
}

impl FromStr for HostPath {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self> {
        let bare = place::plain(text).filter(|bare| *bare != "/");
        match bare {
            Some(bare) if bare.len() <= LENGTH_MAX && !bare.chars().any(char::is_control) => {
                Ok(HostPath(bare.to_owned()))
            }
            _ => Err(Problem::invalid("not a path of the host's")
                .remedy("write a path from /, without //, . or .., such as /srv/www")),
        }
    }
}

impl TryFrom<String> for HostPath {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<HostPath> for String {
    fn from(path: HostPath) -> String {
        path.0
    }
}

impl fmt::Display for HostPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An app may bind a host path, or what lies below it. From the first grant on, nobody else may.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostPathGrant {
    /// The path; for a volume of Docker's own, where Docker keeps it.
    pub path: HostPath,
    /// The app.
    pub app: AppName,
    /// The app's rule when it was granted: another rule under the same name is another app.
    pub rule: LaunchRule,
    /// Whether it may be bound for writing.
    pub write: bool,
    /// Whether processes may be added to its containers, which see what is bound there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exec: bool,
    /// Whether what belongs to the directory's owner belongs to the container's user, as in a volume of ours.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub map_owner: bool,
    /// From then on it gives nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What a grant is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostSource {
    /// A path of the host's.
    Path(HostPath),
    /// A volume of Docker's own driver, by its name.
    DockerVolume(String),
}

/// A grant that is asked for (`PUT /v1/host-paths`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewHostPathGrant {
    /// What shall be bound.
    pub source: HostSource,
    /// By which app.
    pub app: AppName,
    /// Whether for writing.
    pub write: bool,
    /// As [`HostPathGrant::exec`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exec: bool,
    /// As [`HostPathGrant::map_owner`].
    #[serde(default)]
    pub map_owner: bool,
    /// From then on it gives nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// A grant that is taken back (`POST /v1/host-paths/revocations`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OldHostPathGrant {
    /// What could be bound.
    pub source: HostSource,
    /// By which app.
    pub app: AppName,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_paths_are_host_paths() {
        for (text, wanted) in [("/srv/www", "/srv/www"), ("/srv/www/", "/srv/www")] {
            assert_eq!(text.parse::<HostPath>().unwrap().as_str(), wanted);
        }
        for text in ["", "/", "srv", "/srv/../etc", "/srv//www", "/a\nb"] {
            assert!(text.parse::<HostPath>().is_err(), "{text:?}");
        }
        assert!(format!("/{}", "a".repeat(5000)).parse::<HostPath>().is_err());
    }
}
