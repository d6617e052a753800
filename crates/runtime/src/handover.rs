//! Becoming the real runtime.

use cofferdam_model::{Problem, Result, Settings};
use std::convert::Infallible;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Replaces this process by the real runtime, with the same arguments; never by a name that `PATH` resolves.
///
/// # Errors
/// `unavailable` where it cannot be run.
pub(crate) fn become_runtime(settings: &Settings, arguments: &[OsString]) -> Result<Infallible> {
    let program = &settings.runtime.program;
    let error = Command::new(program).args(arguments).exec();
    Err(Problem::unavailable(format!(
        "cannot run the real runtime {}: {error}",
        program.display()
    ))
    .remedy("install runc, or set runtime.program in /etc/cofferdam/config.toml"))
}
