//! What the daemon knows: the registry on disk, and a snapshot of it in memory that answers every question.
//!
//! A change is worked out against the snapshot, committed to the registry, and only then seen in the snapshot. Changes
//! are made one at a time; reading never waits for a disk.

mod records;
mod snapshot;

pub(crate) use records::{
    Change, Record, app_key, decision_key, ended_key, grant_key, host_path_key, lease_key, making_key,
    measured_key, removing_key, tenant_key, ticket_key, volume_key,
};
pub(crate) use snapshot::{DECISIONS_KEPT, Snapshot, TenantRecord, not_kept};

use cofferdam_model::{Problem, Result};
use cofferdam_registry::{Commit, Registry};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

/// The registry and its snapshot.
pub(crate) struct State {
    registry: Box<dyn Registry>,
    snapshot: RwLock<Snapshot>,
    one_at_a_time: Mutex<()>,
}

impl State {
    /// Reads the whole registry.
    ///
    /// # Errors
    /// `corrupt` where a record cannot be understood; it is named.
    pub(crate) fn load(registry: Box<dyn Registry>) -> Result<Self> {
        let mut snapshot = Snapshot::default();
        for entry in registry.list("")? {
            let record = Record::decode(&entry.key, &entry.value).map_err(|error| {
                Problem::corrupt(format!(
                    "the registry's record {} cannot be read: {error}",
                    entry.key
                ))
            })?;
            snapshot.apply(&Change::Put(record));
        }
        Ok(State {
            registry,
            snapshot: RwLock::new(snapshot),
            one_at_a_time: Mutex::new(()),
        })
    }

    /// What is known now. Keep it short: a change waits for it.
    pub(crate) fn now(&self) -> RwLockReadGuard<'_, Snapshot> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes one change: `work` looks at what is known and says what shall be different.
    ///
    /// # Errors
    /// Whatever `work` refuses, and the registry's own; nothing has changed then.
    pub(crate) fn change<T>(&self, work: impl FnOnce(&Snapshot) -> Result<(Vec<Change>, T)>) -> Result<T> {
        let _turn = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        let (changes, result) = work(&self.now())?;
        if changes.is_empty() {
            return Ok(result);
        }
        let mut commit = Commit::new();
        for change in &changes {
            commit = match change {
                Change::Put(record) => commit.put(record.key(), record.encode()?),
                Change::Delete(key) => commit.delete(key.clone()),
            };
        }
        self.registry.commit(commit)?;
        let mut snapshot = self.snapshot.write().unwrap_or_else(PoisonError::into_inner);
        changes.iter().for_each(|change| snapshot.apply(change));
        Ok(result)
    }
}
