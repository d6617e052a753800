//! The protocol between `cofferdam-runtime` and the daemon, version 3.
//!
//! One `SOCK_SEQPACKET` unix socket, root only. The runtime sends one [`Request`] as JSON in one packet of
//! at most [`PACKET_MAX`] bytes, with file descriptors attached (`SCM_RIGHTS`); the daemon answers with any number
//! of [`Reply::Working`], about one a second and only while there is progress, and then one last [`Reply`] with
//! descriptors attached; both close. The runtime waits for each packet as long as its setting says.
//!
//! | request | descriptors sent, in order | descriptors in the answer |
//! |---|---|---|
//! | `open` | sealed memfd with the bytes of config.json; the root filesystem's directory (`O_PATH`); one `O_PATH` per entry of `sources` | one detached mount per entry of `opened` |
//! | `plan` | as `open`; none where `guarded` is none | none |
//! | `exec` | sealed memfd with the process's JSON, where `process` is true | none |
//! | `checkpoint` | none | none |

use crate::{ContainerId, DecisionId, PlanId, Problem};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The version both ends must name.
pub const VERSION: u32 = 3;

/// The longest packet, in bytes.
pub const PACKET_MAX: usize = 64 * 1024;

/// The most descriptors in one packet (unix(7): `SCM_MAX_FD` is 253).
pub const DESCRIPTORS_MAX: usize = 250;

/// What the runtime asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`VERSION`].
    pub version: u32,
    /// The container's id, as the engine gave it.
    pub container: ContainerId,
    /// The runtime's state directory (`--root`).
    pub runtime_root: PathBuf,
    /// What is about to happen.
    pub verb: Verb,
}

/// What is about to happen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Verb {
    /// `create` or `run`: measure, decide, open.
    Open {
        /// Whether one of the sources looks like a placeholder. Without it the container is guarded for something else: a host
        /// path, or that it could reach other containers.
        volume: bool,
        /// For each source descriptor, the index of its mount in config.json.
        sources: Vec<usize>,
    },
    /// `create` or `run` of a container that bears the mark of a plan: measure and decide, and open nothing. Whatever is answered, the
    /// runtime does not start it.
    Plan {
        /// The plan's id.
        plan: PlanId,
        /// What would be asked for it; none where nothing would be.
        guarded: Option<Guarded>,
    },
    /// `exec`: another process in a container that holds a volume.
    Exec {
        /// Whether the process's JSON (`--process`) is attached; without it the process was given as arguments.
        process: bool,
    },
    /// `checkpoint`: a memory image of a container that holds a volume.
    Checkpoint,
}

/// What is asked for a container that is guarded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guarded {
    /// As in [`Verb::Open`].
    pub volume: bool,
    /// As in [`Verb::Open`].
    pub sources: Vec<usize>,
}

/// What the daemon answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reply {
    /// Not done yet, but getting on: a new volume is given its first content.
    Working,
    /// Every mount is allowed; one detached mount is attached for each of these, in order.
    Opened {
        /// What was opened.
        opened: Vec<OpenedMount>,
        /// Mounts whose source was judged as it was sent, and must be mounted from that very descriptor.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        as_judged: Vec<usize>,
    },
    /// It may go on as it is.
    Allowed,
    /// What would have been decided, for whoever plans. Nothing was opened.
    Planned {
        /// Why it would have been refused; none where it would have started.
        refused: Option<Problem>,
    },
    /// Refused.
    Refused {
        /// Why, and what to do.
        problem: Problem,
        /// For `cofferdam why`, where a decision was taken.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        decision: Option<DecisionId>,
    },
}

/// One mount that was opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenedMount {
    /// Its place in config.json's `mounts`.
    pub mount: usize,
    /// The mount is read-only, whatever the bundle asked for.
    pub read_only: bool,
}
