//! `cofferdam-disk`: creates, serves, checks and describes sealed disks.

use std::process::ExitCode;

fn main() -> ExitCode {
    cofferdam_disk_server::run(std::env::args_os())
}
