//! What a container is about to run, as found, not as claimed.
//!
//! A measurement is read from the engine's own state on disk and from the bundle, and every fact is checked against the
//! next one: the container names an image, the image's config is hashed again, its layers are folded to a chain,
//! and the chain is compared with the filesystem that is really mounted.
//!
//! | room | subject |
//! |---|---|
//! | `docker` | Docker's state on disk (classic image store, overlay2) |
//! | `config` | the bundle's config.json, as far as it matters |
//! | `mounts`, `namespaces`, `privileges` | what config.json asks for, judged against an engine's ordinary container |
//! | `environment`, `groups` | what of the environment, and which extra groups, come from outside |
//! | `landing` | where a mount really goes, and whether the image has files there |
//! | `own_layer` | where the root filesystem is not the image's |
//! | `ticket` | the ticket that a launch brings |
//!
//! What this crate does not do: ask an engine's API (it holds the container's lock while it starts it), decide, write.

mod config;
mod docker;
mod environment;
mod groups;
#[cfg(feature = "judge")]
pub mod judge;
mod landing;
mod mounts;
mod namespaces;
mod own_layer;
mod privileges;
mod state_tree;
mod ticket;

pub use docker::Docker;

use cofferdam_model::{ContainerId, Measurement, Result, RootChanges, Sha256, VolumeName};
use std::os::fd::{BorrowedFd, OwnedFd};

/// One container that is about to be created, by descriptors and bytes that nobody can exchange any more.
pub struct Bundle<'a> {
    /// Its id, as the engine gave it.
    pub container: &'a ContainerId,
    /// config.json, byte for byte as it will be run, but for the sources of opened mounts.
    pub config: &'a [u8],
    /// Its root filesystem (`O_PATH`).
    pub root: BorrowedFd<'a>,
    /// For bind mounts: the mount's index in config.json, and its source (`O_PATH`).
    pub sources: &'a [(usize, BorrowedFd<'a>)],
    /// The fingerprint of its own layer when it ended the last time ([`Engine::fingerprint`]), where that was seen.
    pub ended: Option<Sha256>,
    /// What it binds from outside may have to be allowed by an app's rule.
    pub judged: bool,
}

/// Says which volume's placeholder a source is, by device and inode; none where it lies elsewhere. An error where it
/// lies among the placeholders and is none.
pub type Placeholders<'a> = dyn Fn(BorrowedFd<'_>) -> Result<Option<VolumeName>> + 'a;

/// A measurement, and what was found on the way that opening needs.
#[derive(Debug)]
pub struct Evidence {
    /// The facts.
    pub measurement: Measurement,
    /// The image's layers, uppermost first (`O_PATH`).
    pub layers: Vec<OwnedFd>,
    /// As [`Bundle::judged`].
    pub judged: bool,
    /// The text of the ticket that the launch brings, which nobody has checked.
    pub ticket: Option<String>,
}

/// What a container was made with, as far as it matters where no runtime is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Its first process has every capability.
    pub every_capability: bool,
    /// What the engine itself mounts for it; volumes of other drivers than its own are not among them.
    pub mounts: Vec<MadeMount>,
}

/// Something that the engine mounts for a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MadeMount {
    /// A path of the host's.
    HostPath {
        /// The path.
        source: String,
        /// Where it is in the container.
        destination: String,
    },
    /// A volume of the engine's own, and what its driver was told to mount there; nothing where the texts are empty.
    Local {
        /// Its name.
        name: String,
        /// Where it is in the container.
        destination: String,
        /// The filesystem's type.
        kind: String,
        /// From what.
        device: String,
        /// How.
        options: String,
    },
}

/// One engine: how its containers are measured.
pub trait Engine: Send + Sync {
    /// The engine's name, as a person would say it.
    fn name(&self) -> &'static str;

    /// Measures a container; none where this engine does not know it.
    ///
    /// # Errors
    /// `corrupt` or `denied` where two facts do not fit each other, `invalid` where a document cannot be read,
    /// `unavailable` where the engine keeps its state in a way that is not understood.
    fn measure(&self, bundle: &Bundle<'_>, placeholders: &Placeholders<'_>) -> Result<Option<Evidence>>;

    /// The container that people call so: by its name, its id, or the beginning of that.
    ///
    /// # Errors
    /// `invalid` where it is the beginning of several; `unavailable` where the engine's state cannot be read.
    fn find(&self, text: &str) -> Result<Option<ContainerId>>;

    /// What a container was made with; none where this engine does not know it.
    ///
    /// # Errors
    /// `corrupt` where that cannot be read.
    fn made(&self, container: &ContainerId) -> Result<Option<Made>>;

    /// What the engine itself would mount for a volume of its own, before any runtime is asked; none where it mounts nothing.
    ///
    /// # Errors
    /// As [`Self::made`].
    fn own_volume(&self, name: &str) -> Result<Option<MadeMount>>;

    /// The number of a running container's first process.
    ///
    /// # Errors
    /// As [`Self::measure`].
    fn first_process(&self, container: &ContainerId) -> Result<Option<u32>>;

    /// The argv of the healthcheck that the engine runs in a container: its image's, or one that it was given. As the engine says,
    /// for whoever makes a rule; what may run beside a volume is judged by what is run.
    ///
    /// # Errors
    /// As [`Self::measure`].
    fn healthcheck(&self, container: &ContainerId) -> Result<Option<Vec<String>>>;

    /// Whether it has such a container. Where it cannot be told, it has.
    fn knows(&self, container: &ContainerId) -> bool;

    /// What a container's own layer is like now, told by one value: another one is another layer. None where this engine does not
    /// know the container, or no longer.
    ///
    /// # Errors
    /// As [`Self::measure`].
    fn fingerprint(&self, container: &ContainerId) -> Result<Option<Sha256>>;

    /// Where a running container's root filesystem is not that of its image, but for what it writes itself.
    ///
    /// # Errors
    /// As [`Self::measure`].
    fn root_changes(&self, measurement: &Measurement) -> Result<Option<RootChanges>>;
}
