//! What an attacker has in his hands: Docker by its client and by its API, other users of the host, and files of his own.

use super::ground::Ground;
use crate::{
    Outcome, Ran,
    command::{finish, run},
    engine, http,
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

impl Ground<'_> {
    /// Runs `docker …`.
    pub(super) fn docker(&self, arguments: &[&str]) -> Outcome<Ran> {
        self.scene.docker(arguments)
    }

    /// `docker run --rm -v VOLUME:/data OPTIONS… IMAGE ARGV…`, by the runtime of the volume's containers, to its end.
    pub(super) fn run(&self, options: &[&str], image: &str, argv: &[&str]) -> Outcome<Ran> {
        let mount = format!("{}:/data", self.volume());
        self.run_bare(&[&["--volume", &mount], options].concat(), image, argv)
    }

    /// The same without the volume.
    pub(super) fn run_bare(&self, options: &[&str], image: &str, argv: &[&str]) -> Outcome<Ran> {
        let line = [
            &["run", "--rm", "--runtime", self.runtime()],
            options,
            &[image],
            argv,
        ]
        .concat();
        self.docker(&line)
    }

    /// The same by runc, whatever guards the volume.
    pub(super) fn run_by_runc(&self, options: &[&str], image: &str, argv: &[&str]) -> Outcome<Ran> {
        let line = [&["run", "--rm", "--runtime", "runc"], options, &[image], argv].concat();
        self.docker(&line)
    }

    /// Speaks to Docker's socket.
    pub(super) fn api(&self, method: &str, path: &str, body: &Value) -> Outcome<http::Answer> {
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        http::request(Path::new(engine::SOCKET), method, path, body.as_bytes())
    }

    /// Runs a program of the host's as a user who is nobody and in no group.
    pub(super) fn by_nobody(&self, program: &str, arguments: &[&str]) -> Outcome<Ran> {
        self.by(
            program,
            arguments,
            &["--reuid", "61997", "--regid", "61997", "--clear-groups"],
        )
    }

    /// Runs it as a user who is in the group that may speak to the daemon.
    pub(super) fn by_member(&self, program: &str, arguments: &[&str], user: &str) -> Outcome<Ran> {
        let entry = run("getent", &["group", "cofferdam"])?.ok()?.text();
        let group = entry.split(':').nth(2).unwrap_or_default().to_owned();
        self.by(
            program,
            arguments,
            &["--reuid", user, "--regid", user, "--groups", &group],
        )
    }

    fn by(&self, program: &str, arguments: &[&str], how: &[&str]) -> Outcome<Ran> {
        let ours = self.scene.host.command(program, arguments);
        let mut command = Command::new("setpriv");
        command.args(how).arg(ours.get_program()).args(ours.get_args());
        finish(&command)
    }

    /// A fresh directory of the attacker's on the host.
    pub(super) fn place(&self, name: &str) -> Outcome<PathBuf> {
        let path = self.scene.host.scratch().join("attacker").join(name);
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// A file of the attacker's on the host, that can be run.
    pub(super) fn tool(&self, name: &str, text: &str) -> Outcome<String> {
        let path = self.place("tools")?.join(name);
        fs::write(&path, text)?;
        run("chmod", &["0755", &path.to_string_lossy()])?.ok()?;
        Ok(path.to_string_lossy().into_owned())
    }
}
