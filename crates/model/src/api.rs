//! The admin API's bodies: HTTP/JSON on the admin socket. `cofferdam` speaks nothing else.
//!
//! | method and path | body | answer |
//! |---|---|---|
//! | `GET /v1/status` | – | [`Status`] |
//! | `GET /v1/tenants` | – | list of [`Tenant`] |
//! | `POST /v1/tenants` | [`NewTenant`] | [`Tenant`] |
//! | `GET`, `DELETE /v1/tenants/{tenant}` | – | [`Tenant`] |
//! | `PUT`, `DELETE /v1/tenants/{tenant}/members/{user}`, a name of this host's or a number | – | [`Tenant`] |
//! | `GET /v1/apps` | – | list of [`App`](crate::App) |
//! | `POST /v1/apps` | [`NewApp`] | [`App`](crate::App) |
//! | `GET`, `DELETE /v1/apps/{app}` | – | [`App`](crate::App) |
//! | `POST /v1/tickets` | [`NewTicket`] | [`IssuedTicket`] |
//! | `GET /v1/volumes` | – | list of [`VolumeDetail`] |
//! | `POST /v1/volumes` | [`NewVolume`] | [`VolumeDetail`] |
//! | `GET`, `DELETE /v1/volumes/{volume}` | – | [`VolumeDetail`] |
//! | `POST /v1/deeds`, what a tenant signs elsewhere | [`NewDeed`] | [`DeedAnswer`] |
//! | `POST /v1/adoptions` | [`Adopt`] | [`VolumeDetail`] |
//! | `PUT`, `DELETE /v1/volumes/{volume}/recipients/{recipient}` | – | [`VolumeDetail`] |
//! | `POST /v1/volumes/{volume}/seal`, with `?now=true` whoever holds it | – | [`VolumeDetail`] |
//! | `POST /v1/volumes/{volume}/accept-rollback` | – | [`VolumeDetail`] |
//! | `GET /v1/grants` | – | list of [`Grant`] |
//! | `PUT /v1/grants` | [`Grant`] | [`Grant`] |
//! | `DELETE /v1/grants/{volume}/{app}`, with `?now=true` what is open too | – | [`Grant`] |
//! | `GET /v1/host-paths` | – | list of [`HostPathGrant`](crate::HostPathGrant) |
//! | `PUT /v1/host-paths` | [`NewHostPathGrant`](crate::NewHostPathGrant) | [`HostPathGrant`](crate::HostPathGrant) |
//! | `POST /v1/host-paths/revocations` | [`OldHostPathGrant`](crate::OldHostPathGrant) | [`HostPathGrant`](crate::HostPathGrant) |
//! | `GET /v1/attachments` | – | list of [`Attachment`] |
//! | `GET /v1/decisions`, newest first, at most 100 | – | list of [`Decision`] |
//! | `GET /v1/decisions/{id}` | – | [`Explained`] |
//! | `GET /v1/plans/{id}`, for some minutes | – | [`Plan`] |
//! | `GET /v1/ledger?tail=N`, oldest first, at most 10,000 | – | list of the ledger's records |
//! | `GET /v1/ledger/key` | – | [`LedgerKey`] |
//! | `GET /v1/ledger/export` | – | the ledger's file, byte for byte |
//! | `GET /v1/ledger/proofs/{record}` | – | the proof that a record is in the ledger |
//!
//! Root is the operator and may ask for everything. Anybody else may act for the tenants whose member he is (by the kernel's word
//! on who is connected), and sees what is theirs alone; tenants, adoption and the ledger are the operator's.
//!
//! Creating what exists already with the same properties succeeds and answers with what exists; with
//! other properties it is a conflict. `DELETE` answers with what was deleted. An error is a [`Problem`](crate::Problem)
//! with the HTTP status of its kind ([`http_status`]).

mod decision;
mod explained;

pub use decision::{Decision, VolumeDecision};
pub use explained::{Compared, Explained, Plan, PlannedNeighbour, PlannedPath, Point, Remedy};

