//! A running `cofferdam-disk serve`: a supervisor, which is the process that was started, and its worker.

use crate::{
    failure::{During, Failure, Outcome, ensure},
    process::{signal, until},
};
use rustix::process::Signal;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// Against hangs only: the machine may be slow.
const PATIENCE: Duration = Duration::from_secs(120);

static NEXT: AtomicU32 = AtomicU32::new(0);

/// What it said when it was ready, and how to reach it.
#[derive(Debug)]
pub struct Server {
    child: Child,
    device: PathBuf,
    out: PathBuf,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Server {
    /// Starts a prepared command and waits until the disk is there. What it prints goes to files below `logs`.
    ///
    /// # Errors
    /// Where it ends instead, with what it said.
    pub fn start(command: &mut Command, logs: &Path) -> Outcome<Self> {
        let mut server = Self::begin(command, logs)?;
        until("the disk is served", PATIENCE, || {
            server.has_ended() || server.line().is_some()
        })?;
        let line = server.line();
        match line.as_ref().and_then(|line| line.get("device")?.as_str()) {
            Some(device) => server.device = device.into(),
            None => {
                let code = server.wait()?;
                return Err(Failure::new(format!("serve ended with {code}: {}", server.log())));
            }
        }
        Ok(server)
    }

    /// Starts it and does not wait.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn begin(command: &mut Command, logs: &Path) -> Outcome<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let (out, log) = (
            logs.join(format!("serve-{number}.out")),
            logs.join(format!("serve-{number}.log")),
        );
        let child = command
            .arg("--json")
            .stdin(Stdio::null())
            .stdout(File::create(&out)?)
            .stderr(File::create(&log)?)
            .spawn()
            .during("cofferdam-disk")?;
        Ok(Server {
            child,
            device: PathBuf::new(),
            out,
            log,
            ended: None,
        })
    }

    /// The line that says that it is ready.
    pub fn line(&self) -> Option<serde_json::Value> {
        let said = fs::read_to_string(&self.out).ok()?;
        serde_json::from_str(said.strip_suffix('\n')?).ok()
    }

    /// The block device.
    pub fn device(&self) -> &Path {
        &self.device
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The supervisor's number.
    pub fn supervisor(&self) -> u32 {
        self.child.id()
    }

    /// The worker's number.
    ///
    /// # Errors
    /// Where there is none for long.
    pub fn worker(&self) -> Outcome<u32> {
        let mut found = None;
        until("there is a worker", PATIENCE, || {
            found = children(self.supervisor()).into_iter().next();
            found.is_some()
        })?;
        found.during("a worker")
    }

    /// Kills the worker with -9, and waits until another one is there.
    ///
    /// # Errors
    /// Where none follows.
    pub fn kill_worker(&self) -> Outcome {
        let before = self.worker()?;
        signal(before, Signal::KILL)?;
        until("another worker follows", PATIENCE, || {
            children(self.supervisor()).iter().any(|pid| *pid != before)
        })
        .during(self.log())
    }

    /// Kills the supervisor alone with -9; answers the worker that is left.
    ///
    /// # Errors
    /// Where it has ended before.
    pub fn kill_supervisor(&mut self) -> Outcome<u32> {
        let worker = self.worker()?;
        self.end_supervisor()?;
        Ok(worker)
    }

    /// Kills the supervisor with -9, where there is no worker any more.
    ///
    /// # Errors
    /// Where it does not end for long.
    pub fn end_supervisor(&mut self) -> Outcome {
        self.child.kill()?;
        self.wait().map(drop)
    }

    /// Kills both at once with -9, as a crash would.
    ///
    /// # Errors
    /// Where one has ended before.
    pub fn kill(&mut self) -> Outcome {
        let worker = self.worker()?;
        // The supervisor first: it would start another worker.
        signal(self.supervisor(), Signal::KILL)?;
        signal(worker, Signal::KILL)?;
        self.wait()?;
        until("the worker is gone", PATIENCE, || has_gone(worker))
    }

    /// Stops it as an operator does; it must end in peace.
    ///
    /// # Errors
    /// Where it does not, with what it said.
    pub fn stop(&mut self) -> Outcome {
        signal(self.supervisor(), Signal::TERM)?;
        let ended = self.wait()?;
        ensure(ended.success(), || {
            format!("serve ended with {ended}: {}", self.log())
        })
    }

    /// Waits until the supervisor has ended.
    ///
    /// # Errors
    /// Where it does not for long.
    pub fn wait(&mut self) -> Outcome<ExitStatus> {
        until("serve ends", PATIENCE, || self.has_ended()).during(self.log())?;
        self.ended.during("how it ended")
    }

    /// Whether the supervisor has ended.
    pub fn has_ended(&mut self) -> bool {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().ok().flatten();
        }
        self.ended.is_some()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The worker is ended with all that lives in the place.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The living children of a process, whichever of its threads started them.
pub fn children(parent: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| stat(*pid).is_some_and(|(state, of)| of == parent && state != 'Z'))
        .collect()
}

/// Whether a process has ended; one that nobody has waited for is gone too.
pub fn has_gone(pid: u32) -> bool {
    stat(pid).is_none_or(|(state, _)| state == 'Z')
}

/// State and parent of a process (proc_pid_stat(5)).
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?))
}
