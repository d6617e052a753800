//! Man pages and shell completions, from the same definitions as the parser and the help.

use clap_complete::Shell;
use cofferdam_model::{Problem, Result};
use std::{fmt::Display, io, path::Path};

/// The shells that have completions.
pub(crate) const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// Writes one man page for the command and one for each of its subcommands (`cofferdam-volume-create.1`)
/// into the directory, which is made where it is missing.
///
/// # Errors
///
/// `unavailable` where the directory cannot be written.
pub fn write_man_pages(directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory)
        .and_then(|()| clap_mangen::generate_to(crate::command(), directory))
        .map_err(|error| unwritable(directory.display(), &error))
}

/// Writes the completions of every shell (`cofferdam.bash`, `_cofferdam`, `cofferdam.fish`) into the
/// directory, which is made where it is missing.
///
/// # Errors
///
/// `unavailable` where the directory cannot be written.
pub fn write_completions(directory: &Path) -> Result<()> {
    std::fs::create_dir_all(directory).map_err(|error| unwritable(directory.display(), &error))?;
    for shell in SHELLS {
        clap_complete::generate_to(shell, &mut crate::command(), "cofferdam", directory)
            .map_err(|error| unwritable(directory.display(), &error))?;
    }
    Ok(())
}

/// One shell's completions.
pub(crate) fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::command(), "cofferdam", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

fn unwritable(place: impl Display, error: &io::Error) -> Problem {
    Problem::unavailable(format!("cannot write to {place}: {error}"))
        .remedy("name a directory that you may write")
}
