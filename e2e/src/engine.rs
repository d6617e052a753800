//! The private dockerd.

use crate::{
    binaries::need,
    daemon::log_tail,
    failure::{During, Failure, Outcome},
    http,
    process::{signal, until},
};
use rustix::process::Signal;
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Docker's own socket, at its usual place: `/run` is private.
pub const SOCKET: &str = "/run/docker.sock";

/// Has it ask Cofferdam about whatever its clients ask.
pub const ASKING: &str = "--authorization-plugin=cofferdam";

/// How long a start may take.
const START: Duration = Duration::from_secs(60);

/// A dockerd, running or not.
#[derive(Debug)]
pub struct Engine {
    log: PathBuf,
    cgroup: String,
    child: Option<Child>,
}

impl Engine {
    /// One that is not running yet.
    pub fn new(log: PathBuf, cgroup: String) -> Self {
        Engine {
            log,
            cgroup,
            child: None,
        }
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// Where it ends or stays silent, with the end of its log.
    pub fn start(&mut self, extra: &[&str]) -> Outcome {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let child = Command::new(need("dockerd")?)
            .args([
                "--bridge=none",
                "--iptables=false",
                "--exec-opt",
                "native.cgroupdriver=cgroupfs",
            ])
            .arg(format!("--cgroup-parent=/{}", self.cgroup))
            .args(extra)
            .env("PATH", crate::binaries::search_path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .during("dockerd")?;
        self.child = Some(child);
        let answers = || {
            http::request(Path::new(SOCKET), "GET", "/_ping", b"").is_ok_and(|answer| answer.status == 200)
        };
        let started = until("dockerd answers", START, || answers() || self.ended());
        if started.is_ok() && !self.ended() {
            return Ok(());
        }
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Err(Failure::new(format!(
            "dockerd did not start:\n{}",
            log_tail(&self.log)
        )))
    }

    /// Stops it as an operator does; containers end with it.
    ///
    /// # Errors
    /// Where it does not end.
    pub fn stop(&mut self) -> Outcome {
        self.end(Signal::TERM)
    }

    /// Kills it with -9; containers run on.
    ///
    /// # Errors
    /// Where it is not running.
    pub fn kill(&mut self) -> Outcome {
        self.end(Signal::KILL)
    }

    /// Has it read its settings again, as far as it does that while it runs.
    ///
    /// # Errors
    /// Where it is not running.
    pub fn reload(&self) -> Outcome {
        let child = self.child.as_ref().during("a dockerd that runs")?;
        signal(child.id(), Signal::HUP)
    }

    fn end(&mut self, with: Signal) -> Outcome {
        if let Some(mut child) = self.child.take() {
            signal(child.id(), with)?;
            child.wait()?;
        }
        Ok(())
    }

    fn ended(&mut self) -> bool {
        self.child
            .as_mut()
            .is_none_or(|child| child.try_wait().is_ok_and(|status| status.is_some()))
    }
}
