//! Volumes and who holds them.

use crate::{AppName, ByteSize, ContainerId, Epoch, Owner, Problem, Result, Sha256, VolumeName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::{fmt, path::PathBuf, str::FromStr};

/// How many containers may hold a volume at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// One container; a second one gets "busy".
    #[default]
    Exclusive,
    /// Any number.
    Shared,
}

impl Access {
    /// The word used in options and output.
    pub fn word(self) -> &'static str {
        match self {
            Access::Exclusive => "exclusive",
            Access::Shared => "shared",
        }
    }
}

impl FromStr for Access {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "exclusive" => Ok(Access::Exclusive),
            "shared" => Ok(Access::Shared),
            _ => Err(Problem::invalid("not an access mode").remedy("write exclusive or shared")),
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How a volume's data lies on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A disk of its own, encrypted and authenticated; on the host there is nothing but ciphertext.
    #[default]
    Sealed,
    /// A directory of the host's, which root can read.
    Plain,
    /// As a sealed one, with a key that is nowhere but in memory: it begins empty, and is gone with the last container that
    /// holds it.
    Ephemeral,
}

impl Kind {
    /// The word used in output.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Sealed => "sealed",
            Kind::Plain => "plain",
            Kind::Ephemeral => "ephemeral",
        }
    }
}

impl FromStr for Kind {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "sealed" => Ok(Kind::Sealed),
            "plain" => Ok(Kind::Plain),
            "ephemeral" => Ok(Kind::Ephemeral),
            _ => Err(Problem::invalid("not a kind of volume").remedy("write sealed, plain or ephemeral")),
        }
    }
}

/// What the registry remembers of a sealed volume's deed, so that neither an older nor another one is taken for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// The deed's version.
    pub deed: u64,
    /// The SHA-256 of its bytes.
    pub digest: Sha256,
    /// How far its key has been exchanged for another; none where it has one key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
}

/// How far a volume's key has been exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rotation {
    /// The deed has both keys; the store may be under the one before still.
    Announced,
    /// The store is under the new key: one under the key before is an older one.
    Begun,
}

/// Through which face a volume was made. Docker may remove only what it made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Maker {
    /// The admin API, that is, `cofferdam volume create`.
    Admin,
    /// The Docker volume plugin, that is, `docker volume create -d cofferdam`.
    Docker,
}

/// A volume's unchanging identity: 128 random bits, 32 hexadecimal digits. Names can be used again; ids never are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VolumeId(String);

impl VolumeId {
    /// An id from 128 random bits.
    pub fn from_bits(bits: u128) -> Self {
        VolumeId(format!("{bits:032x}"))
    }

    /// The id as text, safe as one path component.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for VolumeId {
    type Error = Problem;

    fn try_from(text: String) -> Result<Self> {
        if text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Ok(VolumeId(text));
        }
        Err(Problem::invalid("not a volume id"))
    }
}

impl From<VolumeId> for String {
    fn from(id: VolumeId) -> String {
        id.0
    }
}

impl fmt::Display for VolumeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One volume, as the registry keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// `tenant.name`.
    pub name: VolumeName,
    /// Identity that outlives no deletion.
    pub id: VolumeId,
    /// What is remembered of a sealed volume's deed; none for one of another kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Sealed>,
    /// Whether its key is nowhere but in memory.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ephemeral: bool,
    /// The size: a sealed volume's quota. A plain volume records what was asked for and does not enforce it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<ByteSize>,
    /// One holder or many.
    pub access: Access,
    /// Who made it.
    pub maker: Maker,
    /// When it was made.
    pub created: Timestamp,
    /// The canonical owner on disk; none until the first container has given the volume its content, and for an ephemeral one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// How often it has been opened.
    #[serde(default)]
    pub epoch: Epoch,
    /// Bytes that were used in a sealed volume's own filesystem when it was last closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<ByteSize>,
}

impl Volume {
    /// How its data lies on the host.
    pub fn kind(&self) -> Kind {
        match self.sealed {
            Some(_) => Kind::Sealed,
            None if self.ephemeral => Kind::Ephemeral,
            None => Kind::Plain,
        }
    }
}

/// A process that cannot be confused with a later one of the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Process {
    /// Process id in the daemon's pid namespace.
    pub pid: u32,
    /// Start time in clock ticks since boot (proc_pid_stat(5), field 22).
    pub started: u64,
}

/// One container holding one volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// The volume held.
    pub volume: VolumeName,
    /// Its identity, so that a volume made anew under the same name is another.
    pub volume_id: VolumeId,
    /// The container that holds it.
    pub container: ContainerId,
    /// The app that the container's measurement proved.
    pub app: AppName,
    /// Where the container sees it.
    pub destination: String,
    /// Opened read-only.
    pub read_only: bool,
    /// The grant also lets processes be added to the container.
    pub exec: bool,
    /// The opening's number.
    pub epoch: Epoch,
    /// Since when.
    pub since: Timestamp,
    /// The process whose end releases the lease: the container's first one, or the runtime's until that exists.
    pub process: Process,
    /// The runtime's state directory (`--root`), where the container's first process is found.
    pub runtime_root: PathBuf,
    /// The boot in which this holds (`/proc/sys/kernel/random/boot_id`).
    pub boot: String,
}
