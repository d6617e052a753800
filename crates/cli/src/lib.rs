//! The command `cofferdam`: everything an operator does, over the daemon's admin API.
//!
//! Reading from the top: `arguments` is the one definition of every verb, from which the parser, the
//! help, the man pages and the completions come; `verb` holds one file for each noun; a verb asks the
//! daemon through `client` and answers with a `report`; `exit` turns what happened into text on
//! stderr and an exit code.
//!
//! What this crate does not do: decide, measure, open the registry, or talk to an engine, but for the one command that `plan` is given
//! (`docker`). It knows
//! nothing that `cofferdam_model::api` does not say, but how a tenant that keeps its own key signs (`signing`).

mod age;
mod arguments;
mod client;
mod confirm;
mod context;
mod docker;
mod duration;
mod exit;
mod generated;
mod layout;
mod report;
mod signing;
mod usage;
mod verb;
mod visible;

pub use client::{DEFAULT_SOCKET, RESPONSE_MAX};
pub use generated::{write_completions, write_man_pages};

use arguments::Cli;
use clap::{CommandFactory, Parser};
use context::Context;
use std::{ffi::OsString, process::ExitCode};

/// Does what the command line says. The exit code is 0 for done, 1 for refused or failed, 2 for a
/// command line or request that is wrong, 3 for a daemon that does not answer, 4 for a plan that would be refused.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let cli = match Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => return usage::explain(&error, &arguments),
    };
    let context = Context::new(&cli.global);
    match verb::run(&cli.verb, &context) {
        Ok(report) => exit::success(report),
        Err(problem) => exit::failure(&problem, cli.global.json),
    }
}

/// The definition of every verb and option, as the parser, the help, the man pages and the completions
/// use it.
pub fn command() -> clap::Command {
    Cli::command()
}
