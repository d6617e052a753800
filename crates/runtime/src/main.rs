//! `cofferdam-runtime`: what an engine calls as its OCI runtime.

use std::process::ExitCode;

fn main() -> ExitCode {
    cofferdam_runtime::run(std::env::args_os().skip(1).collect())
}
