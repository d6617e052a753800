//! Which sealed volumes are open: a slot each.
//!
//! Whoever opens or closes a volume holds its slot's lock, so that there is one server a volume. A user that holds no lease yet is
//! counted here; afterwards the registry knows.

use super::server::DiskServer;
use cofferdam_deed::ConfirmedDeed;
use cofferdam_model::{VolumeId, VolumeName, disk};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// How often, and how long in between, it is looked whether a volume is closed.
const SETTLES: u32 = 500;
const SETTLE: Duration = Duration::from_millis(20);

/// Every sealed volume that has been open since the daemon started.
#[derive(Default)]
pub(crate) struct OpenVolumes(Mutex<BTreeMap<VolumeId, Arc<Slot>>>);

/// One volume's place.
pub(super) struct Slot {
    pub(super) name: VolumeName,
    pub(super) id: VolumeId,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) opened: Option<Opened>,
    /// How many are using it that have no lease yet.
    pub(super) users: usize,
    /// Somebody waits to close it.
    pub(super) closing: bool,
    /// The opening whose rotation somebody sees to.
    pub(super) rotating: Option<u64>,
    /// The opening that was taken back on purpose.
    pub(super) shut: Option<u64>,
    /// How often it was opened: which server is meant, when one has ended.
    pub(super) openings: u64,
    /// Bytes used in the filesystem when it was last looked at.
    pub(super) used: Option<u64>,
}

impl State {
    /// Looks how much of the filesystem is used, where it is open.
    pub(super) fn look(&mut self) {
        let used = self.opened.as_ref().and_then(|opened| opened.server.used());
        self.used = used.or(self.used);
    }
}

/// A volume that is open, and the deed by which it is.
pub(super) struct Opened {
    pub(super) server: DiskServer,
    /// None where the server was found by a daemon that could not confirm the deed: nobody else gets the volume until it can.
    pub(super) deed: Option<ConfirmedDeed>,
}

impl OpenVolumes {
    pub(super) fn slot(&self, name: &VolumeName, id: &VolumeId) -> Arc<Slot> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry(id.clone()).or_insert_with(|| {
            Arc::new(Slot {
                name: name.clone(),
                id: id.clone(),
                state: Mutex::default(),
            })
        });
        Arc::clone(slot)
    }

    pub(super) fn known(&self, id: &VolumeId) -> Option<Arc<Slot>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned()
    }

    /// Takes a volume's server away: nobody opens or closes the volume by it any more.
    pub(super) fn take(&self, id: &VolumeId) -> Option<DiskServer> {
        let slot = self.known(id)?;
        let mut state = slot.locked();
        state.shut = Some(state.openings);
        state.opened.take().map(|opened| opened.server)
    }

    /// How much of a volume's filesystem is used, in bytes, as last seen; with `now`, as it is now where it is open and nobody is
    /// just opening or closing it.
    pub(crate) fn used(&self, id: &VolumeId, now: bool) -> Option<u64> {
        let slot = self.known(id)?;
        let mut state = slot.state.try_lock().ok()?;
        if now {
            state.look();
        }
        state.used
    }

    /// How far a volume's rotation is, where it is open and nobody is just opening or closing it.
    pub(crate) fn rotation(&self, id: &VolumeId) -> Option<disk::Rotation> {
        let slot = self.known(id)?;
        let state = slot.state.try_lock().ok()?;
        state.opened.as_ref()?.server.rotation().ok()?
    }

    /// Forgets a volume that was removed.
    pub(crate) fn forget(&self, id: &VolumeId) {
        if !self.is_used(id) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        }
    }

    /// Waits for a volume that nobody holds any more to be closed, for as long as closing takes at most.
    pub(crate) fn settle(&self, id: &VolumeId) {
        for _ in 0..SETTLES {
            if !self.is_used(id) {
                return;
            }
            std::thread::sleep(SETTLE);
        }
    }

    /// Whether a volume is open, or somebody is about to open or to close it.
    pub(crate) fn is_used(&self, id: &VolumeId) -> bool {
        let Some(slot) = self.known(id) else {
            return false;
        };
        match slot.state.try_lock() {
            Ok(state) => state.opened.is_some() || state.users > 0,
            Err(_) => true,
        }
    }
}

impl Slot {
    /// The same, where nobody else has it.
    pub(super) fn try_locked(&self) -> Option<MutexGuard<'_, State>> {
        match self.state.try_lock() {
            Ok(state) => Some(state),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    pub(super) fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
