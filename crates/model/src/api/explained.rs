//! What `cofferdam why` and `cofferdam plan` are told beside a decision: the apps that come into question, point by point, and the
//! one command that would change the answer.

use super::{Decision, VolumeDecision};
use crate::{AppName, ContainerId, PlanId, Problem, VolumeName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A decision, with what explains it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// The decision, as it was taken.
    #[serde(flatten)]
    pub decision: Decision,
    /// The apps that come into question, as their rules are now, the closest one first. Those that the asker may not see are left
    /// out.
    #[serde(default)]
    pub compared: Vec<Compared>,
    /// How many more come into question.
    #[serde(default)]
    pub more: usize,
    /// What would change the answer.
    #[serde(default)]
    pub remedy: Remedy,
}

/// A container beside an app's rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compared {
    /// The app.
    pub app: AppName,
    /// Which of the volumes asked for it has a grant on.
    pub granted: Vec<VolumeName>,
    /// Its rule was made after the decision: what is shown is not what was decided by.
    #[serde(default)]
    pub newer: bool,
    /// Every point, in the same order for every app.
    pub points: Vec<Point>,
}

impl Compared {
    /// In how many points the container is not what the rule asks for.
    pub fn differing(&self) -> usize {
        self.points.iter().filter(|point| point.differs).count()
    }
}

/// One point of a rule, beside what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// Which one, such as `command` or `environment POSTGRES_DB`.
    pub what: String,
    /// What was found is not what the rule asks for.
    pub differs: bool,
    /// What the rule asks for.
    pub rule: String,
    /// What was found.
    pub found: String,
}

/// What would change an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    /// It was allowed, or nothing is known that would help.
    #[default]
    None,
    /// As apps and grants are now, it would be allowed.
    Now,
    /// Something else than a rule or a grant: what to do.
    Told(String),
    /// Nothing should; why not.
    Never(String),
    /// One line for a shell.
    Command {
        /// The line.
        line: String,
        /// What else is needed, or would do as well.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        besides: Option<String>,
    },
}

/// What would be decided about a launch (`GET /v1/plans/{id}`). Nothing was opened, and nothing started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Its id.
    pub id: PlanId,
    /// When it was made.
    pub at: Timestamp,
    /// The container that an engine had made, and that never started.
    pub container: ContainerId,
    /// Whether the daemon would be asked at all. Where not, it starts without.
    pub asked: bool,
    /// Whether it would start.
    pub allowed: bool,
    /// What would be decided of each volume by itself.
    pub volumes: Vec<VolumeDecision>,
    /// What would be decided of each host path.
    pub host_paths: Vec<PlannedPath>,
    /// What would be decided of how it could reach other containers; none where it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neighbour: Option<PlannedNeighbour>,
    /// The decision as it is kept, explained; none where there is nothing to decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explained: Option<Box<Explained>>,
}

/// What would be decided of one host path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedPath {
    /// As the engine names it.
    pub source: String,
    /// Where the container would see it.
    pub destination: String,
    /// Why it may not be bound; none where it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Problem>,
}

/// What would be decided of a container that could reach others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedNeighbour {
    /// By what.
    pub ways: Vec<String>,
    /// The app whose rule allows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppName>,
    /// Why it may not start; none where it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Problem>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_alone_reads_as_one_that_nothing_explains() {
        let decision =
            r#"{"id":"7f3a","at":"2026-11-24T11:57:00Z","container":"3f2a","verb":"open","volumes":[]}"#;
        let explained: Explained = serde_json::from_str(decision).unwrap();
        assert_eq!(explained.remedy, Remedy::None);
        assert!(explained.compared.is_empty());
        let again = serde_json::to_string(&explained).unwrap();
        assert_eq!(serde_json::from_str::<Explained>(&again).unwrap(), explained);
    }
}
