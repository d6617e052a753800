//! What must be installed on the machine, and how it gets there: by apt on Debian and its relatives, else by
//! the reader of a clear message.

use crate::{
    binaries::{find, find_compose, find_postgres, find_python_module},
    command::finish,
    failure::{Failure, Outcome},
    progress::step,
};
use std::{collections::BTreeSet, fs, path::PathBuf, process::Command};

/// A program that everything here needs, and the Debian packages that bring it: the second is asked for
/// only where the first did not bring it.
struct Need {
    program: &'static str,
    packages: &'static [&'static str],
    find: fn(&str) -> Option<PathBuf>,
}

const fn need(program: &'static str, packages: &'static [&'static str]) -> Need {
    Need {
        program,
        packages,
        find,
    }
}

/// One of PostgreSQL's own, which Debian keeps off the search path.
const fn need_of_postgres(program: &'static str, packages: &'static [&'static str]) -> Need {
    Need {
        program,
        packages,
        find: find_postgres,
    }
}

/// A module that the system's Python imports.
const fn need_of_python(module: &'static str, packages: &'static [&'static str]) -> Need {
    Need {
        program: module,
        packages,
        find: find_python_module,
    }
}

/// Compose, which is a program or a plugin of Docker's client.
const fn need_of_docker(program: &'static str, packages: &'static [&'static str]) -> Need {
    Need {
        program,
        packages,
        find: find_compose,
    }
}

/// Everything that the private host uses, and the unit tests beside it.
const FOR_HOST: [Need; 22] = [
    need("dockerd", &["docker.io"]),
    need("docker", &["docker.io", "docker-cli"]),
    need_of_docker("docker-compose", &["docker-compose", "docker-compose-v2"]),
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
    need("nsenter", &["util-linux"]),
    need("c++", &["g++"]),                                     // the fuzzer's own half
    need("openssl", &["openssl"]),                             // crates/deed: keys in PEM
    need("age", &["age"]),                                     // crates/keys: wrapped keys
    need("softhsm2-util", &["softhsm2"]),                      // crates/keys: PKCS#11
    need_of_python("cryptography", &["python3-cryptography"]), // crates/disk/tests/stranger.py
];

/// Everything that the benchmark of the sealed disk uses.
const FOR_DISK_BENCH: [Need; 14] = [
    need("gocryptfs", &["gocryptfs"]),
    need("fusermount", &["fuse3", "fuse"]),
    need("fio", &["fio"]),
    need("mkfs.ext4", &["e2fsprogs"]),
    need("dumpe2fs", &["e2fsprogs"]),
    need("losetup", &["mount"]),
    need("mount", &["mount"]),
    need("unshare", &["util-linux"]),
    need("setpriv", &["util-linux"]),
    need("tar", &["tar"]),
    need("find", &["findutils"]),
    need("timeout", &["coreutils"]),
    need_of_postgres("initdb", &["postgresql"]),
    need_of_postgres("pgbench", &["postgresql", "postgresql-contrib"]),
];

/// Everything that the tests of the sealed disk on the running kernel use.
const FOR_DISK_TESTS: [Need; 14] = [
    need("fio", &["fio"]),
    need("mkfs.ext4", &["e2fsprogs"]),
    need("e2fsck", &["e2fsprogs"]),
    need("busybox", &["busybox-static"]),
    need("linux.uml", &["user-mode-linux"]), // a kernel in which root has every right
    need("mount", &["mount"]),
    need("fsfreeze", &["util-linux"]),
    need("setpriv", &["util-linux"]),
    need("fallocate", &["util-linux"]),
    need("truncate", &["coreutils"]),
    need("diff", &["diffutils"]),
    need_of_postgres("initdb", &["postgresql"]),
    need_of_postgres("pg_amcheck", &["postgresql"]),
    need_of_postgres("pgbench", &["postgresql", "postgresql-contrib"]),
];

/// Makes sure that everything for the private host is there; with `install`, by installing what is not.
///
/// # Errors
/// Where something is missing and may not or cannot be installed; the text says what to install.
pub fn prepare(install: bool) -> Outcome {
    root("it starts a Docker of its own")?;
    provide(&FOR_HOST, install)
}

/// Makes sure that everything for the tests of the sealed disk is there; with `install`, by installing what is not.
///
/// # Errors
/// As for [`prepare`].
pub fn prepare_disk_tests(install: bool) -> Outcome {
    root("it mounts filesystems")?;
    if !install {
        return provide(&FOR_DISK_TESTS, false);
    }
    without_cluster(|| provide(&FOR_DISK_TESTS, true))
}

/// Makes sure that everything for the benchmark of the sealed disk is there, by installing what is not.
///
/// # Errors
/// Where something is missing and cannot be installed; the text says what to install.
pub fn prepare_disk_bench() -> Outcome {
    root("it mounts filesystems")?;
    without_cluster(|| provide(&FOR_DISK_BENCH, true))
}

fn root(why: &str) -> Outcome {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    Err(Failure::new(format!("this needs root: {why}; run it with sudo")))
}

fn provide(needed: &[Need], install: bool) -> Outcome {
    for round in 0..2 {
        let packages = missing(needed, round);
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
            let programs = needed
                .iter()
                .map(|need| need.program)
                .collect::<Vec<_>>()
                .join(", ");
            return Err(Failure::new(format!(
                "this is not Debian or Ubuntu, so nothing is installed by itself; install what brings these programs, then run this again: {programs}"
            )));
        }
        step(&format!("installing with apt-get: {list}"), || {
            install_packages(&packages)
        })?;
    }
    let programs = absent(needed)
        .map(|need| need.program)
        .collect::<Vec<_>>()
        .join(", ");
    if programs.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "installed, but still not there: {programs}"
    )))
}

/// Installs without Debian's habit of making and starting a PostgreSQL cluster with the package
/// (pg_createcluster(1), `create_main_cluster`). The setting goes again afterwards: it is for this
/// installation, not for the machine's owner.
fn without_cluster(install: impl FnOnce() -> Outcome) -> Outcome {
    if find_postgres("initdb").is_some() {
        return install();
    }
    fs::create_dir_all(CLUSTER_SETTINGS)?;
    let setting = format!("{CLUSTER_SETTINGS}/cofferdam.conf");
    fs::write(&setting, "create_main_cluster = false\n")?;
    let installed = install();
    fs::remove_file(setting)?;
    installed
}

/// What Debian's package reads before it makes a cluster.
const CLUSTER_SETTINGS: &str = "/etc/postgresql-common/createcluster.d";

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

fn absent(needed: &[Need]) -> impl Iterator<Item = &Need> {
    needed.iter().filter(|need| (need.find)(need.program).is_none())
}

fn missing(needed: &[Need], round: usize) -> BTreeSet<&'static str> {
    absent(needed)
        .filter_map(|need| need.packages.get(round).or(need.packages.last()).copied())
        .collect()
}
