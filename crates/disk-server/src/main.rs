//! `cofferdam-disk`: creates, serves, checks and describes sealed disks.

use std::process::ExitCode;

fn main() -> ExitCode {
    eprintln!("cofferdam-disk: this build has no verbs yet");
    ExitCode::from(2)
}
