//! The vocabulary of Cofferdam: names, sizes, records, measurements and errors, as pure data.
//!
//! Every other crate speaks in these types. Text from outside becomes one of them at the edge
//! (`FromStr`, `TryFrom`, `Deserialize`) or is refused with what was wrong and what is right; behind
//! the edge nothing is checked twice.
//!
//! What this crate does not do: I/O, clocks, randomness, decisions.

pub mod api;
mod app;
mod digest;
pub mod disk;
pub mod environment;
mod error;
mod exec_process;
mod grant;
mod host_path;
mod ids;
pub mod json;
mod measurement;
mod name;
pub mod place;
mod plan;
pub mod plugin;
pub mod settings;
mod size;
mod ticket;
mod volume;
pub mod wire;

pub use app::{App, Command, LaunchRule, NetworkRule, UserRule};
pub use digest::Sha256;
pub use error::{ErrorKind, Problem, Result};
pub use exec_process::ExecProcess;
pub use grant::Grant;
pub use host_path::{HostPath, HostPathGrant, HostSource, NewHostPathGrant, OldHostPathGrant};
pub use ids::{ContainerId, DecisionId, Epoch, Owner};
pub use measurement::{
    IdMap, IdRange, ImageIdentity, MeasuredMount, Measurement, MountKind, Namespace, Namespaces, Privilege,
    RootChanges, User,
};
pub use name::{AppName, Label, TenantName, VolumeName};
pub use plan::{PLAN_LABEL, PLAN_VARIABLE, PlanId};
pub use settings::{
    AdminSettings, DiskSettings, DockerSettings, GuardSettings, Guarding, LogFormat, LogSettings,
    PathSettings, PolicySettings, RuntimeSettings, Settings,
};
pub use size::ByteSize;
pub use ticket::{TICKET_ANNOTATION, TICKET_VARIABLE, TicketFound};
pub use volume::{Access, Attachment, Kind, Maker, Process, Rotation, Sealed, Volume, VolumeId};
