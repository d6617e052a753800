//! What one container instance is about to run, as found, not as claimed.

use crate::{ContainerId, Owner, Problem, Result, Sha256, TicketFound, VolumeName, place};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, str::FromStr};

/// The facts about one container, read from the engine's own state and the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measurement {
    /// The container, as its engine names it.
    pub container: ContainerId,
    /// The image that its root filesystem is made of.
    pub image: ImageIdentity,
    /// The image's own entrypoint and command.
    pub image_command: Vec<String>,
    /// The image's own working directory.
    #[serde(default = "root")]
    pub image_cwd: String,
    /// The image's own healthcheck, as the argv that the engine execs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub healthcheck: Option<Vec<String>>,
    /// The first process's argv.
    pub argv: Vec<String>,
    /// The first process's environment, `NAME=value`. Never leaves the daemon.
    #[serde(skip)]
    pub env: Vec<String>,
    /// The names in it that are neither the image's own, with its value, nor the engine's.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub foreign_env: BTreeSet<String>,
    /// The extra groups of the first process that the image's own files do not give its user.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub foreign_groups: BTreeSet<u32>,
    /// What of its root filesystem is not the image's.
    #[serde(default, skip_serializing_if = "RootChanges::is_none")]
    pub root: RootChanges,
    /// The first process's working directory.
    pub cwd: String,
    /// The first process's user.
    pub user: User,
    /// Every mount, in the bundle's order.
    pub mounts: Vec<MeasuredMount>,
    /// Every namespace that matters.
    pub namespaces: Namespaces,
    /// Its processes cannot gain privileges by a set-uid program (`no_new_privs`, prctl(2)).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_new_privileges: bool,
    /// What it holds beyond the engine's default set.
    pub privileges: BTreeSet<Privilege>,
    /// The first process's bounding set, without `CAP_`: what no healthcheck may exceed.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub capabilities: BTreeSet<String>,
    /// The user namespace's map, where the container has one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_map: Option<IdMap>,
    /// The ticket that it brought; none where it brought none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<TicketFound>,
}

/// Where a root filesystem is not that of its image.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootChanges {
    /// The places, absolute: at most [`RootChanges::PLACES_MAX`].
    pub places: BTreeSet<String>,
    /// There are more of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

impl RootChanges {
    /// The most places that are named.
    pub const PLACES_MAX: usize = 256;

    /// Whether it is the image's, and nothing else.
    pub fn is_none(&self) -> bool {
        self.places.is_empty() && !self.more
    }

    /// One place more, or a note that there are more.
    pub fn add(&mut self, place: &str) {
        if self.places.len() < Self::PLACES_MAX {
            self.places.insert(place.to_owned());
        } else {
            self.more |= !self.places.contains(place);
        }
    }
}

/// The working directory of an image that names none.
fn root() -> String {
    "/".to_owned()
}

/// An image, by content. Digests of different kinds are never compared with each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageIdentity {
    /// The digest of the image's config (OCI image-spec, "ImageID").
    pub config: Sha256,
    /// The chain id of all layers (OCI image-spec, "Layer ChainID").
    pub chain: Sha256,
}

/// Who the first process is, in the container's own ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// Uid and gid.
    pub owner: Owner,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Holds both CAP_CHOWN and CAP_DAC_OVERRIDE, so that file ownership does not bind it.
    pub overrides_ownership: bool,
}

/// One mount of the bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredMount {
    /// Its place in config.json's `mounts`.
    pub index: usize,
    /// Where the container sees it.
    pub destination: String,
    /// What it is.
    pub kind: MountKind,
    /// Asked for read-only.
    pub read_only: bool,
    /// Where it really goes, where links of the root filesystem lead elsewhere than its destination says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lands: Option<String>,
    /// Files of the image's lie where it goes, at a place that the image does not declare to be for data.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hides_files: bool,
}

impl MeasuredMount {
    /// Where it goes, without links, `.` and `..`; none where that cannot be told.
    pub fn place(&self) -> Option<&str> {
        match &self.lands {
            Some(place) => Some(place),
            None => place::plain(&self.destination),
        }
    }
}

/// What a mount brings into the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountKind {
    /// A filesystem of the kernel's without content from outside (proc, sysfs, tmpfs, devpts, mqueue, cgroup).
    Kernel(String),
    /// A file that the engine makes for every container (`/etc/hosts` and its like, `/dev/shm`).
    Engine,
    /// A Cofferdam volume, known by its placeholder.
    Volume(VolumeName),
    /// Anything else: a host path, an engine's own volume, a device. As the bundle names it.
    Outside(String),
}

/// Where a namespace comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Namespace {
    /// Made for this container.
    Own,
    /// The host's.
    Host,
    /// Joined by path: another container's, or anything else.
    Foreign,
}

impl Namespace {
    /// The word used in reasons and in Cedar's context.
    pub fn word(self) -> &'static str {
        match self {
            Namespace::Own => "own",
            Namespace::Host => "host",
            Namespace::Foreign => "foreign",
        }
    }
}

/// The namespaces of a container (OCI runtime-spec, config-linux, "Namespaces").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each field is the namespace of its name")]
pub struct Namespaces {
    pub pid: Namespace,
    pub mount: Namespace,
    pub ipc: Namespace,
    pub network: Namespace,
    pub uts: Namespace,
    pub cgroup: Namespace,
    pub user: Namespace,
}

