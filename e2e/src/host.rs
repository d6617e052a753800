//! The private host, from the inside: default paths, nothing of the machine's behind them.
//!
//! `/run` is a fresh tmpfs; `/etc` and `/var/lib` are overlays, so that what is written there stays here;
//! Docker's and Cofferdam's data lie in the scratch directory, on a real filesystem. A command that works
//! here works on a user's host as it is written.

use crate::{
    binaries::{find, need, search_path},
    command::{Ran, finish, run},
    daemon::Daemon,
    engine::{Engine, SOCKET},
    failure::{During, Outcome},
    gate, http,
    namespaces::Place,
    process::until,
    scratch::cgroup,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// How long Docker may take to read its settings anew.
const RELOAD: Duration = Duration::from_secs(20);

/// The settings of both binaries, at their default place.
pub const SETTINGS: &str = "/etc/cofferdam/config.toml";

/// Cofferdam's state, at its default place.
pub const STATE: &str = "/var/lib/cofferdam";

/// A host of our own.
#[derive(Debug)]
pub struct Host {
    place: Place,
    /// Its Docker.
    pub engine: Engine,
    /// Its cofferdamd.
    pub daemon: Daemon,
}

impl Host {
    /// Lays out the filesystem. Nothing runs yet.
    ///
    /// # Errors
    /// Where a mount fails.
    pub fn lay_out(place: Place) -> Outcome<Self> {
        run("ip", &["link", "set", "lo", "up"])?.ok()?;
        mount(&["-t", "tmpfs", "-o", "mode=755,size=512m", "tmpfs", "/run"])?;
        fs::create_dir_all("/run/lock")?;
        for directory in ["/etc", "/var/lib"] {
            overlay(directory)?;
        }
        for (name, at) in [("docker", "/var/lib/docker"), ("cofferdam", STATE)] {
            let real = place.scratch.join(name);
            fs::create_dir_all(&real)?;
            fs::create_dir_all(at)?;
            mount(&["--bind", &real.to_string_lossy(), at])?;
        }
        // As systemd has it; the outside is not a peer.
        mount(&["--make-rshared", "/"])?;
        run("groupadd", &["--force", "--system", "cofferdam"])?.ok()?;
        let host = Host {
            engine: Engine::new(place.scratch.join("dockerd.log"), cgroup(&place.scratch)),
            daemon: Daemon::new(
                place.binaries.join("cofferdamd"),
                place.scratch.join("cofferdamd.log"),
            ),
            place,
        };
        fs::create_dir_all("/etc/cofferdam")?;
        host.settings("")?;
        host.docker_settings("runc", &[])?;
        Ok(host)
    }

    /// Lays out the filesystem and starts Docker and the daemon.
    ///
    /// # Errors
    /// Where one of them does not start.
    pub fn raise(place: Place) -> Outcome<Self> {
        let mut host = Self::lay_out(place)?;
        host.engine.start(&[])?;
        host.daemon.start()?;
        Ok(host)
    }

    /// The scratch directory.
    pub fn scratch(&self) -> &Path {
        &self.place.scratch
    }

    /// The directory of cached images.
    pub fn images(&self) -> &Path {
        &self.place.images
    }

    /// The directory of the programs under test.
    pub fn binaries(&self) -> &Path {
        &self.place.binaries
    }

    /// The wrapper under test.
    pub fn wrapper(&self) -> PathBuf {
        self.place.binaries.join("cofferdam-runtime")
    }

    /// Writes the settings: what this machine needs, then `more`.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn settings(&self, more: &str) -> Outcome {
        self.settings_for("runc", more)
    }

    /// The same, with another real runtime.
    ///
    /// # Errors
    /// Where the file cannot be written, or there is no such runtime.
    pub fn settings_for(&self, runtime: &str, more: &str) -> Outcome {
        let program = need(runtime)?;
        let disk = self.place.binaries.join("cofferdam-disk");
        let text = format!(
            "[runtime]\nprogram = \"{}\"\n[disk]\nprogram = \"{}\"\n{more}\n",
            program.display(),
            disk.display()
        );
        Ok(fs::write(SETTINGS, text)?)
    }

    /// A command with the environment that a user's shell would give it here.
    pub fn command<S: AsRef<std::ffi::OsStr>>(&self, program: &str, arguments: &[S]) -> Command {
        let ours = self.place.binaries.join(program);
        let program = if ours.is_file() { Ok(ours) } else { need(program) };
        let mut command = Command::new(program.unwrap_or_default());
        command
            .args(arguments)
            .env(
                "PATH",
                format!("{}:{}", self.place.binaries.display(), search_path()),
            )
            .env("DOCKER_CONFIG", self.place.scratch.join("docker-client"))
            .env("DOCKER_BUILDKIT", "0")
            .env("DOCKER_CLI_HINTS", "false")
            .env_remove("DOCKER_HOST")
            .env_remove("DOCKER_CONTEXT");
        command
    }

    /// Runs `docker …`.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn docker(&self, arguments: &[&str]) -> Outcome<Ran> {
        finish(&self.command("docker", arguments))
    }

    /// Runs `cofferdam …`.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn cofferdam(&self, arguments: &[&str]) -> Outcome<Ran> {
        finish(&self.command("cofferdam", arguments))
    }

    /// Runs `docker-compose …` of this project: the program, or Docker's plugin of that name.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn compose(&self, file: &Path, arguments: &[&str]) -> Outcome<Ran> {
        let file = file.to_string_lossy();
        let words = [&["--file", &file], arguments].concat();
        match find("docker-compose") {
            Some(_) => finish(&self.command("docker-compose", &words)),
            None => self.docker(&[&["compose"], &words[..]].concat()),
        }
    }

    /// Runs the unchanged `runc …`.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn runc(&self, arguments: &[&str]) -> Outcome<Ran> {
        finish(&self.command("runc", arguments))
    }

    /// Runs `cofferdam-runtime …`, as an engine's shim does.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn runtime(&self, arguments: &[&str]) -> Outcome<Ran> {
        finish(&self.command("cofferdam-runtime", arguments))
    }

    /// Ends every container and removes it.
    ///
    /// # Errors
    /// Where Docker does not answer.
    pub fn remove_containers(&self) -> Outcome {
        let ids = self.docker(&["ps", "--all", "--quiet"])?.ok()?;
        let ids: Vec<&str> = ids.out.split_whitespace().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let mut arguments = vec!["rm", "--force", "--volumes"];
        arguments.extend(ids);
        self.docker(&arguments)?.ok()?;
        Ok(())
    }

    /// Has a Docker that runs ask Cofferdam from here on about whatever its clients ask, and waits until it does.
    ///
    /// # Errors
    /// Where it does not.
    pub fn have_docker_ask(&self) -> Outcome {
        self.docker_settings("runc", &["cofferdam"])?;
        self.engine.reload()?;
        let asks = || {
            let road = "/v1.41/plugins/create?name=x";
            http::request(Path::new(SOCKET), "POST", road, b"").is_ok_and(|answer| answer.status == 403)
        };
        until("Docker asks", RELOAD, asks)
    }

    /// Sets the runtime that Docker takes where nobody names one, as a user sets it in Docker's settings.
    ///
    /// # Errors
    /// Where Docker does not take it over.
    pub fn default_runtime(&self, name: &str) -> Outcome {
        self.docker_settings(name, &[])?;
        self.engine.reload()?;
        until("Docker reads its settings", RELOAD, || {
            self.docker(&["info", "--format", "{{.DefaultRuntime}}"])
                .is_ok_and(|ran| ran.text() == name)
        })
    }

    /// The entry that a user adds to Docker's settings; and the one with a gate in front of it.
    fn docker_settings(&self, default: &str, asked: &[&str]) -> Outcome {
        fs::create_dir_all("/etc/docker")?;
        let runtimes = serde_json::json!({
            "cofferdam": { "path": self.wrapper() },
            "gated": { "path": gate::install(&self.wrapper())? },
        });
        let mut settings = serde_json::Map::from_iter([
            ("runtimes".to_owned(), runtimes),
            ("default-runtime".to_owned(), default.into()),
        ]);
        // An empty list is a setting too, and would be at odds with the option.
        if !asked.is_empty() {
            settings.insert("authorization-plugins".to_owned(), asked.into());
        }
        Ok(fs::write(
            "/etc/docker/daemon.json",
            serde_json::to_vec_pretty(&settings)?,
        )?)
    }
}

/// Runs `mount …`.
///
/// # Errors
/// What it said.
pub fn mount(arguments: &[&str]) -> Outcome {
    run("mount", arguments)?.ok().map(drop)
}

/// Makes what is written below a directory of the machine private, in memory.
fn overlay(directory: &str) -> Outcome {
    let private = format!("/run/private{directory}");
    for part in ["upper", "work"] {
        fs::create_dir_all(format!("{private}/{part}")).during(&private)?;
    }
    let options = format!("lowerdir={directory},upperdir={private}/upper,workdir={private}/work");
    mount(&["-t", "overlay", "-o", &options, "overlay", directory])
}
