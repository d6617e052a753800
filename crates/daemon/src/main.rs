//! `cofferdamd`: measures containers, decides by policy, opens volumes.
//!
//! | room | subject |
//! |---|---|
//! | `start` | from settings to a running daemon, and to a clean end |
//! | `confinement` | what the daemon takes from itself first |
//! | `daemon` | the parts that every room works with |
//! | `faces` | the three sockets: runtime, admin API, Docker volume plugin |
//! | `road` | measure → decide → open, and the leases that come of it |
//! | `sealed` | sealed volumes: keys, deeds, disk servers |
//! | `operations` | tenants, apps, volumes, grants |
//! | `state` | the registry and its snapshot |
//! | `ledger` | the record of it all, kept open |
//! | `docker_api` | the one question that Docker's API is asked |

mod confinement;
mod daemon;
mod docker_api;
mod faces;
mod ledger;
mod operations;
mod plans;
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
    after_help = "Examples:\n  cofferdamd --config /etc/cofferdam/config.toml\n  \
        cofferdamd --make-token-key 'pkcs11:token=Volumes;object=host1'"
)]
struct Arguments {
    /// The settings file [default: /etc/cofferdam/config.toml, which need not exist]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Make an AES-256 key in the PKCS#11 token of the settings, and end; the recipient names it: pkcs11:token=LABEL;object=KEY
    #[arg(long, value_name = "RECIPIENT")]
    make_token_key: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = arguments.config.as_deref();
    let ended = match &arguments.make_token_key {
        Some(recipient) => start::make_token_key(config, recipient),
        None => start::run(config),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("cofferdamd: {problem}");
            ExitCode::FAILURE
        }
    }
}
