//! Grants: which app may open which volume, and how.

use crate::{AppName, VolumeName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// App may open volume. Reading is always part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The volume that is opened.
    pub volume: VolumeName,
    /// The app that may open it.
    pub app: AppName,
    /// May write.
    pub write: bool,
    /// Processes may be added to the container while it holds the volume (`docker exec`).
    #[serde(default)]
    pub exec: bool,
    /// Not from this instant on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}