use crate::{
    Access, AppName, Attachment, ByteSize, Command, ContainerId, ErrorKind, Grant, Kind, NetworkRule,
    Privilege, TenantName, UserRule, Volume, VolumeName,
};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// The HTTP status that carries a problem of this kind.
pub fn http_status(kind: ErrorKind) -> u16 {
    match kind {
        ErrorKind::Denied => 403,
        ErrorKind::Busy | ErrorKind::Conflict => 409,
        ErrorKind::Missing => 404,
        ErrorKind::Invalid => 400,
        ErrorKind::Unavailable => 503,
        ErrorKind::Corrupt | ErrorKind::Internal => 500,
    }
}

/// How the daemon is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// Since when it runs.
    pub since: Timestamp,
    /// How many there are.
    pub tenants: usize,
    /// How many there are.
    pub apps: usize,
    /// How many there are.
    pub volumes: usize,
    /// How many there are.
    pub grants: usize,
    /// How many there are.
    pub attachments: usize,
    /// This host, as a recipient of volume keys.
    #[serde(default)]
    pub recipient: String,
    /// What the operator should know, such as a directory that cannot be mapped. Empty when all is well.
    pub warnings: Vec<String>,
}

/// What others verify the ledger with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerKey {
    /// The verifier key, as C2SP's signed notes have it.
    pub key: String,
    /// The newest checkpoint: a signed note.
    pub checkpoint: String,
}

/// A tenant to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTenant {
    /// Its name.
    pub name: TenantName,
    /// The key that verifies what it signs, where it keeps its own: 32 bytes of Ed25519 in base64. Else the host makes one
    /// and keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Somebody who may act for a tenant on this host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The user's number, by which he is known.
    pub uid: u32,
    /// What he was called when he became a member; his number where he was given by that. Shown, never decided on.
    pub user: String,
}

/// A tenant, with how much it owns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// Its name.
    pub name: TenantName,
    /// When it was made.
    pub created: Timestamp,
    /// How many apps it owns.
    #[serde(default)]
    pub apps: usize,
    /// How many volumes it owns.
    #[serde(default)]
    pub volumes: usize,
    /// Who may act for it, besides the operator.
    #[serde(default)]
    pub members: Vec<Member>,
    /// The key that verifies what it signs, in base64; none until it signs anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether this host keeps the key that signs.
    #[serde(default)]
    pub key_kept: bool,
}

/// What a tenant signs where its key is, and not on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeedAct {
    /// The first deed of a new volume.
    Create(NewVolume),
    /// A deed with this grant.
    Grant(Grant),
    /// A deed without what an app was granted.
    Revoke {
        /// The volume.
        volume: VolumeName,
        /// The app.
        app: AppName,
    },
    /// A deed with a larger size.
    Grow {
        /// The volume.
        volume: VolumeName,
        /// How large it is to be.
        size: ByteSize,
    },
    /// A deed whose key is wrapped for one more.
    Share {
        /// The volume.
        volume: VolumeName,
        /// The recipient's text.
        recipient: String,
    },
    /// A deed whose key is wrapped for one less.
    Unshare {
        /// The volume.
        volume: VolumeName,
        /// The recipient's text.
        recipient: String,
    },
    /// A deed with a new key beside the one that there is; once everything is encrypted anew, one without the key before.
    Rotate {
        /// The volume.
        volume: VolumeName,
    },
}

impl DeedAct {
    /// The volume whose deed it changes.
    pub fn volume(&self) -> &VolumeName {
        match self {
            DeedAct::Create(new) => &new.name,
            DeedAct::Grant(grant) => &grant.volume,
            DeedAct::Revoke { volume, .. }
            | DeedAct::Grow { volume, .. }
            | DeedAct::Share { volume, .. }
            | DeedAct::Unshare { volume, .. }
            | DeedAct::Rotate { volume } => volume,
        }
    }
}

/// A change of a deed that is signed elsewhere: first without the deed, to be told what to sign; then with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDeed {
    /// What is to be done.
    pub act: DeedAct,
    /// The signed deed: its envelope, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deed: Option<String>,
}

/// What comes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeedAnswer {
    /// Something is to be signed. Nothing has changed yet.
    Sign {
        /// The new deed's bytes, in base64.
        draft: String,
        /// The envelope of the deed that it follows, in base64; none for a volume's first.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        current: Option<String>,
    },
    /// It is done.
    Done,
}

