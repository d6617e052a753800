//! `cargo xtask install`: the release build, where a host expects it.
//!
//! | what | where |
//! |---|---|
//! | `cofferdam` | `/usr/local/bin` |
//! | `cofferdamd`, `cofferdam-runtime`, `cofferdam-disk` | `/usr/local/sbin` |
//! | man pages, completions | `/usr/local/share` |
//! | `cofferdamd.service` | `/etc/systemd/system` |
//! | `config.toml`, unless there is one | `/etc/cofferdam` |
//!
//! It restarts nothing. Docker's settings are changed only where that is asked for.

mod docker;

use crate::build::{cargo, for_release, repository};
use e2e::{Failure, Outcome, binaries::find, command::run as run_program, failure::During};
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// Where the wrapper is on an installed host.
const RUNTIME: &str = "/usr/local/sbin/cofferdam-runtime";

/// What of Docker's settings is changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Docker {
    /// Nothing.
    AsItIs,
    /// The runtime is added.
    Runtime,
    /// Beside that, Docker asks Cofferdam about whatever its clients ask.
    Asking,
}

/// Builds and installs below `destdir`.
pub(crate) fn run(destdir: &Path, docker: Docker) -> Outcome {
    if destdir == Path::new("/") && !rustix_is_root() {
        return Err(Failure::new(
            "installing on this host needs root; or name a directory with --destdir",
        ));
    }
    let built = for_release()?;
    let below = |path: &str| destdir.join(path.trim_start_matches('/'));
    for (name, directory) in [
        ("cofferdam", "/usr/local/bin"),
        ("cofferdamd", "/usr/local/sbin"),
        ("cofferdam-runtime", "/usr/local/sbin"),
        ("cofferdam-disk", "/usr/local/sbin"),
    ] {
        put(&built.join(name), &below(directory).join(name), 0o755)?;
    }
    pages(&below("/usr/local/share"))?;
    let packaging = repository().join("packaging");
    put(
        &packaging.join("cofferdamd.service"),
        &below("/etc/systemd/system/cofferdamd.service"),
        0o644,
    )?;
    settings(
        &packaging.join("config.toml"),
        &below("/etc/cofferdam/config.toml"),
    )?;
    if destdir == Path::new("/") {
        run_program("groupadd", &["--force", "--system", "cofferdam"])?.ok()?;
    }
    let daemon_json = below("/etc/docker/daemon.json");
    if docker == Docker::AsItIs {
        println!(
            "Add these two lines to /etc/docker/daemon.json (or run this with --docker), then restart Docker:"
        );
        println!("{}", docker::lines(RUNTIME));
        println!("Start the daemon with: systemctl enable --now cofferdamd");
    } else {
        docker::merge(&daemon_json, RUNTIME, docker == Docker::Asking)?;
        println!(
            "{} names what is Cofferdam's; now, in this order:",
            daemon_json.display()
        );
        println!("systemctl enable --now cofferdamd");
        println!("systemctl restart docker");
    }
    Ok(())
}

fn rustix_is_root() -> bool {
    run_program("id", &["--user"]).is_ok_and(|ran| ran.text() == "0")
}

/// Replaces a file by rename, so that a running program goes on with the old one.
fn put(from: &Path, to: &Path, mode: u32) -> Outcome {
    let directory = to.parent().during("a directory")?;
    fs::create_dir_all(directory).during(directory.display())?;
    let fresh = fresh_name(to);
    fs::copy(from, &fresh).during(from.display())?;
    fs::set_permissions(&fresh, Permissions::from_mode(mode))?;
    fs::rename(&fresh, to).during(to.display())?;
    println!("{}", to.display());
    Ok(())
}

fn fresh_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

/// The documented settings, with the real runtime of this machine where it is not at the default place.
fn settings(from: &Path, to: &Path) -> Outcome {
    if to.exists() {
        println!("{} is kept as it is", to.display());
        return Ok(());
    }
    put(from, to, 0o644)?;
    match find("runc") {
        Some(runc) if runc != Path::new("/usr/bin/runc") => {
            let text = fs::read_to_string(to)?;
            let real = format!("program = \"{}\"", runc.display());
            Ok(fs::write(
                to,
                text.replace("#program = \"/usr/bin/runc\"", &real),
            )?)
        }
        _ => Ok(()),
    }
}

/// Man pages and completions come from the command line's own definitions, by this program built with them.
fn pages(share: &Path) -> Outcome {
    let share = std::path::absolute(share)?;
    let place = share.to_string_lossy();
    cargo(&[
        "run",
        "--quiet",
        "--package",
        "xtask",
        "--features",
        "pages",
        "--",
        "pages",
        &place,
    ])
}
