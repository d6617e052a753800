//! How a refusal reaches the user: the engine's log file, in its format, and standard error.

use crate::arguments::Invocation;
use cofferdam_model::Problem;
use jiff::Timestamp;
use rustix::fs::{CWD, Mode, OFlags};
use serde_json::json;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Where the engine looks for the runtime's errors.
#[derive(Debug, Default)]
pub(crate) struct Log {
    path: Option<PathBuf>,
    json: bool,
}

impl Log {
    /// Takes the engine's log file from the command line.
    pub(crate) fn engine_log(&mut self, invocation: &Invocation) {
        self.path.clone_from(&invocation.log);
        self.json = invocation.log_json;
    }

    /// Says why the verb is refused, everywhere that somebody may look.
    pub(crate) fn refuse(&self, problem: &Problem) -> ExitCode {
        let line = format!("cofferdam: {problem}");
        if let Some(Err(error)) = self.path.as_ref().map(|path| append(path, &self.entry(&line))) {
            eprintln!("cofferdam: cannot write to the engine's log: {error}");
        }
        eprintln!("{line}");
        ExitCode::FAILURE
    }

    /// One entry as runc writes it: engines show the last one whose level is `error`.
    fn entry(&self, message: &str) -> String {
        let time = Timestamp::now();
        if self.json {
            return json!({"level": "error", "msg": message, "time": format!("{time:.0}")}).to_string();
        }
        format!("time={:?} level=error msg={message:?}", format!("{time:.0}"))
    }
}

fn append(path: &PathBuf, entry: &str) -> std::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mut log = File::from(rustix::fs::openat(CWD, path, flags, Mode::from_raw_mode(0o644))?);
    log.write_all(format!("{entry}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_find_the_error_in_their_log() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.json");
        let log = Log {
            path: Some(path.clone()),
            json: true,
        };
        log.refuse(&Problem::denied("not open").remedy("see: cofferdam why 7f3a"));
        let entry: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(entry["level"], "error");
        assert_eq!(entry["msg"], "cofferdam: not open; see: cofferdam why 7f3a");
        assert!(entry["time"].as_str().unwrap().parse::<Timestamp>().is_ok());
    }
}
