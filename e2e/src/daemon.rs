//! The daemon under test.

use crate::{
    failure::{During, Failure, Outcome},
    process::{signal, until},
};
use rustix::process::Signal;
use std::{
    fs::{self, File},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

/// The admin API, at its default place.
pub const ADMIN: &str = "/run/cofferdam/admin.sock";

/// The Docker plugin, at its default place.
pub const PLUGIN: &str = "/run/docker/plugins/cofferdam.sock";

/// The runtime's socket is seqpacket, so only its being there is waited for.
const RUNTIME: &str = "/run/cofferdam/runtime.sock";

/// How long a start may take; after a crash it includes putting things in order.
const START: Duration = Duration::from_secs(20);

/// How long a clean stop may take.
const STOP: Duration = Duration::from_secs(10);

/// A cofferdamd, running or not.
#[derive(Debug)]
pub struct Daemon {
    program: PathBuf,
    log: PathBuf,
    child: Option<Child>,
}

impl Daemon {
    /// One that is not running yet.
    pub fn new(program: PathBuf, log: PathBuf) -> Self {
        Daemon {
            program,
            log,
            child: None,
        }
    }

    /// Starts it with its settings at the default place and waits until its sockets answer.
    ///
    /// # Errors
    /// Where it ends or stays silent, with the end of its log.
    pub fn start(&mut self) -> Outcome {
        self.start_with(&[])
    }

    /// The same, with these variables in its environment.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_with(&mut self, environment: &[(&str, &Path)]) -> Outcome {
        self.spawn(environment)?;
        let answers = || {
            UnixStream::connect(ADMIN).is_ok()
                && UnixStream::connect(PLUGIN).is_ok()
                && Path::new(RUNTIME).exists()
        };
        let started = until("cofferdamd answers", START, || answers() || self.ended());
        if started.is_ok() && !self.ended() {
            return Ok(());
        }
        Err(Failure::new(format!(
            "cofferdamd did not start:\n{}",
            log_tail(&self.log)
        )))
    }

    /// Starts it where it should refuse to, and answers what it logged.
    ///
    /// # Errors
    /// Where it goes on running.
    pub fn start_in_vain(&mut self) -> Outcome<String> {
        let before = self.log_length();
        self.spawn(&[])?;
        let ended = until("cofferdamd refuses to start", START, || self.ended());
        if ended.is_err() {
            self.kill()?;
        }
        ended?;
        let child = self.child.take().during("the daemon that ended")?.wait()?;
        if child.success() {
            return Err(Failure::new("cofferdamd ended as if all were well"));
        }
        Ok(self.log_since(before))
    }

    /// Its process id.
    ///
    /// # Errors
    /// Where it is not running.
    pub fn pid(&self) -> Outcome<u32> {
        self.child
            .as_ref()
            .map(Child::id)
            .during("cofferdamd is not running")
    }

    /// Stops it as an operator does and answers how it ended.
    ///
    /// # Errors
    /// Where it does not end in time.
    pub fn stop(&mut self) -> Outcome<ExitStatus> {
        signal(self.pid()?, Signal::TERM)?;
        let ended = until("cofferdamd stops on SIGTERM", STOP, || self.ended());
        if ended.is_err() {
            self.kill()?;
        }
        ended?;
        Ok(self.child.take().during("cofferdamd")?.wait()?)
    }

    /// Kills it with -9.
    ///
    /// # Errors
    /// Where it is not running.
    pub fn kill(&mut self) -> Outcome {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Makes it hang: it keeps its sockets and answers nothing.
    ///
    /// # Errors
    /// Where it is not running.
    pub fn freeze(&self) -> Outcome {
        signal(self.pid()?, Signal::STOP)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// Where it is not running.
    pub fn thaw(&self) -> Outcome {
        signal(self.pid()?, Signal::CONT)
    }

    /// Whether it runs.
    pub fn runs(&mut self) -> bool {
        !self.ended()
    }

    /// The end of its log.
    pub fn log(&self) -> String {
        log_tail(&self.log)
    }

    /// How long its log is, in bytes.
    pub fn log_length(&self) -> u64 {
        fs::metadata(&self.log).map_or(0, |metadata| metadata.len())
    }

    /// What it has logged since its log was this long.
    pub fn log_since(&self, length: u64) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let fresh = usize::try_from(length).ok().and_then(|length| log.get(length..));
        String::from_utf8_lossy(fresh.unwrap_or_default()).into_owned()
    }

    fn spawn(&mut self, environment: &[(&str, &Path)]) -> Outcome {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let child = Command::new(&self.program)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .during(self.program.display())?;
        self.child = Some(child);
        Ok(())
    }

    fn ended(&mut self) -> bool {
        self.child
            .as_mut()
            .is_none_or(|child| child.try_wait().is_ok_and(|status| status.is_some()))
    }
}

/// The last lines of a log.
pub fn log_tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(25)..)
        .unwrap_or_default()
        .join("\n")
}
