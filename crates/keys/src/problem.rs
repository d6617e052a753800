//! The system's errors as a person reads them.

use cofferdam_model::{ErrorKind, Problem};
use std::{fmt, io};

/// An error of the system, with what was being done.
pub(crate) fn doing(what: impl fmt::Display) -> impl FnOnce(io::Error) -> Problem {
    move |error| {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::Missing,
            io::ErrorKind::AlreadyExists => ErrorKind::Conflict,
            io::ErrorKind::PermissionDenied => ErrorKind::Denied,
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => ErrorKind::Invalid,
            _ => ErrorKind::Unavailable,
        };
        Problem::new(kind, format!("{what}: {error}"))
    }
}

/// No memory for a secret.
pub(crate) fn no_memory(error: io::Error) -> Problem {
    Problem::unavailable(format!("locking memory for a key: {error}"))
        .remedy("raise the limit of locked memory (LimitMEMLOCK= in the unit, ulimit -l)")
}
