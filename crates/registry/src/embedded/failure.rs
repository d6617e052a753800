//! What went wrong in SQLite, told as a [`Problem`] that says who must act.

use cofferdam_model::Problem;
use rusqlite::ErrorCode;
use std::{io, path::Path};

/// Why a call failed, before it is known which file to name.
#[derive(Debug)]
pub(super) enum Failure {
    /// SQLite said so.
    Sqlite(rusqlite::Error),
    /// The integrity check found this.
    Damaged(String),
    /// A database of somebody else's.
    Foreign,
    /// Written by a newer version, with this schema.
    Newer(i64),
    /// The revision counter is not one that we wrote.
    Counter,
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Failure::Sqlite(error)
    }
}

impl Failure {
    /// The problem, naming the file.
    pub(super) fn told(self, path: &Path) -> Problem {
        let file = path.display();
        match self {
            Failure::Sqlite(error) => sqlite(&error, path),
            Failure::Damaged(what) => damaged(path, &what),
            Failure::Counter => damaged(path, "its revision counter is out of range"),
            Failure::Foreign => Problem::corrupt(format!("{file} is a database, but not a Cofferdam registry"))
                .remedy("move it away, or set paths.state to another directory"),
            Failure::Newer(version) => Problem::unavailable(format!(
                "the registry {file} has schema version {version}, which is newer than this program knows ({})",
                super::schema::VERSION
            ))
            .remedy("start the newer cofferdamd, or restore the backup made before the upgrade"),
        }
    }
}

/// Sorts SQLite's codes by who must act.
fn sqlite(error: &rusqlite::Error, path: &Path) -> Problem {
    let file = path.display();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => damaged(path, &error.to_string()),
        Some(ErrorCode::DiskFull) => {
            Problem::unavailable(format!("the registry {file} cannot be written: the disk is full"))
                .remedy("free space on that filesystem; nothing was changed")
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => read_only(path),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => super::file::held_elsewhere(path),
        Some(ErrorCode::SystemIoFailure) => {
            Problem::unavailable(format!("the registry {file} cannot be read or written: {error}"))
                .remedy("look for disk errors in the kernel's log")
        }
        Some(ErrorCode::OutOfMemory) => {
            Problem::unavailable(format!("no memory is left for the registry {file}"))
        }
        _ => Problem::internal(format!("the registry {file} refused a statement: {error}")),
    }
}

/// Somebody has to look at the file.
fn damaged(path: &Path, what: &str) -> Problem {
    Problem::corrupt(format!("the registry {} is damaged: {what}", path.display()))
        .remedy("restore it from a backup, or move it away to begin with an empty one")
}

/// The file is there, and cannot be written.
pub(super) fn read_only(path: &Path) -> Problem {
    Problem::unavailable(format!("the registry {} is read-only", path.display()))
        .remedy("make the file and its filesystem writable for cofferdamd")
}

/// The file cannot be opened at all.
pub(super) fn unopened(path: &Path, error: io::Error) -> Problem {
    let file = path.display();
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => read_only(path),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Problem::unavailable(format!("the registry {file} cannot be made: the disk is full"))
                .remedy("free space on that filesystem")
        }
        io::ErrorKind::NotFound => {
            Problem::unavailable(format!("the registry's directory does not exist: {file}"))
                .remedy("make the directory, or set paths.state to one that exists")
        }
        _ => Problem::unavailable(format!("the registry {file} cannot be opened: {error}")),
    }
}
