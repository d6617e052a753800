//! The disk server: one process that shows one sealed disk to the kernel.
//!
//! | room | subject |
//! |---|---|
//! | [`exporter`] | a [`exporter::Disk`] → a block device |
//! | `arguments` | the command line |
//! | `verb` | what each verb does: `create`, `serve`, `check`, `info` |
//! | `sealed` | a sealed volume as a [`exporter::Disk`] |
//! | `minder` | looks after the worker, and has another follow it |
//! | `memory_group` | leaving a cgroup whose limit server and users would share |
//! | `worker`, `wire` | the worker as a process, and what the two say to each other |
//! | `write_cache` | whether a write is answered when it is taken, or when it is durable |
//! | `opened` | a store's claim; a volume that is open in this very process |
//! | `key_file`, `witness_file` | what lies outside of the store |
//! | `filesystem` | ext4 on the device: made once, mounted, unmounted |
//! | `control` | where the daemon's orders come in |
//! | `signals` | waiting for the end |
//! | `notice` | lines for whoever runs this |
//! | `problem` | the engine's faults as a person reads them |
//!
//! What it does not do: know the disk's format, or hold a key longer than the engine needs it.

mod arguments;
mod control;
pub mod exporter;
mod filesystem;
mod growth;
mod held_keys;
mod key_file;
mod memory_group;
mod minder;
mod notice;
mod opened;
mod problem;
mod sealed;
mod signals;
mod verb;
mod wire;
mod wish;
mod witness_file;
mod worker;
mod write_cache;

use clap::Parser;
use cofferdam_model::ErrorKind;
use std::{ffi::OsString, io::Write, process::ExitCode};

use notice::notice;

/// Runs one command line; prints what it answers.
pub fn run(line: impl IntoIterator<Item = OsString>) -> ExitCode {
    let line = match arguments::Line::try_parse_from(line) {
        Ok(line) => line,
        Err(error) => error.exit(),
    };
    let json = line.json;
    match verb::run(line) {
        Ok(code) => code,
        Err(problem) => {
            if json {
                drop(writeln!(
                    std::io::stderr(),
                    "{}",
                    serde_json::json!({ "error": problem })
                ));
            } else {
                notice(&problem);
            }
            ExitCode::from(if problem.kind == ErrorKind::Invalid { 2 } else { 1 })
        }
    }
}
