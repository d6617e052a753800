//! `cofferdam-runtime`: what an engine calls as its OCI runtime.
//!
//! It looks at the verb. `create` and `run` of a container with a volume, of one that binds a host path or could reach others, and `exec` and `checkpoint` in one that holds
//! a volume, are asked of the daemon first; everything else goes straight to the real runtime. In the end the
//! process always becomes the real runtime, or says why not. A container that bears the mark of a plan is asked about and never starts (`plan`).
//!
//! What it does not do: decide, measure, keep state. It is synchronous and starts in about a millisecond,
//! since every container on the host passes through it.

mod added;
mod arguments;
mod ask;
mod attach;
mod bundle;
mod guarded;
mod handover;
mod plan;
mod report;
mod verbs;

use arguments::Invocation;
use std::process::ExitCode;

fn main() -> ExitCode {
    let given: Vec<_> = std::env::args_os().skip(1).collect();
    let mut log = report::Log::default();
    match verbs::prepare(&given, &mut log)
        .and_then(|settings| handover::become_runtime(&settings, Invocation::forwarded(&given)))
    {
        Ok(never) => match never {},
        Err(problem) => log.refuse(&problem),
    }
}
