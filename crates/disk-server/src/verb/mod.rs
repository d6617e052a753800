//! One verb, one room.

mod check;
mod create;
mod info;
mod open;
mod serve;
mod work;

use crate::arguments::{Line, Verb};
use cofferdam_model::Result;
use std::process::ExitCode;

/// Does what the line asks for.
pub(crate) fn run(line: Line) -> Result<ExitCode> {
    match &line.verb {
        Verb::Create(create) => create::run(create, line.json),
        Verb::Serve(serve) => serve::run(serve, line.json),
        Verb::Check(check) => check::run(check, line.json),
        Verb::Info(info) => info::run(info, line.json),
        Verb::Open(open) => open::run(open),
        Verb::Work => work::run(),
    }
}
