//! What was decided about a container, as it is kept and shown.

use crate::{AppName, ContainerId, DecisionId, Measurement, Problem, VolumeName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One decision, as `cofferdam why` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decision {
    /// Its id.
    pub id: DecisionId,
    /// When it was taken.
    pub at: Timestamp,
    /// About which container.
    pub container: ContainerId,
    /// What was asked: `open`, `exec` or `checkpoint`; `plan` where only what would be decided was asked, `observe` where the
    /// answer changed nothing.
    pub verb: String,
    /// The answer for each volume asked for.
    pub volumes: Vec<VolumeDecision>,
    /// Why the whole was refused; none when it was allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Problem>,
    /// What the container was found to be; none when it could not be measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measurement: Option<Measurement>,
    /// The container had more of something than is kept here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shortened: bool,
}

/// The answer for one volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VolumeDecision {
    /// The volume asked for.
    pub volume: VolumeName,
    /// The app that the measurement proved, where it proved one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// Opened.
    pub allowed: bool,
    /// Opened read-only.
    #[serde(default)]
    pub read_only: bool,
    /// Every reason, each one sentence: the policies that decided, and each point where the measurement differs from a rule. Of very
    /// many the first, and how many more there are.
    pub reasons: Vec<String>,
    /// The policies that decided, by file and id, such as `generic.cedar/read`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<String>,
}