/// Something a container holds beyond the engine's default set.
///
/// The text form (`cap:SYS_ADMIN`) is what launch rules name to allow it. Those for which
/// [`Privilege::reaches_out`] holds can never be allowed beside a volume.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Privilege {
    /// A capability outside the engine's default set, without `CAP_`.
    Capability(String),
    /// A device node or device rule, by path or as `b 8:0 rwm`.
    Device(String),
    /// A block device, or every device.
    BlockDevice(String),
    /// A namespace other than pid, mount and network that is the host's or foreign.
    SharedNamespace(String),
    /// No seccomp filter.
    UnconfinedSeccomp,
    /// `/proc` or `/sys` paths that engines mask are not masked.
    UnmaskedPaths,
    /// A program that the runtime is to run as root beside the container (OCI hooks), and that is not the engine's own.
    Hook(String),
    /// An annotation that steers the runtime below.
    SteeringAnnotation(String),
    /// All of these, in a rule: for the host's own tools, which have no volume.
    Everything,
}

/// Capabilities with which a process reaches past its container's walls.
const REACHING_CAPABILITIES: [&str; 9] = [
    "SYS_ADMIN",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_PTRACE",
    "SYS_BOOT",
    "DAC_READ_SEARCH",
    "BPF",
    "PERFMON",
    "CHECKPOINT_RESTORE",
];

impl Privilege {
    /// Whether only the operator may let a rule allow it: by it a container reaches the host, or other tenants' containers.
    pub fn is_the_operators(&self) -> bool {
        match self {
            Privilege::Capability(_) | Privilege::UnconfinedSeccomp => self.reaches_out(),
            _ => true,
        }
    }

    /// Whether it is a way out of the container, so that no rule may allow it beside a volume.
    pub fn reaches_out(&self) -> bool {
        match self {
            Privilege::Capability(name) => REACHING_CAPABILITIES.contains(&name.as_str()),
            Privilege::BlockDevice(_) | Privilege::SteeringAnnotation(_) | Privilege::Everything => true,
            Privilege::SharedNamespace(kind) => matches!(kind.as_str(), "pid" | "mount" | "user"),
            Privilege::Device(_)
            | Privilege::Hook(_)
            | Privilege::UnconfinedSeccomp
            | Privilege::UnmaskedPaths => false,
        }
    }
}

impl fmt::Display for Privilege {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Privilege::Capability(name) => write!(f, "cap:{name}"),
            Privilege::Device(device) => write!(f, "device:{device}"),
            Privilege::BlockDevice(device) => write!(f, "block-device:{device}"),
            Privilege::SharedNamespace(kind) => write!(f, "namespace:{kind}"),
            Privilege::UnconfinedSeccomp => f.write_str("unconfined-seccomp"),
            Privilege::UnmaskedPaths => f.write_str("unmasked-paths"),
            Privilege::Hook(path) => write!(f, "hook:{path}"),
            Privilege::SteeringAnnotation(key) => write!(f, "annotation:{key}"),
            Privilege::Everything => f.write_str("everything"),
        }
    }
}

impl FromStr for Privilege {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Problem::invalid("not a privilege").remedy(
                "write cap:NAME, device:PATH, hook:PATH, namespace:ipc, namespace:uts, namespace:cgroup, unconfined-seccomp, unmasked-paths or everything",
            )
        };
        match text.split_once(':') {
            Some(("cap", name)) => Ok(Privilege::Capability(
                name.to_ascii_uppercase().trim_start_matches("CAP_").to_owned(),
            )),
            Some(("device", device)) => Ok(Privilege::Device(device.to_owned())),
            Some(("block-device", device)) => Ok(Privilege::BlockDevice(device.to_owned())),
            Some(("namespace", kind)) => Ok(Privilege::SharedNamespace(kind.to_owned())),
            Some(("hook", path)) => Ok(Privilege::Hook(path.to_owned())),
            Some(("annotation", key)) => Ok(Privilege::SteeringAnnotation(key.to_owned())),
            None if text == "everything" => Ok(Privilege::Everything),
            None if text == "unconfined-seccomp" => Ok(Privilege::UnconfinedSeccomp),
            None if text == "unmasked-paths" => Ok(Privilege::UnmaskedPaths),
            _ => Err(wrong()),
        }
    }
}

impl TryFrom<String> for Privilege {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Privilege> for String {
    fn from(privilege: Privilege) -> String {
        privilege.to_string()
    }
}

/// A user namespace's map, as uid_map(5) has it: container id, host id, count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdMap {
    /// User ids.
    pub uids: Vec<IdRange>,
    /// Group ids.
    pub gids: Vec<IdRange>,
}

/// One line of an id map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdRange {
    /// First id inside.
    pub inside: u32,
    /// First id outside.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn privileges_parse_back() {
        for text in [
            "cap:SYS_ADMIN",
            "device:/dev/fuse",
            "hook:/usr/bin/x",
            "namespace:ipc",
            "unconfined-seccomp",
            "unmasked-paths",
        ] {
            assert_eq!(text.parse::<Privilege>().unwrap().to_string(), text);
        }
        assert_eq!(
            "cap:CAP_NET_ADMIN".parse::<Privilege>().unwrap().to_string(),
            "cap:NET_ADMIN"
        );
        let small: Privilege = "cap:cap_sys_admin".parse().unwrap();
        assert!(small.reaches_out(), "in whichever case it is written");
        assert!("root".parse::<Privilege>().is_err());
    }

    #[test]
    fn ways_out_are_known() {
        assert!(Privilege::Capability("SYS_ADMIN".into()).reaches_out());
        assert!(Privilege::BlockDevice("b *:* rwm".into()).reaches_out());
        assert!(!Privilege::Capability("NET_ADMIN".into()).reaches_out());
    }
}
