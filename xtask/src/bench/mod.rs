//! `cargo xtask bench`: each promised number, measured beside its rival in one run.
//!
//! A benchmark never fails on time: it says whether the number holds. It fails only if it could not be run.

mod attach;
mod bundle;
mod decide;
mod remap;
mod sample;
mod table;

use clap::ValueEnum;
use e2e::{Host, Outcome, image::make_tiny_images, namespaces::Place, progress::step};
use std::path::Path;
use table::Table;

/// Which benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// What the wrapper and the daemon add to `create`.
    Attach,
    /// A million files to another uid.
    Remap,
    /// Decisions and memory with 100,000 grants.
    Decide,
    /// All of them.
    All,
}

impl Name {
    /// The word on the command line.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Name::Attach => "attach",
            Name::Remap => "remap",
            Name::Decide => "decide",
            Name::All => "all",
        }
    }

    /// Whether the example `decide` must be built.
    pub(crate) fn needs_decide(self) -> bool {
        matches!(self, Name::Decide | Name::All)
    }
}

/// Runs one or all, prints the table and writes it as JSON where that is asked for.
pub(crate) fn run(place: Place, name: Name, json: Option<&Path>, quick: bool) -> Outcome {
    let examples = place.binaries.join("examples");
    let mut host = step("starting a private Docker and cofferdamd", || {
        let host = Host::raise(place)?;
        make_tiny_images(&host)?;
        Ok(host)
    })?;
    let mut table = Table::default();
    let wants = |which| name == which || name == Name::All;
    if wants(Name::Attach) {
        step("attach", || attach::run(&mut host, &mut table, quick))?;
    }
    if wants(Name::Remap) {
        step("remap", || remap::run(&mut host, &mut table, quick))?;
    }
    if wants(Name::Decide) {
        step("decide", || decide::run(&mut host, &mut table, &examples, quick))?;
    }
    print!("{table}");
    if let Some(file) = json {
        std::fs::write(file, table.json()?)?;
    }
    host.remove_containers()?;
    host.daemon.stop()?;
    host.engine.stop()
}
