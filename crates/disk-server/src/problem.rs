//! The engine's faults and the system's errors as a person reads them.

use crate::exporter::ExportError;
use cofferdam_disk::Fault;
use cofferdam_model::{ErrorKind, Problem};
use std::{fmt, io};

/// A fault of the engine.
pub(crate) fn of_fault(fault: Fault) -> Problem {
    if let Fault::Store { act, source } = &fault
        && matches!(
            source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    {
        return Problem::unavailable(format!(
            "the store cannot {act}: the disk that it lies on is full"
        ))
        .remedy("free space there and try again");
    }
    let kind = match &fault {
        Fault::Corrupt { .. } | Fault::RolledBack { .. } => ErrorKind::Corrupt,
        Fault::WrongKey | Fault::PreviousKey => ErrorKind::Denied,
        Fault::Busy | Fault::Fenced => ErrorKind::Busy,
        Fault::Store { .. } | Fault::Full | Fault::Failed | Fault::Memory(_) => ErrorKind::Unavailable,
        Fault::Invalid(_) => ErrorKind::Invalid,
    };
    Problem::new(kind, fault.to_string())
}

/// A device that could not be made or taken away.
pub(crate) fn of_export(error: ExportError) -> Problem {
    Problem::unavailable(error.to_string())
}

/// An error of the system, with what was being done.
pub(crate) fn doing(what: impl fmt::Display) -> impl FnOnce(io::Error) -> Problem {
    move |error| {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::Missing,
            io::ErrorKind::AlreadyExists | io::ErrorKind::DirectoryNotEmpty => ErrorKind::Conflict,
            io::ErrorKind::WouldBlock => ErrorKind::Busy,
            _ => ErrorKind::Unavailable,
        };
        Problem::new(kind, format!("{what}: {error}"))
    }
}
