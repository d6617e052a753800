//! The command line, and which room each verb is in.

use crate::{attack, bench, check, demo, install, judge, outside, soak, test};
use clap::{Parser, Subcommand};
use e2e::{Outcome, namespaces::Place, neighbour, suite};
use std::path::PathBuf;

/// The whole line.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    about = "What contributors and users type in this repository"
)]
pub(crate) struct Line {
    /// The scratch directory of the private host that this runs in.
    #[arg(long, hide = true)]
    inside: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run all checks and tests; on Debian, install what they need first.
    Test {
        /// Only tests whose name contains this.
        #[arg(long, default_value = "")]
        filter: String,
        /// Install nothing; say what is missing instead.
        #[arg(long)]
        no_install: bool,
    },
    /// Check formatting, lints and licences.
    Check {
        /// Install nothing; say what is missing instead.
        #[arg(long)]
        no_install: bool,
    },
    /// Show on a private Docker what Cofferdam is for.
    Demo {
        /// Install nothing; say what is missing instead.
        #[arg(long)]
        no_install: bool,
    },
    /// Measure beside a rival and hold the result against the promised number.
    Bench {
        #[command(subcommand)]
        which: bench::Bench,
    },
    /// Lead simulated lives of the sealed disk; print the seeds of those that go wrong.
    Lives {
        /// How many.
        #[arg(long, default_value_t = 10_000)]
        count: u64,
        /// The first one's seed; the others' follow it.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Fuzz the parsers of what others wrote: stores, deeds, tickets, ledgers, config.json, an engine's state, requests.
    Fuzz {
        /// Which; all in turn, if none is named.
        target: Option<String>,
        /// Seconds for each.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Crash a sealed disk under load again and again, and compare what was promised.
    Soak(soak::Options),
    /// Build for release and install on this host.
    Install {
        /// Install below this directory, for packagers.
        #[arg(long, default_value = "/")]
        destdir: PathBuf,
        /// Also add the runtime to Docker's settings.
        #[arg(long)]
        docker: bool,
        /// The same, and have Docker ask Cofferdam about whatever its clients ask (the AuthZ plugin): Docker then does nothing for
        /// anybody while cofferdamd is away.
        #[arg(long)]
        docker_authz: bool,
    },
    /// Run the end-to-end cases alone, with the binaries as they are in target/debug.
    Suite {
        /// Only cases whose name contains this.
        #[arg(long, default_value = "")]
        filter: String,
    },
    /// Attack a private Docker in every way we know, without Cofferdam and with it.
    #[command(after_help = attack::EXAMPLES)]
    Attack(attack::Options),
    /// Live as a second private host, for a case that needs two.
    #[command(hide = true, name = e2e::neighbour::VERB)]
    Neighbour { shared: PathBuf },
    /// Man pages and completions below a directory; with the feature `pages` only.
    #[cfg(feature = "pages")]
    #[command(hide = true)]
    Pages { directory: PathBuf },
}

impl Line {
    /// Runs the verb, outside or inside; answers the exit code.
    pub(crate) fn run(self) -> Outcome<u8> {
        match self.inside {
            Some(scratch) => run_inside(self.verb, Place::read(&scratch)?),
            None => run_outside(self.verb),
        }
    }
}

fn run_outside(verb: Verb) -> Outcome<u8> {
    match verb {
        Verb::Test { filter, no_install } => test::run(&filter, !no_install),
        Verb::Check { no_install } => check::run(!no_install).map(|totals| totals.exit_code()),
        Verb::Demo { no_install } => outside::demo(!no_install),
        Verb::Bench {
            which: bench::Bench::SealedDisk(options),
        } => outside::sealed_disk(&options),
        Verb::Bench { which } => outside::bench(&which),
        Verb::Lives { count, seed } => judge::lives(count, seed).map(|()| 0),
        Verb::Fuzz { target, seconds } => judge::fuzz(target.as_deref(), seconds).map(|()| 0),
        Verb::Soak(options) => soak::run(options),
        Verb::Install {
            destdir,
            docker,
            docker_authz,
        } => {
            let docker = match (docker, docker_authz) {
                (_, true) => install::Docker::Asking,
                (true, false) => install::Docker::Runtime,
                (false, false) => install::Docker::AsItIs,
            };
            install::run(&destdir, docker).map(|()| 0)
        }
        Verb::Suite { filter } => outside::suite(&filter),
        Verb::Attack(options) => attack::run(&options),
        Verb::Neighbour { .. } => Err(e2e::Failure::new("a neighbour lives beside a private host alone")),
        #[cfg(feature = "pages")]
        Verb::Pages { directory } => crate::pages::write(&directory).map(|()| 0),
    }
}

fn run_inside(verb: Verb, place: Place) -> Outcome<u8> {
    match verb {
        Verb::Suite { filter } => suite::run(place, &filter),
        Verb::Attack(options) => options.run_inside(place),
        Verb::Neighbour { shared } => neighbour::live(place, &shared),
        Verb::Demo { .. } => demo::run(place),
        Verb::Bench { which } => which.run(place).map(|()| 0),
        _ => Err(e2e::Failure::new("this verb does not run inside a private host")),
    }
}
