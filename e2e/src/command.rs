//! Running a program to its end, with a time limit, and judging what it printed.
//!
//! Output goes to memory files rather than pipes: a container that inherits standard output must not be
//! able to hold the caller.

use crate::failure::{During, Failure, Outcome, ensure};
use rustix::fs::{MemfdFlags, memfd_create};
use serde::{Deserialize, Serialize};
use std::{
    ffi::OsStr,
    fs::File,
    io::{Read, Seek},
    process::{Child, Command, Stdio},
    time::Duration,
};

/// How long any one program may take, in seconds.
const LIMIT_SECONDS: u64 = 240;

/// A program that has ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ran {
    /// The command line, for people.
    pub line: String,
    /// Its exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

/// Runs `program` with the environment as it is.
///
/// # Errors
/// Where it cannot be started. How it ended is for the caller to judge.
pub fn run<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, arguments: &[S]) -> Outcome<Ran> {
    let mut command = Command::new(program.as_ref());
    command.args(arguments);
    finish(&command)
}

/// Runs a prepared command under the time limit.
///
/// # Errors
/// Where it cannot be started.
pub fn finish(command: &Command) -> Outcome<Ran> {
    start(command)?.end()
}

/// Runs a prepared command under a time limit of its own.
///
/// # Errors
/// Where it cannot be started.
pub fn finish_within(command: &Command, limit: Duration) -> Outcome<Ran> {
    start_within(command, limit.as_secs())?.end()
}

/// A program that may still be running.
#[derive(Debug)]
pub struct Running {
    line: String,
    child: Child,
    out: File,
    err: File,
}

/// Starts a prepared command under the time limit and does not wait for it.
///
/// # Errors
/// Where it cannot be started.
pub fn start(command: &Command) -> Outcome<Running> {
    start_within(command, LIMIT_SECONDS)
}

fn start_within(command: &Command, seconds: u64) -> Outcome<Running> {
    let line = line_of(command);
    let (out, err) = (memory("out")?, memory("err")?);
    let mut limited = Command::new("timeout");
    limited
        .args(["--kill-after=5", &seconds.to_string()])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => limited.env(name, value),
            None => limited.env_remove(name),
        };
    }
    if let Some(directory) = command.get_current_dir() {
        limited.current_dir(directory);
    }
    let child = limited
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(err.try_clone()?)
        .spawn()
        .during(&line)?;
    Ok(Running {
        line,
        child,
        out,
        err,
    })
}

impl Running {
    /// Waits for its end.
    ///
    /// # Errors
    /// Where its output cannot be read.
    pub fn end(mut self) -> Outcome<Ran> {
        let status = self.child.wait().during(&self.line)?;
        Ok(Ran {
            code: status.code(),
            out: text_of(&mut self.out)?,
            err: text_of(&mut self.err)?,
            line: self.line,
        })
    }
}

/// The command line as a shell would show it, by the program's own name.
pub fn line_of(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let name = program.rsplit('/').next().unwrap_or(&program).to_owned();
    let quote = |text: &OsStr| {
        let text = text.to_string_lossy().into_owned();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
        if !text.is_empty() && text.chars().all(plain) {
            text
        } else {
            format!("'{}'", text.replace('\'', "'\\''"))
        }
    };
    std::iter::once(name)
        .chain(command.get_args().map(quote))
        .collect::<Vec<_>>()
        .join(" ")
}

fn memory(name: &str) -> Outcome<File> {
    Ok(File::from(memfd_create(name, MemfdFlags::CLOEXEC)?))
}

fn text_of(file: &mut File) -> Outcome<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl Ran {
    /// Whether it ended well.
    pub fn is_ok(&self) -> bool {
        self.code == Some(0)
    }

    /// Everything it printed, standard output first.
    pub fn said(&self) -> String {
        format!("{}{}", self.out, self.err)
    }

    /// Must have ended well.
    ///
    /// # Errors
    /// Where it did not, with all that it said.
    pub fn ok(self) -> Outcome<Ran> {
        if self.is_ok() {
            Ok(self)
        } else {
            Err(self.complaint("should have succeeded"))
        }
    }

    /// Must have failed, and said each of these on the way.
    ///
    /// # Errors
    /// Where it succeeded, or left one of them unsaid.
    pub fn refused(self, expected: &[&str]) -> Outcome<Ran> {
        if self.is_ok() {
            return Err(self.complaint("should have been refused"));
        }
        self.says(expected)
    }

    /// Must have printed each of these.
    ///
    /// # Errors
    /// Where one is not there.
    pub fn says(self, expected: &[&str]) -> Outcome<Ran> {
        let said = self.said();
        match expected.iter().find(|words| !said.contains(**words)) {
            Some(words) => Err(self.complaint(&format!("should have said {words:?}"))),
            None => Ok(self),
        }
    }

    /// Must not have printed any of these.
    ///
    /// # Errors
    /// Where one is there.
    pub fn silent_on(self, unwanted: &[&str]) -> Outcome<Ran> {
        let said = self.said();
        match unwanted.iter().find(|words| said.contains(**words)) {
            Some(words) => Err(self.complaint(&format!("should not have said {words:?}"))),
            None => Ok(self),
        }
    }

    /// Standard output without white space around it.
    pub fn text(&self) -> String {
        self.out.trim().to_owned()
    }

    /// Standard output as JSON.
    ///
    /// # Errors
    /// Where it is not JSON.
    pub fn json(&self) -> Outcome<serde_json::Value> {
        serde_json::from_str(&self.out).during(format!("{}: {:?} as JSON", self.line, self.out))
    }

    fn complaint(&self, text: &str) -> Failure {
        let code = self
            .code
            .map_or("a signal".to_owned(), |code| format!("code {code}"));
        Failure::new(format!(
            "{}\n  {text}; it ended with {code}\n  stdout: {}\n  stderr: {}",
            self.line,
            self.out.trim_end(),
            self.err.trim_end()
        ))
    }
}

/// Must be equal.
///
/// # Errors
/// Where they differ, with both.
pub fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Outcome {
    ensure(found == expected, || {
        format!("{what}: found {found:?}, expected {expected:?}")
    })
}
