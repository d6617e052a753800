//! Building, and where what was built lies. One target directory; the tests and the demo share one build.

use e2e::{Failure, Outcome, failure::During, progress::step};
use std::{
    path::{Path, PathBuf},
    process::Command,
};

/// The packages of the binaries.
const PACKAGES: [&str; 8] = [
    "-p",
    "cofferdam-daemon",
    "-p",
    "cofferdam-runtime",
    "-p",
    "cofferdam-cli",
    "-p",
    "cofferdam-disk-server",
];

/// The repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The target directory that this program was built in.
pub(crate) fn target() -> Outcome<PathBuf> {
    let program = std::env::current_exe()?;
    program
        .ancestors()
        .nth(2)
        .map(Path::to_owned)
        .during("the target directory")
}

/// Where images are cached.
pub(crate) fn images() -> Outcome<PathBuf> {
    Ok(target()?.join("images"))
}

/// What makes tests do all that they can, where a plain `cargo test` samples.
pub(crate) const THOROUGH: &str = "cofferdam-disk/every-byte";

/// Builds what the tests drive, with the targets and features of the whole workspace, as `cargo test` does: both decide
/// which features the dependencies have, and so nothing is built twice.
pub(crate) fn for_tests() -> Outcome<PathBuf> {
    step("building", || {
        let targets = ["--workspace", "--bins", "--tests", "--features", THOROUGH];
        cargo(&[["build", "--quiet"].as_slice(), &targets].concat())
    })?;
    Ok(target()?.join("debug"))
}

/// Builds the binaries for release.
pub(crate) fn for_release() -> Outcome<PathBuf> {
    let mut arguments = vec!["build", "--quiet", "--release"];
    arguments.extend(PACKAGES);
    step("building for release", || cargo(&arguments))?;
    Ok(target()?.join("release"))
}

/// Builds the server of sealed disks for release.
pub(crate) fn disk_server() -> Outcome {
    step("building cofferdam-disk for release", || {
        cargo(&["build", "--quiet", "--release", "-p", "cofferdam-disk-server"])
    })
}

/// Builds the example that measures decisions.
pub(crate) fn decide_example() -> Outcome {
    step("building the decide example", || {
        cargo(&[
            "build",
            "--quiet",
            "--release",
            "-p",
            "cofferdam-policy",
            "--example",
            "decide",
        ])
    })
}

/// Runs cargo in the repository, its output to the terminal.
pub(crate) fn cargo(arguments: &[&str]) -> Outcome {
    let status = cargo_command(arguments).status().during("cargo")?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!("cargo {} failed", arguments.join(" "))))
}

/// A cargo command in the repository.
pub(crate) fn cargo_command(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments).current_dir(repository());
    command
}