/// An app to be made. The daemon asks the engine once for the image's digest and pins it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewApp {
    /// Its name.
    pub name: AppName,
    /// The image: a reference that the engine knows, or the digest of its config (`sha256:…`), which is taken as it is.
    pub image: String,
    /// Which argv is the app's.
    #[serde(default)]
    pub command: Command,
    /// Which user is the app's.
    #[serde(default)]
    pub user: UserRule,
    /// The directory it works in, absolute; the image's own where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Which network namespaces are the app's.
    #[serde(default)]
    pub network: NetworkRule,
    /// Destinations at which mounts from outside are allowed, and volumes over the image's own files.
    #[serde(default)]
    pub mounts: BTreeSet<String>,
    /// Names that may be in the environment besides the image's own. Those that lead to other code are refused here.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub env: BTreeSet<String>,
    /// Groups that its first process may have besides those that the image gives its user.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<u32>,
    /// Places below which the root filesystem need not be the image's.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub changed: BTreeSet<String>,
    /// Privileges beyond the engine's default set that are allowed. Those that reach out are refused here.
    #[serde(default)]
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
    /// Whether it takes the place of an app of that name. What the app was granted by its own tenant stays.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub replace: bool,
}

/// A launch rule to be learned from a container that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learn {
    /// The app that is to have it.
    pub app: AppName,
    /// The container: its name, its id, or the beginning of that.
    pub container: String,
}

/// What was learned. Nothing is made yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learned {
    /// The app, to be made.
    pub app: NewApp,
    /// The container that it was learned from.
    pub container: ContainerId,
    /// What its rule lets in beyond the image's ordinary container, a sentence each.
    pub lets_in: Vec<String>,
    /// What no rule can let in: the container as it runs would be refused for it.
    pub cannot: Vec<String>,
}

/// How long a ticket holds where nothing else is asked for.
pub const TICKET_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// A ticket to be issued, with the tenant's key that the host keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTicket {
    /// The app that the launch shall be. Its image, as its rule has it now, is the launch's.
    pub app: AppName,
    /// Not from this instant on; after [`TICKET_LIFE`] where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The one host for which it holds: its name or its age recipient.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Good for one launch.
    #[serde(default)]
    pub once: bool,
}

/// A ticket that was issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuedTicket {
    /// Its text, to be handed over in [`TICKET_VARIABLE`](crate::TICKET_VARIABLE).
    pub ticket: String,
    /// The app that the launch shall be.
    pub app: AppName,
    /// Not from this instant on.
    pub until: Timestamp,
}

/// The size of a sealed volume that was made without one: 10 GiB. It takes up what is in it.
pub const SIZE_DEFAULT: ByteSize = ByteSize::bytes(10 << 30);

/// A volume to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewVolume {
    /// Its name.
    pub name: VolumeName,
    /// Sealed, or a directory of the host's.
    #[serde(default)]
    pub kind: Kind,
    /// The size: of a sealed volume, [`SIZE_DEFAULT`] where there is none; of a plain one, to be recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<ByteSize>,
    /// One holder or many.
    #[serde(default)]
    pub access: Access,
}

/// A volume with who may open it and who holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeDetail {
    /// The volume.
    pub volume: Volume,
    /// Who may open it.
    pub grants: Vec<Grant>,
    /// Who holds it.
    pub attachments: Vec<Attachment>,
    /// Bytes that a sealed volume takes up on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<ByteSize>,
    /// Bytes used in a sealed volume's own filesystem when it was last looked at: asked for by itself, or closed. None where it has
    /// never been open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<ByteSize>,
    /// How far the volume is encrypted anew, where it is open and under two keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<crate::disk::Rotation>,
    /// For whom a sealed volume's key is wrapped. Empty in lists, and where the deed cannot be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
}

/// How large a volume is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSize {
    /// Its size, not less than it is.
    pub size: ByteSize,
}

/// A volume that comes from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adopt {
    /// Its directory, absolute, on the filesystem of the daemon's state.
    pub path: PathBuf,
}
