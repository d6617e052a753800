//! What must be installed on the machine, and how it gets there: by apt on Debian and its relatives, else by
//! the reader of a clear message.

use crate::{
    binaries::find,
    command::finish,
    failure::{Failure, Outcome},
    progress::step,
};
use std::{collections::BTreeSet, fs, process::Command};

/// A program that everything here needs, and the Debian packages that bring it: the second is asked for
/// only where the first did not bring it.
struct Need {
    program: &'static str,
    packages: &'static [&'static str],
}

const fn need(program: &'static str, packages: &'static [&'static str]) -> Need {
    Need { program, packages }
}

/// Everything that the private host uses.
const NEEDED: [Need; 15] = [
    need("dockerd", &["docker.io"]),
    need("docker", &["docker.io", "docker-cli"]),
    need("runc", &["runc"]),
    need("crun", &["crun"]),
    need("busybox", &["busybox-static"]),
    need("debootstrap", &["debootstrap"]),
    need("mkfs.ext4", &["e2fsprogs"]),
    need("unshare", &["util-linux"]),
    need("setpriv", &["util-linux"]),
    need("mount", &["mount"]),
    need("groupadd", &["passwd"]),
    need("ip", &["iproute2"]),
    need("tar", &["tar"]),
    need("timeout", &["coreutils"]),
    need("pgrep", &["procps"]),
];

/// Makes sure that everything is there; with `install`, by installing what is not.
///
/// # Errors
/// Where something is missing and may not or cannot be installed; the text says what to install.
pub fn prepare(install: bool) -> Outcome {
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::new(
            "this needs root: it starts a Docker of its own; run it with sudo",
        ));
    }
    for round in 0..2 {
        let packages = missing(round);
        if packages.is_empty() {
            return Ok(());
        }
        let list = packages.iter().copied().collect::<Vec<_>>().join(" ");
        if !install {
            return Err(Failure::new(format!(
                "not installed: {list}; run this again without --no-install, or install them"
            )));
        }
        if find("apt-get").is_none() {
            let programs = NEEDED
                .iter()
                .map(|need| need.program)
                .collect::<Vec<_>>()
                .join(", ");
            return Err(Failure::new(format!(
                "this is not Debian or Ubuntu, so nothing is installed by itself; install Docker, runc and the other of these programs, then run this again: {programs}"
            )));
        }
        step(&format!("installing with apt-get: {list}"), || {
            install_packages(&packages)
        })?;
    }
    let programs = absent().map(|need| need.program).collect::<Vec<_>>().join(", ");
    if programs.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "installed, but still not there: {programs}"
    )))
}

/// The release's own name, such as `bookworm`.
///
/// # Errors
/// Where the machine does not say.
pub fn codename() -> Outcome<String> {
    let text = fs::read_to_string("/etc/os-release")?;
    text.lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .map(|name| name.trim_matches('"').to_owned())
        .ok_or_else(|| Failure::new("/etc/os-release names no release; a Debian or Ubuntu is needed"))
}

/// Installs packages with apt-get, after one update.
///
/// # Errors
/// What apt-get said.
pub fn install_packages(packages: &BTreeSet<&'static str>) -> Outcome {
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .arg("-y")
            .args(arguments);
        finish(&command)?.ok()
    };
    apt(&["update"])?;
    let mut arguments = vec!["install", "--no-install-recommends"];
    arguments.extend(packages);
    apt(&arguments)?;
    Ok(())
}

fn absent() -> impl Iterator<Item = &'static Need> {
    NEEDED.iter().filter(|need| find(need.program).is_none())
}

fn missing(round: usize) -> BTreeSet<&'static str> {
    absent()
        .filter_map(|need| need.packages.get(round).or(need.packages.last()).copied())
        .collect()
}
