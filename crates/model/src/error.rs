//! One error type for all that people see: what happened, and what to do next.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Who must act, and how. The kinds are few on purpose: a caller decides by kind, a person by message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The policy says no. Asking again changes nothing; a grant or another launch does.
    Denied,
    /// Somebody else holds it. It may be free later.
    Busy,
    /// The thing named does not exist.
    Missing,
    /// The thing named exists already, and differs from what was asked for.
    Conflict,
    /// The request itself is malformed.
    Invalid,
    /// A part that is needed does not answer (daemon, engine, disk, kernel feature).
    Unavailable,
    /// Stored state is not what it must be. Somebody has to look at it.
    Corrupt,
    /// A fault of ours.
    Internal,
}

impl ErrorKind {
    /// The word used in JSON and logs.
    pub fn word(self) -> &'static str {
        match self {
            ErrorKind::Denied => "denied",
            ErrorKind::Busy => "busy",
            ErrorKind::Missing => "missing",
            ErrorKind::Conflict => "conflict",
            ErrorKind::Invalid => "invalid",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::Corrupt => "corrupt",
            ErrorKind::Internal => "internal",
        }
    }
}

/// An error as a person reads it: one sentence that says what happened, and, where there is one, the
/// next step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Problem {
    /// Who must act.
    pub kind: ErrorKind,
    /// What happened, in one sentence without a full stop.
    pub message: String,
    /// What to do next, as a command or a short sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// What every fallible call of ours returns.
pub type Result<T> = std::result::Result<T, Problem>;

impl Problem {
    /// A problem without a next step.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Problem {
            kind,
            message: message.into(),
            remedy: None,
        }
    }

    /// The policy says no.
    pub fn denied(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Denied, message)
    }

    /// Somebody else holds it.
    pub fn busy(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Busy, message)
    }

    /// The thing named does not exist.
    pub fn missing(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Missing, message)
    }

    /// The thing named exists already, and differs.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, message)
    }

    /// The request is malformed.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// A part that is needed does not answer.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, message)
    }

    /// Stored state is not what it must be.
    pub fn corrupt(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Corrupt, message)
    }

    /// A fault of ours.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// The same problem with a next step.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// The same problem, told from further out: `context: message`.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.remedy {
            Some(remedy) => write!(f, "{}; {remedy}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_one_line() {
        let problem = Problem::busy("payments.pgdata is held by 3f2a").remedy("stop that container first");
        assert_eq!(
            problem.to_string(),
            "payments.pgdata is held by 3f2a; stop that container first"
        );
    }

    #[test]
    fn word_is_the_serialised_form() {
        for kind in [
            ErrorKind::Denied,
            ErrorKind::Missing,
            ErrorKind::Unavailable,
            ErrorKind::Internal,
        ] {
            assert_eq!(
                serde_json::to_string(&kind).unwrap(),
                format!("\"{}\"", kind.word())
            );
        }
    }
}
