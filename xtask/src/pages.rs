//! Man pages and completions of `cofferdam`, from the definitions that its parser uses.

use e2e::Outcome;
use std::path::Path;

/// Writes them below a `share` directory.
pub(crate) fn write(share: &Path) -> Outcome {
    cofferdam_cli::write_man_pages(&share.join("man/man1"))?;
    cofferdam_cli::write_completions(&share.join("cofferdam/completions"))?;
    println!("{}", share.join("man/man1").display());
    println!("{}", share.join("cofferdam/completions").display());
    Ok(())
}
