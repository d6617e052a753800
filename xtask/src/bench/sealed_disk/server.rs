//! A program that serves until it is told to end: what it says when ready, its memory, and its end.

use e2e::{
    Failure, Outcome,
    command::line_of,
    failure::{During, ensure},
    process::signal,
};
use rustix::process::Signal;
use std::{
    fs::{self, OpenOptions},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

/// How long it may take to become ready, or to end.
const LIMIT: Duration = Duration::from_secs(600);

/// How often a condition is looked at: short beside anything that is timed with it.
const PACE: Duration = Duration::from_micros(500);

/// The running program.
#[derive(Debug)]
pub(crate) struct Server {
    line: String,
    child: Child,
    /// Kept open: a server that prints more must not be ended by it.
    out: Option<BufReader<ChildStdout>>,
    log: PathBuf,
}

impl Server {
    /// Starts it; what it says on standard error goes to the log.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Outcome<Self> {
        let line = line_of(command);
        let file = OpenOptions::new().append(true).create(true).open(log)?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(file)
            .spawn()
            .during(&line)?;
        Ok(Server {
            line,
            out: child.stdout.take().map(BufReader::new),
            child,
            log: log.to_owned(),
        })
    }

    /// The next line that it prints.
    pub(crate) fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        if let Some(out) = &mut self.out {
            out.read_line(&mut line)?;
        }
        if line.is_empty() {
            return Err(self.complaint("ended before it was ready"));
        }
        Ok(line)
    }

    /// Waits until something holds, and no longer than it lives.
    pub(crate) fn until(&mut self, what: &str, mut holds: impl FnMut() -> Outcome<bool>) -> Outcome {
        let begun = Instant::now();
        while !holds()? {
            if self.child.try_wait()?.is_some() {
                return Err(self.complaint("ended before it was ready"));
            }
            ensure(begun.elapsed() < LIMIT, || format!("{}: not {what}", self.line))?;
            sleep(PACE);
        }
        Ok(())
    }

    /// Tells it to end and waits until it has, which must be a clean end.
    pub(crate) fn end(self, with: Signal) -> Outcome {
        signal(self.child.id(), with)?;
        self.ended()
    }

    /// Waits until it has ended by itself, cleanly.
    pub(crate) fn ended(mut self) -> Outcome {
        let begun = Instant::now();
        let status = loop {
            match self.child.try_wait()? {
                Some(status) => break status,
                None if begun.elapsed() < LIMIT => sleep(PACE),
                None => return Err(self.complaint("does not end")),
            }
        };
        if ExitStatus::success(&status) {
            return Ok(());
        }
        Err(self.complaint(&format!("ended with {status}")))
    }

    /// The memory of it and of all processes below it, in MiB: the peak, and what is resident now.
    pub(crate) fn memory(&self) -> Outcome<Memory> {
        let mut sum = Memory::default();
        let mut open = vec![self.child.id()];
        while let Some(pid) = open.pop() {
            let Ok(status) = fs::read_to_string(format!("/proc/{pid}/status")) else {
                continue;
            };
            sum.peak += mebibytes(&status, "VmHWM:").unwrap_or_default();
            sum.resident += mebibytes(&status, "VmRSS:").unwrap_or_default();
            open.extend(children(pid));
        }
        ensure(sum.peak > 0.0, || format!("{}: no memory", self.line))?;
        Ok(sum)
    }

    fn complaint(&self, text: &str) -> Failure {
        Failure::new(format!("{}: {text}\n{}", self.line, tail_of(&self.log)))
    }
}

/// The last lines of a log; nothing where there is none.
pub(crate) fn tail_of(log: &Path) -> String {
    let log = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = log.lines().collect();
    let tail = lines.get(lines.len().saturating_sub(20)..).unwrap_or_default();
    tail.join("\n")
}

/// Memory of a server, in MiB.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memory {
    /// The sum of each process's peak (`VmHWM`, proc_pid_status(5)).
    pub(crate) peak: f64,
    /// What is resident now (`VmRSS`).
    pub(crate) resident: f64,
}

/// The children of every thread of a process.
fn children(pid: u32) -> Vec<u32> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .flat_map(|line| {
            line.split_whitespace()
                .filter_map(|child| child.parse().ok())
                .collect::<Vec<u32>>()
        })
        .collect()
}

fn mebibytes(status: &str, field: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_mebibytes() {
        let status = "Name:\tx\nVmHWM:\t   20480 kB\nVmRSS:\t 1024 kB\n";
        assert_eq!(mebibytes(status, "VmHWM:"), Some(20.0));
        assert_eq!(mebibytes(status, "VmRSS:"), Some(1.0));
        assert_eq!(mebibytes(status, "VmLck:"), None);
    }
}
