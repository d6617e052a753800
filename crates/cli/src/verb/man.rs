//! `cofferdam man`: the man pages, for those who make packages.

use crate::{generated, report::Report};
use clap::Args;
use cofferdam_model::Result;
use std::path::PathBuf;

/// Write all man pages into a directory
#[derive(Debug, Args)]
#[command(hide = true, after_help = "Examples:\n  cofferdam man target/man")]
pub(crate) struct Man {
    /// The directory; made where it is missing
    directory: PathBuf,
}

impl Man {
    pub(crate) fn run(&self) -> Result<Report> {
        generated::write_man_pages(&self.directory)?;
        Ok(Report::default())
    }
}
