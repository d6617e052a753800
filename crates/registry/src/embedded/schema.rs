//! The database: how it is opened, what is in it, which version it has.
//!
//! | table | column | what |
//! |---|---|---|
//! | `entry` | `key` | text, the primary key, compared by bytes |
//! | | `value` | blob |
//! | | `revision` | the commit that wrote it |
//! | `revision` | `last` | the last commit; one row |

use super::failure::Failure;
use rusqlite::{Connection, OpenFlags, config::DbConfig};
use std::{path::Path, time::Duration};

/// The version this program writes and reads (`PRAGMA user_version`).
pub(super) const VERSION: i64 = 1;

/// Marks the file as ours (`PRAGMA application_id`): "Coff".
const APPLICATION: i64 = 0x436f_6666;

/// Cache of at most 2 MiB, a log cut back to 4 MiB, nothing mapped, every commit on the disk before it returns.
const SETTINGS: &str = "
    PRAGMA locking_mode = EXCLUSIVE;
    PRAGMA mmap_size = 0;
    PRAGMA cache_size = -2048;
    PRAGMA temp_store = MEMORY;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
    PRAGMA synchronous = FULL;
    PRAGMA journal_size_limit = 4194304;
";

/// Everything of version 1.
const VERSION_1: &str = "
    BEGIN IMMEDIATE;
    CREATE TABLE entry (
        key TEXT NOT NULL PRIMARY KEY,
        value BLOB NOT NULL,
        revision INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE revision (
        one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
        last INTEGER NOT NULL
    ) STRICT;
    INSERT INTO revision (one, last) VALUES (1, 0);
    PRAGMA application_id = 1131374182;
    PRAGMA user_version = 1;
    COMMIT;
";

/// Opens, recognises and checks the database; an empty file becomes a new one.
pub(super) fn connect(path: &Path) -> Result<Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::ZERO)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.execute_batch(SETTINGS)?;
    let found = (
        number(&connection, "application_id")?,
        number(&connection, "user_version")?,
    );
    match found {
        (0, 0) if is_empty(&connection)? => create(&connection)?,
        (APPLICATION, VERSION) => check(&connection)?,
        (APPLICATION, newer) if newer > VERSION => return Err(Failure::Newer(newer)),
        _ => return Err(Failure::Foreign),
    }
    Ok(connection)
}

/// Makes the tables in an empty file.
fn create(connection: &Connection) -> Result<(), Failure> {
    log_ahead(connection)?;
    Ok(connection.execute_batch(VERSION_1)?)
}

/// Refuses a file that is damaged, before anything is decided by it.
fn check(connection: &Connection) -> Result<(), Failure> {
    log_ahead(connection)?;
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    match found.as_str() {
        "ok" => Ok(()),
        _ => Err(Failure::Damaged(found)),
    }
}

/// Turns the write-ahead log on. SQLite answers with the mode it has, and does not fail where it cannot.
fn log_ahead(connection: &Connection) -> Result<(), Failure> {
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    match mode.as_str() {
        "wal" => Ok(()),
        _ => Err(Failure::Damaged(format!("its journal stays in mode {mode}"))),
    }
}

/// A pragma whose value is a number.
fn number(connection: &Connection, pragma: &str) -> Result<i64, Failure> {
    Ok(connection.pragma_query_value(None, pragma, |row| row.get(0))?)
}

/// Whether nobody has made a table yet.
fn is_empty(connection: &Connection) -> Result<bool, Failure> {
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(tables == 0)
}
