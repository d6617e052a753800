//! Apps and their launch rules: what a measurement must satisfy.

use crate::{AppName, Owner, Privilege, Sha256};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A trusted application of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// `tenant.name`.
    pub name: AppName,
    /// The image as the operator named it when the digest was pinned. Shown, never decided on.
    pub image_reference: String,
    /// What a container must be.
    pub rule: LaunchRule,
    /// When it was made.
    pub created: Timestamp,
}

/// What a measurement must satisfy to prove an app. Strict by default; every relaxation is named.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchRule {
    /// The digest of the image's config.
    pub image: Sha256,
    /// The argv of the container's first process.
    #[serde(default)]
    pub command: Command,
    /// The user it runs as.
    #[serde(default)]
    pub user: UserRule,
    /// The directory it works in; the image's own where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// The network namespace it runs in.
    #[serde(default)]
    pub network: NetworkRule,
    /// Destinations at which mounts from outside (host paths, other volumes, devices) are allowed, and volumes and
    /// the kernel's filesystems over the image's own files.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub mounts: BTreeSet<String>,
    /// Names that may be in the environment besides the image's own.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub env: BTreeSet<String>,
    /// Groups that its first process may have besides those that the image gives its user.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<u32>,
    /// Places below which the root filesystem need not be the image's.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub changed: BTreeSet<String>,
    /// Privileges beyond the engine's default set that are allowed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub allow: BTreeSet<Privilege>,
    /// The argv of a healthcheck that may run besides the image's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Vec<String>>,
    /// Whether its processes must be kept from gaining privileges by a set-uid program (`no_new_privs`, prctl(2)).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_new_privileges: bool,
    /// Whether a launch must bring a ticket that the app's tenant has signed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ticket: bool,
}

/// Which argv is the app's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// The image's own entrypoint and command.
    #[default]
    Image,
    /// Exactly this argv.
    Exactly(Vec<String>),
}

/// Which user is the app's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UserRule {
    /// Any user: the volume's ids are mapped to whoever it is.
    #[default]
    Any,
    /// Exactly these ids.
    Exactly(Owner),
}

/// Which network namespaces are the app's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkRule {
    /// One of its own.
    #[default]
    Own,
    /// One of its own, or the host's.
    Host,
    /// Any, another container's included.
    Any,
}
