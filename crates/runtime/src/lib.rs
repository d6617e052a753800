//! The wrapper that an engine calls as its OCI runtime.
//!
//! It looks at the verb. `create` and `run` of a container with a volume, of one that binds a host path or could reach others, and `exec` and `checkpoint` in one that holds
//! a volume, are asked of the daemon first; everything else goes straight to the real runtime. In the end the
//! process always becomes the real runtime, or says why not. A container that bears the mark of a plan is asked about and never starts.
//!
//! | room | subject |
//! |---|---|
//! | `arguments` | the command line |
//! | `verbs` | what each verb needs before the real runtime may run |
//! | `document` | config.json as raw JSON |
//! | `bundle` | config.json, read once, and the sources of its mounts, opened once |
//! | `guarded` | whether a container is asked about |
//! | `ask` | the question to the daemon, and its answer |
//! | `rewritten`, `attach` | config.json as the real runtime reads it; what was opened, placed |
//! | `plan` | containers that bear the mark of a plan |
//! | `added` | a process that is added to a container without a volume |
//! | `handover` | becoming the real runtime |
//! | `report` | how a refusal reaches the user |
//!
//! What it does not do: decide, measure, keep state. It is synchronous and starts in about a millisecond,
//! since every container on the host passes through it.

mod added;
mod arguments;
mod ask;
mod attach;
mod bundle;
mod document;
mod guarded;
mod handover;
#[cfg(feature = "judge")]
pub mod judge;
mod plan;
mod report;
mod rewritten;
mod verbs;

use arguments::Invocation;
use std::{ffi::OsString, process::ExitCode};

/// Does what the command line's verb needs, and becomes the real runtime; returns where that is refused.
pub fn run(given: Vec<OsString>) -> ExitCode {
    let mut log = report::Log::default();
    match verbs::prepare(&given, &mut log)
        .and_then(|settings| handover::become_runtime(&settings, Invocation::forwarded(&given)))
    {
        Ok(never) => match never {},
        Err(problem) => log.refuse(&problem),
    }
}
