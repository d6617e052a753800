//! `cofferdam`: everything an operator does, over the daemon's admin API.

use std::process::ExitCode;

fn main() -> ExitCode {
    cofferdam_cli::run(std::env::args_os())
}
