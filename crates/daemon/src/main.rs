//! `cofferdamd`: measures containers, decides by policy, opens volumes.
//!
//! | room | subject |
//! |---|---|
//! | `start` | from settings to a running daemon, and to a clean end |
//! | `daemon` | the parts that every room works with |
//! | `faces` | the three sockets: runtime, admin API, Docker volume plugin |
//! | `road` | measure → decide → open, and the leases that come of it |
//! | `sealed` | sealed volumes: keys, deeds, disk servers |
//! | `operations` | tenants, apps, volumes, grants |
//! | `state` | the registry and its snapshot |
//! | `ledger` | the record of it all, kept open |
//! | `docker_api` | the one question that Docker's API is asked |

mod daemon;
mod docker_api;
mod faces;
mod ledger;
mod operations;
mod road;
mod sealed;
mod start;
mod state;

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures containers, decides by policy, opens volumes.
#[derive(Parser)]
#[command(
    name = "cofferdamd",
    version,
    after_help = "Example:\n  cofferdamd --config /etc/cofferdam/config.toml"
)]
struct Arguments {
    /// The settings file [default: /etc/cofferdam/config.toml, which need not exist]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

fn main() -> ExitCode {
    match start::run(Arguments::parse().config.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("cofferdamd: {problem}");
            ExitCode::FAILURE
        }
    }
}
