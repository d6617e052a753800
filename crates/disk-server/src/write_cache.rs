//! Whether the disk has a write cache: whether a write is answered when it is taken, or when it is on the store.
//!
//! Without one, a commit is one trip to this process instead of two, a write and a flush; so ext4 is mounted without
//! barriers then: it need not ask for what has happened. Measured, and what it costs: `docs/decisions`, 0027.
//!
//! INVARIANT: a filesystem is mounted without barriers only on a disk whose workers, all of them, were told that there is no
//! cache. One value of this type is handed to both ([`crate::worker::Setting`], [`crate::filesystem::Mounted`]).

use crate::{
    arguments::{Access, WriteCacheChoice},
    notice::notice,
};
use cofferdam_disk::{Claim, store::time_of_sync};
use serde::{Deserialize, Serialize};
use std::{ffi::CStr, time::Duration};

/// Up to here a sync of the store is quick: waiting for one costs a write less than a second trip costs a commit.
const QUICK: Duration = Duration::from_micros(500);

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum WriteCache {
    /// A write is answered when it is taken; a flush makes it durable.
    Back,
    /// A write is answered when it is durable.
    Through,
}

impl WriteCache {
    /// As was chosen; where nothing was, by how long the store takes for a sync.
    pub(crate) fn of(choice: WriteCacheChoice, store: &Claim, access: Access) -> Self {
        match choice {
            WriteCacheChoice::Back => WriteCache::Back,
            WriteCacheChoice::Through => WriteCache::Through,
            WriteCacheChoice::Auto => match time_of_sync(store, access.into(), QUICK) {
                Ok(time) if time <= QUICK => WriteCache::Through,
                Ok(_) => WriteCache::Back,
                Err(error) => {
                    notice(format_args!("the store's syncs cannot be timed: {error}"));
                    WriteCache::Back
                }
            },
        }
    }

    /// What ext4 is mounted with.
    pub(crate) fn mount_options(self) -> &'static [&'static CStr] {
        match self {
            WriteCache::Back => &[c"discard"],
            WriteCache::Through => &[c"discard", c"nobarrier"],
        }
    }
}
