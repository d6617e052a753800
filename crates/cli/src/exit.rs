//! How the command ends: text on stdout or stderr, and an exit code.

use crate::{report::Report, visible::visible};
use cofferdam_model::{ErrorKind, Problem};
use std::{
    io::{ErrorKind as IoErrorKind, Write},
    process::ExitCode,
};

/// Programs whose name at the start of a remedy makes it a command to type.
const PROGRAMS: [&str; 3] = ["cofferdam ", "docker ", "systemctl "];

/// The exit code of a plan that says no.
pub(crate) const WOULD_BE_REFUSED: u8 = 4;

/// Writes the report. A reader that has gone away (`| head -1`) has had what it wanted.
pub(crate) fn success(report: Report) -> ExitCode {
    complain(&report.notes);
    let mut stdout = std::io::stdout().lock();
    match stdout
        .write_all(report.stdout.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != IoErrorKind::BrokenPipe => {
            let problem = Problem::unavailable(format!("cannot write to stdout: {error}"));
            failure(&problem, false)
        }
        _ => ExitCode::from(report.code),
    }
}

/// Writes the problem to stderr.
pub(crate) fn failure(problem: &Problem, json: bool) -> ExitCode {
    let text = if json {
        Report::json(problem).map_or_else(|_| told(problem), |report| report.stdout)
    } else {
        told(problem)
    };
    complain(&text);
    ExitCode::from(code(problem.kind))
}

/// The exit code of a problem of this kind.
fn code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Denied
        | ErrorKind::Busy
        | ErrorKind::Missing
        | ErrorKind::Conflict
        | ErrorKind::Corrupt
        | ErrorKind::Internal => 1,
        ErrorKind::Invalid => 2,
        ErrorKind::Unavailable => 3,
    }
}

/// The problem as a person reads it: what happened, and on a second line what to do.
fn told(problem: &Problem) -> String {
    let message = visible(&problem.message);
    match &problem.remedy {
        Some(remedy) => format!("cofferdam: {message}\n  {}\n", step(remedy)),
        None => format!("cofferdam: {message}\n"),
    }
}

/// A remedy as a person reads it.
pub(crate) fn step(remedy: &str) -> String {
    let remedy = visible(remedy);
    if PROGRAMS.iter().any(|program| remedy.starts_with(program)) {
        format!("try: {remedy}")
    } else {
        remedy
    }
}

/// Writes to stderr. Where that cannot be written there is nobody left to tell; the exit code still says
/// what happened.
fn complain(text: &str) {
    std::io::stderr().write_all(text.as_bytes()).unwrap_or_default();
}
