//! `cargo xtask`: everything that a contributor or a user types in this repository.
//!
//! | verb | what it does |
//! |---|---|
//! | `test` | installs what the machine lacks, then checks, fuzzes briefly, and runs unit, golden and end-to-end tests |
//! | `check` | formatting, lints, licences |
//! | `demo` | shows on a private Docker what Cofferdam is for |
//! | `bench` | measures beside a rival and holds the result against the promised number |
//! | `lives` | leads simulated lives of the sealed disk, with crashes and damage |
//! | `fuzz` | fuzzes the parsers of what others wrote: stores, deeds, tickets, ledgers, config.json, an engine's state, requests |
//! | `soak` | crashes a sealed disk under load again and again |
//! | `attack` | attacks a private Docker in every way we know, without Cofferdam and with it |
//! | `install` | puts the release build where a host expects it |
//!
//! Verbs that need a private host run this program again inside it (`--inside`, hidden).

mod attack;
mod bench;
mod build;
mod check;
mod demo;
mod deny;
mod install;
mod judge;
mod outside;
#[cfg(feature = "pages")]
mod pages;
mod soak;
mod test;
mod totals;
mod verbs;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    match verbs::Line::parse().run() {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}
