//! `attack`: real attacks on a private Docker, each without Cofferdam and with it.

use crate::build;
use e2e::{
    Outcome,
    attack::suite,
    ground,
    namespaces::{Place, enter},
};
use std::{ffi::OsString, path::PathBuf};

/// What the help ends with.
pub(crate) const EXAMPLES: &str = "Examples:\n  \
    cargo xtask attack\n  \
    cargo xtask attack --filter tickets\n  \
    cargo xtask attack --list\n  \
    cargo xtask attack --without-authz\n  \
    cargo xtask attack --json attacks.json";

/// Which, and where to say what came of them.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Only attacks whose name contains this.
    #[arg(long, default_value = "")]
    filter: String,
    /// Also write what came of them to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Say what the attacks are, and carry out none.
    #[arg(long)]
    list: bool,
    /// Install nothing; say what is missing instead.
    #[arg(long)]
    no_install: bool,
    /// Have Docker ask Cofferdam nothing about what its clients ask: the AuthZ plugin is off.
    #[arg(long)]
    without_authz: bool,
    /// Attack the binaries as they are in target/debug.
    #[arg(long, hide = true)]
    as_built: bool,
}

/// The outer half: prepares the ground, builds, and enters the private host.
///
/// # Errors
/// Where something is missing, or does not build.
pub(crate) fn run(options: &Options) -> Outcome<u8> {
    if options.list {
        print!("{}", suite::list(&options.filter));
        return Ok(0);
    }
    ground::prepare(!options.no_install)?;
    let binaries = if options.as_built {
        build::target()?.join("debug")
    } else {
        build::for_tests()?
    };
    // The inner half has the same working directory, so the file that is named means the same.
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    let code = enter(&binaries, &build::images()?, &words)?;
    Ok(u8::try_from(code).unwrap_or(1))
}

impl Options {
    /// The inner half.
    ///
    /// # Errors
    /// Where the private host cannot be raised.
    pub(crate) fn run_inside(&self, place: Place) -> Outcome<u8> {
        let asking = match self.without_authz {
            true => suite::Asking::Off,
            false => suite::Asking::On,
        };
        suite::run(place, &self.filter, asking, self.json.as_deref())
    }
}
