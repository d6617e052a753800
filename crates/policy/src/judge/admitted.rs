//! The proof that a volume may be opened.

use cofferdam_model::{AppName, MeasuredMount, Result, VolumeName, api::VolumeDecision};

/// A decision, and what follows from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// For the record and for `cofferdam why`.
    pub decision: VolumeDecision,
    /// The proof, or the refusal as its user reads it.
    pub outcome: Result<Admitted>,
}

/// Proof that this volume may be opened at this mount of this container. Only [`Judge::open`](crate::Judge::open)
/// makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    volume: VolumeName,
    app: AppName,
    destination: String,
    mount_index: usize,
    read_only: bool,
    exec: bool,
}

impl Admitted {
    /// Kept within `judge`.
    pub(super) fn new(
        volume: VolumeName,
        app: AppName,
        mount: &MeasuredMount,
        read_only: bool,
        exec: bool,
    ) -> Self {
        Admitted {
            volume,
            app,
            destination: mount.destination.clone(),
            mount_index: mount.index,
            read_only,
            exec,
        }
    }

    /// The volume to open.
    pub fn volume(&self) -> &VolumeName {
        &self.volume
    }

    /// The app that the container was proved to be.
    pub fn app(&self) -> &AppName {
        &self.app
    }

    /// Where the container sees the volume.
    pub fn destination(&self) -> &str {
        &self.destination
    }

    /// The mount's place in config.json's `mounts`.
    pub fn mount_index(&self) -> usize {
        self.mount_index
    }

    /// The volume must be opened read-only.
    pub fn read_only(&self) -> bool {
        self.read_only
    }

    /// The grant also lets processes be added.
    pub fn exec(&self) -> bool {
        self.exec
    }
}
