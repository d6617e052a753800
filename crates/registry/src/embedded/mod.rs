//! The registry of a single host: one SQLite file that one daemon holds.
//!
//! | file | what |
//! |---|---|
//! | `registry.sqlite` | the entries; mode 0600 |
//! | `registry.sqlite-wal` | SQLite's write-ahead log; part of the state |
//! | `registry.sqlite.lock` | empty; whoever holds its lock (flock(2)) holds the registry |
//!
//! A commit is one transaction in the write-ahead log with `synchronous=FULL`, that is, one fsync. SQLite runs
//! in exclusive locking mode, so it maps no memory and needs no shared-memory file.
//!
//! What this does not do: wait for another holder, repair a damaged file, encrypt.

mod failure;
mod file;
mod schema;

use crate::{Change, Commit, Entry, Registry, Revision, Watch, watch::Watchers};
use cofferdam_model::{Problem, Result};
use failure::Failure;
use file::Lock;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::{
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// A registry in one SQLite file.
#[derive(Debug)]
pub struct Embedded {
    path: PathBuf,
    state: Mutex<State>,
    /// Held as long as the connection: fields are dropped in this order.
    _lock: Lock,
}

/// What one call at a time may touch. Changes are told under the same lock that commits them, so that their
/// order is the order of the commits.
#[derive(Debug)]
struct State {
    connection: Connection,
    watchers: Watchers,
}

impl Embedded {
    /// Opens the registry at `path`, or makes an empty one where there is none. The directory must exist.
    ///
    /// # Errors
    /// `Busy` when another process holds it; `Corrupt` when the file is damaged or not a registry; `Unavailable`
    /// when it cannot be written, or was written by a newer version.
    pub fn open(path: &Path) -> Result<Self> {
        let lock = Lock::take(path)?;
        file::make_private(path)?;
        let connection = schema::connect(path).map_err(|error| error.told(path))?;
        Ok(Embedded {
            path: path.to_owned(),
            state: Mutex::new(State {
                connection,
                watchers: Watchers::default(),
            }),
            _lock: lock,
        })
    }

    /// The state, also after a panic of another thread: SQLite has rolled that transaction back.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry for Embedded {
    fn get(&self, key: &str) -> Result<Option<Entry>> {
        get(&self.state().connection, key).map_err(|error| error.told(&self.path))
    }

    fn list(&self, prefix: &str) -> Result<Vec<Entry>> {
        list(&self.state().connection, prefix).map_err(|error| error.told(&self.path))
    }

    fn commit(&self, commit: Commit) -> Result<Revision> {
        commit.check()?;
        let mut state = self.state();
        let transaction = state
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| Failure::from(error).told(&self.path))?;
        // INVARIANT: a transaction that is dropped rolls back, so every early return leaves the state as it was.
        if let Some(conflict) = conflict(&transaction, &commit).map_err(|error| error.told(&self.path))? {
            return Err(conflict);
        }
        let (revision, changes) = apply(&transaction, commit).map_err(|error| error.told(&self.path))?;
        transaction
            .commit()
            .map_err(|error| Failure::from(error).told(&self.path))?;
        state.watchers.tell(&changes);
        Ok(revision)
    }

    fn watch(&self, prefix: &str) -> Watch {
        self.state().watchers.add(prefix)
    }
}

/// The entry under `key`.
fn get(connection: &Connection, key: &str) -> std::result::Result<Option<Entry>, Failure> {
    let mut statement = connection.prepare_cached("SELECT value, revision FROM entry WHERE key = ?1")?;
    let row = statement
        .query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    row.map(|(value, revision)| {
        Ok(Entry {
            key: key.to_owned(),
            value,
            revision: counted(revision)?,
        })
    })
    .transpose()
}

/// The entries under `prefix`, in the order of the primary key.
fn list(connection: &Connection, prefix: &str) -> std::result::Result<Vec<Entry>, Failure> {
    let mut statement =
        connection.prepare_cached("SELECT key, value, revision FROM entry WHERE key >= ?1 ORDER BY key")?;
    let mut rows = statement.query([prefix])?;
    let mut entries = Vec::new();
    while let Some(row) = rows.next()? {
        let key: String = row.get(0)?;
        if !key.starts_with(prefix) {
            break;
        }
        entries.push(Entry {
            key,
            value: row.get(1)?,
            revision: counted(row.get(2)?)?,
        });
    }
    Ok(entries)
}

/// The first expectation that does not hold, as it is told to the caller.
fn conflict(transaction: &Transaction<'_>, commit: &Commit) -> std::result::Result<Option<Problem>, Failure> {
    let mut statement = transaction.prepare_cached("SELECT revision FROM entry WHERE key = ?1")?;
    for (key, expected) in &commit.expect {
        let found: Option<i64> = statement.query_row([key], |row| row.get(0)).optional()?;
        let found = found.map(counted).transpose()?;
        if found != *expected {
            let message = match (found, expected) {
                (Some(_), None) => format!("{key:?} exists already"),
                (None, Some(_)) => format!("{key:?} does not exist any more"),
                (_, _) => format!("{key:?} was changed meanwhile"),
            };
            return Ok(Some(
                Problem::conflict(message).remedy("read it again and repeat the change"),
            ));
        }
    }
    Ok(None)
}

/// Makes the changes, under the next revision if there are any.
fn apply(
    transaction: &Transaction<'_>,
    commit: Commit,
) -> std::result::Result<(Revision, Vec<Change>), Failure> {
    let last: i64 = transaction
        .prepare_cached("SELECT last FROM revision")?
        .query_row([], |row| row.get(0))?;
    let next = last.checked_add(1).ok_or(Failure::Counter)?;
    let revision = counted(next)?;
    let mut changes = Vec::with_capacity(commit.puts.len() + commit.deletes.len());
    for (key, value) in commit.puts {
        transaction
            .prepare_cached("INSERT OR REPLACE INTO entry (key, value, revision) VALUES (?1, ?2, ?3)")?
            .execute(params![key, value, next])?;
        changes.push(Change {
            key,
            value: Some(value),
            revision,
        });
    }
    for key in commit.deletes {
        let deleted = transaction
            .prepare_cached("DELETE FROM entry WHERE key = ?1")?
            .execute([&key])?;
        if deleted > 0 {
            changes.push(Change {
                key,
                value: None,
                revision,
            });
        }
    }
    if changes.is_empty() {
        return Ok((counted(last)?, changes));
    }
    transaction
        .prepare_cached("UPDATE revision SET last = ?1")?
        .execute([next])?;
    Ok((revision, changes))
}

/// SQLite counts in `i64`; a negative count was never written by us.
fn counted(revision: i64) -> std::result::Result<Revision, Failure> {
    u64::try_from(revision)
        .map(Revision)
        .map_err(|_| Failure::Counter)
}

#[cfg(test)]
mod tests;
