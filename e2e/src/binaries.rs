//! Where programs are: those of the machine, and the three that are being tested.

use crate::{
    command::run,
    failure::{During, Outcome},
};
use std::path::{Path, PathBuf};

/// Where programs of the machine are looked for, in this order.
const DIRECTORIES: [&str; 6] = [
    "/usr/bin",
    "/usr/sbin",
    "/bin",
    "/sbin",
    "/usr/local/bin",
    "/usr/local/sbin",
];

/// The search path of everything that is run inside, behind the binaries under test.
pub fn search_path() -> String {
    DIRECTORIES.join(":")
}

/// A program of the machine: the distribution's before a local one.
pub fn find(name: &str) -> Option<PathBuf> {
    DIRECTORIES
        .iter()
        .map(|directory| Path::new(directory).join(name))
        .find(|path| path.is_file())
}

/// Where Docker's client looks for its plugins (docker/cli, `cli-plugins/manager`).
const PLUGINS: [&str; 4] = [
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
];

/// Compose: a program, or a plugin of Docker's client.
pub fn find_compose(name: &str) -> Option<PathBuf> {
    let plugins = PLUGINS.iter().map(|place| Path::new(place).join(name));
    find(name).or_else(|| plugins.into_iter().find(|path| path.is_file()))
}

/// Where Debian keeps PostgreSQL's own programs: `<version>/bin` below this.
const POSTGRES: &str = "/usr/lib/postgresql";

/// A program of PostgreSQL's, of the newest version that is installed.
pub fn find_postgres(name: &str) -> Option<PathBuf> {
    let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
    let mut versions: Vec<PathBuf> = std::fs::read_dir(POSTGRES)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    versions.sort_by_key(version);
    versions
        .into_iter()
        .rev()
        .map(|directory| directory.join("bin").join(name))
        .find(|path| path.is_file())
}

/// The Python that can import a module: the one on the search path, or the system's.
pub fn find_python_module(name: &str) -> Option<PathBuf> {
    ["python3", "/usr/bin/python3"]
        .into_iter()
        .find(|python| {
            let import = format!("import {name}");
            let ran = run(python, &["-c", import.as_str()]);
            ran.is_ok_and(|ran| ran.is_ok())
        })
        .map(PathBuf::from)
}

/// A program of the machine that must be there.
///
/// # Errors
/// Where it is not installed.
pub fn need(name: &str) -> Outcome<PathBuf> {
    find(name).during(format!("{name} is not installed"))
}
