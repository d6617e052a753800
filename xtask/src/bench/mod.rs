//! `cargo xtask bench`: each promised number, measured beside its rival in one run.
//!
//! A benchmark never fails on time: it says whether the number holds. It fails only if it could not be run.

mod attach;
mod bundle;
mod database;
mod decide;
mod remap;
mod sample;
mod sealed;
pub(crate) mod sealed_disk;
mod table;

use clap::{Args, Subcommand};
use e2e::{Host, Outcome, image::make_tiny_images, namespaces::Place, progress::step};
use std::path::PathBuf;
use table::Table;

/// Which benchmark, and how.
#[derive(Debug, Subcommand)]
pub(crate) enum Bench {
    /// What the wrapper and the daemon add to `create`.
    Attach(Report),
    /// A million files to another uid.
    Remap(Report),
    /// Decisions and memory with 100,000 grants.
    Decide(Report),
    /// First openings of a sealed volume, and a thousand of them.
    Sealed(Report),
    /// PostgreSQL in Docker, beside a volume of Docker's own and gocryptfs; takes ten minutes.
    Database(Report),
    /// Attach, remap, decide and sealed.
    All(Report),
    /// The sealed disk beside a plain directory, a loop device and gocryptfs; takes half an hour.
    SealedDisk(sealed_disk::Options),
}

/// How much, and where the table goes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Report {
    /// Also write the table to this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// A tenth of the work, to see whether it runs.
    #[arg(long)]
    quick: bool,
}

impl Bench {
    /// Whether the example `decide` must be built.
    pub(crate) fn needs_decide(&self) -> bool {
        matches!(self, Bench::Decide(_) | Bench::All(_))
    }

    /// Whether PostgreSQL's image and the rivals of a sealed disk are needed.
    pub(crate) fn needs_database(&self) -> bool {
        matches!(self, Bench::Database(_))
    }

    /// Runs it, inside the namespaces that the outer half has made.
    pub(crate) fn run(self, place: Place) -> Outcome {
        let all = matches!(self, Bench::All(_));
        match self {
            Bench::SealedDisk(options) => sealed_disk::run(&place, &options),
            Bench::Attach(ref report)
            | Bench::Remap(ref report)
            | Bench::Decide(ref report)
            | Bench::Sealed(ref report)
            | Bench::Database(ref report)
            | Bench::All(ref report) => {
                let wanted = Wanted {
                    attach: all || matches!(self, Bench::Attach(_)),
                    remap: all || matches!(self, Bench::Remap(_)),
                    decide: all || matches!(self, Bench::Decide(_)),
                    sealed: all || matches!(self, Bench::Sealed(_)),
                    database: matches!(self, Bench::Database(_)),
                };
                on_private_host(place, &wanted, report)
            }
        }
    }
}

/// Those of the private host that are asked for.
struct Wanted {
    attach: bool,
    remap: bool,
    decide: bool,
    sealed: bool,
    database: bool,
}

/// Runs one or all, prints the table and writes it as JSON where that is asked for.
fn on_private_host(place: Place, wanted: &Wanted, report: &Report) -> Outcome {
    let quick = report.quick;
    let examples = place.binaries.join("examples");
    let mut host = step("starting a private Docker and cofferdamd", || {
        let host = Host::raise(place)?;
        make_tiny_images(&host)?;
        Ok(host)
    })?;
    let mut table = Table::default();
    if wanted.attach {
        step("attach", || attach::run(&mut host, &mut table, quick))?;
    }
    if wanted.remap {
        step("remap", || remap::run(&mut host, &mut table, quick))?;
    }
    if wanted.decide {
        step("decide", || decide::run(&mut host, &mut table, &examples, quick))?;
    }
    if wanted.sealed {
        step("sealed", || sealed::run(&mut host, &mut table, quick))?;
    }
    if wanted.database {
        step("database", || database::measure_all(&mut host, &mut table, quick))?;
    }
    print!("{table}");
    if let Some(file) = &report.json {
        std::fs::write(file, table.json()?)?;
    }
    host.remove_containers()?;
    host.daemon.stop()?;
    host.engine.stop()
}
