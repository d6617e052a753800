//! Removing volumes, and finishing what an earlier daemon left half made or half removed.

use super::volumes::{detail, known_volume, settle_placeholder};
use crate::daemon::Daemon;
use crate::sealed;
use crate::state::{Change, Record, grant_key, making_key, removing_key, volume_key};
use cofferdam_model::api::VolumeDetail;
use cofferdam_model::{Kind, Maker, Problem, Result, Volume, VolumeId, VolumeName};
use std::sync::Arc;
use tracing::{info, warn};

/// Removes a volume that nobody holds, with its data and its grants. Through Docker only what Docker made.
pub(crate) fn remove_volume(daemon: &Arc<Daemon>, name: &VolumeName, through: Maker) -> Result<VolumeDetail> {
    let before = known_volume(daemon, name)?;
    // One that is encrypted anew is not just being closed: that may take an hour.
    if before.attachments.is_empty() && !is_rotating(&before.volume) {
        daemon.open_volumes.settle(&before.volume.id);
    }
    let removed = daemon.state.change(|known| {
        let removed = detail(known, known.volume(name)?);
        if through == Maker::Docker && removed.volume.maker != Maker::Docker {
            return Err(Problem::denied(format!(
                "{name} was not made through Docker, so Docker cannot remove it"
            ))
            .remedy(format!("remove it with: cofferdam volume rm {name}")));
        }
        if let Some(held) = removed.attachments.first() {
            return Err(Problem::busy(format!(
                "{name} is held by container {} (app {})",
                held.container.short(),
                held.app
            ))
            .remedy("stop that container first"));
        }
        if daemon.first_contents.is_under_way(&removed.volume.id) {
            return Err(Problem::busy(format!("{name} is being given its first content"))
                .remedy("try again in a moment"));
        }
        if daemon.open_volumes.is_used(&removed.volume.id) && is_rotating(&removed.volume) {
            return Err(
                Problem::busy(format!("{name} is being encrypted anew")).remedy(format!(
                    "wait for that, or end it first: cofferdam volume seal {name} --now"
                )),
            );
        }
        if daemon.open_volumes.is_used(&removed.volume.id) {
            return Err(Problem::busy(format!("{name} is just being opened or closed"))
                .remedy("try again in a moment"));
        }
        let mut changes: Vec<_> = removed
            .grants
            .iter()
            .map(|grant| Change::Delete(grant_key(&grant.volume, &grant.app)))
            .collect();
        changes.push(Change::Delete(volume_key(name)));
        changes.push(Change::Put(Record::Removing(removed.volume.id.clone())));
        Ok((changes, removed))
    })?;
    settle_placeholder(daemon, name)?;
    sealed::destroy(daemon, &removed.volume.id)?;
    daemon.open_volumes.forget(&removed.volume.id);
    let later = Arc::clone(daemon);
    daemon.tasks.spawn_blocking(move || {
        if let Err(problem) = finish_removals(&later) {
            warn!("removed volumes are still to be deleted: {problem}");
        }
    });
    info!(volume = %name, "removed");
    Ok(removed)
}

fn is_rotating(volume: &Volume) -> bool {
    let sealed = volume.sealed.as_ref();
    sealed.is_some_and(|sealed| sealed.rotation.is_some())
}

/// Takes away what there is of a volume that came to nothing.
pub(super) fn forget(daemon: &Daemon, id: &VolumeId) -> Result<()> {
    sealed::destroy(daemon, id)?;
    daemon.store.empty_trash()?;
    daemon
        .state
        .change(|_| Ok((vec![Change::Delete(making_key(id))], ())))
}

/// Finishes what an earlier daemon left half done: removals, and first contents of new volumes. What cannot be finished is
/// logged and left for the next time; it keeps nobody from their volumes.
pub(crate) fn tidy(daemon: &Daemon) {
    let new: Vec<VolumeId> = daemon
        .state
        .now()
        .volumes()
        .filter(|volume| volume.owner.is_none() && volume.kind() == Kind::Plain)
        .map(|volume| volume.id.clone())
        .collect();
    for id in new {
        let discarded = daemon
            .sealed
            .is_none_of_ours(&id)
            .and_then(|()| daemon.store.discard(&id));
        if let Err(problem) = discarded {
            warn!(volume = %id, "an unfinished volume cannot be tidied away: {problem}");
        }
    }
    let making: Vec<VolumeId> = daemon.state.now().making().cloned().collect();
    for id in making {
        if let Err(problem) = forget(daemon, &id) {
            warn!(volume = %id, "a volume whose making was cut short cannot be tidied away: {problem}");
        }
    }
    if let Err(problem) = finish_removals(daemon) {
        warn!("removed volumes are still to be deleted: {problem}");
    }
    match daemon.store.ids() {
        Ok(ids) => ids.iter().filter(|id| !is_known(daemon, id)).for_each(|id| {
            warn!(volume = %id, "the store has data of a volume that the registry does not know; it is left alone");
        }),
        Err(problem) => warn!("{problem}"),
    }
}

fn is_known(daemon: &Daemon, id: &VolumeId) -> bool {
    daemon.state.now().volumes().any(|volume| volume.id == *id)
}

/// Deletes the data of every volume that was removed.
///
/// # Errors
/// `unavailable` or `internal`, as the system says; the next start tries again.
fn finish_removals(daemon: &Daemon) -> Result<()> {
    let removing: Vec<VolumeId> = daemon.state.now().removing().cloned().collect();
    removing.iter().try_for_each(|id| sealed::destroy(daemon, id))?;
    daemon.store.empty_trash()?;
    if removing.is_empty() {
        return Ok(());
    }
    daemon.state.change(|known| {
        let still = removing
            .iter()
            .filter(|id| known.removing().any(|other| other == *id));
        Ok((still.map(|id| Change::Delete(removing_key(id))).collect(), ()))
    })
}
