//! Closing a sealed volume once nobody holds it, or is about to.

use super::slots::{Slot, State};
use crate::daemon::Daemon;
use crate::state::{Change, Record};
use cofferdam_ledger::Event;
use cofferdam_model::{ByteSize, ErrorKind, Kind, Volume, VolumeId};
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

/// How long it is waited before a volume that is still used is tried to be closed again.
const AGAIN: Duration = Duration::from_secs(2);

/// Closes a volume that nobody holds or is about to hold, beside whatever else is going on.
pub(crate) fn close_if_free(daemon: &Arc<Daemon>, id: &VolumeId) {
    let Some(slot) = daemon.open_volumes.known(id) else {
        return;
    };
    {
        let mut state = slot.locked();
        if state.closing || state.opened.is_none() || is_used(daemon, &slot, &state) {
            return;
        }
        state.closing = true;
    }
    let daemon = Arc::clone(daemon);
    let tasks = daemon.tasks.clone();
    tasks.spawn(async move {
        loop {
            let again = tokio::task::block_in_place(|| close(&daemon, &slot));
            if !again {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    });
}

/// Whether it is to be tried again later.
fn close(daemon: &Arc<Daemon>, slot: &Slot) -> bool {
    let mut state = slot.locked();
    if is_used(daemon, slot, &state) {
        state.closing = false;
        return false;
    }
    state.look();
    let Some(opened) = &state.opened else {
        state.closing = false;
        return false;
    };
    match opened.server.close() {
        Err(problem) if problem.kind == ErrorKind::Busy => {
            info!(volume = %slot.name, "still used: {problem}");
            return true;
        }
        Err(problem) if opened.server.lives() => {
            warn!(volume = %slot.name, "cannot be closed yet: {problem}");
            return true;
        }
        Err(problem) => warn!(volume = %slot.name, "was not closed in peace: {problem}"),
        Ok(()) => info!(volume = %slot.name, "sealed"),
    }
    state.opened = None;
    state.closing = false;
    remember_used(daemon, slot, state.used);
    // Before anybody can open it anew, so that none of it is taken for the next life's.
    end_if_ephemeral(daemon, slot, &mut state);
    drop(state);
    daemon.record_or_warn(vec![closed(
        daemon,
        slot,
        "the last container that held it has ended",
    )]);
    false
}

/// Notes in the registry how much of a sealed volume's filesystem is used, for the time that nobody has it open.
fn remember_used(daemon: &Daemon, slot: &Slot, used: Option<u64>) {
    let noted = daemon.state.change(|known| {
        let volume = known.volume(&slot.name).ok();
        let changed = volume
            .filter(|volume| volume.id == slot.id && volume.kind() == Kind::Sealed)
            .map(|volume| Volume {
                used: used.map(ByteSize::bytes),
                ..volume.clone()
            })
            .filter(|changed| Some(changed) != volume);
        let changes = changed.map(|changed| Change::Put(Record::Volume(Box::new(changed))));
        Ok((changes.into_iter().collect(), ()))
    });
    if let Err(problem) = noted {
        warn!(volume = %slot.name, "how much of it is used is not noted: {problem}");
    }
}

/// An ephemeral volume's key is gone with its server; so is all that it could open.
pub(super) fn end_if_ephemeral(daemon: &Daemon, slot: &Slot, state: &mut State) {
    let known = daemon.state.now().volume(&slot.name).cloned();
    let Some(volume) = known
        .ok()
        .filter(|volume| volume.id == slot.id && volume.kind() == Kind::Ephemeral)
    else {
        return;
    };
    state.used = None;
    if let Err(problem) = super::make::end_ephemeral(daemon, &volume) {
        warn!(volume = %slot.name, "what is left of it, which nobody can read, is not deleted yet: {problem}");
    }
}

fn is_used(daemon: &Daemon, slot: &Slot, state: &State) -> bool {
    state.users > 0
        || daemon
            .state
            .now()
            .attachments()
            .any(|held| held.volume_id == slot.id)
}

/// What the ledger has of a volume's closing.
pub(super) fn closed(daemon: &Daemon, slot: &Slot, reason: &str) -> Event {
    let known = daemon.state.now();
    let epoch = known.volume(&slot.name).map(|volume| volume.epoch);
    Event::Closed {
        volume: slot.name.clone(),
        id: slot.id.clone(),
        epoch: epoch.unwrap_or_default(),
        reason: reason.to_owned(),
    }
}
