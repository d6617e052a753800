//! Volumes: made, shown, removed.
//!
//! A new volume is a record and a placeholder; its directory is made when the first container opens it. Removal is
//! recorded before any data goes, so that a daemon that is killed in between finishes it at its next start.

use super::tenants::with_tenant;
use crate::daemon::Daemon;
use crate::state::{Change, Record, Snapshot, grant_key, removing_key, volume_key};
use cofferdam_model::api::{NewVolume, VolumeDetail};
use cofferdam_model::{Epoch, Maker, Problem, Result, Volume, VolumeId, VolumeName};
use jiff::Timestamp;
use rustix::rand::{GetRandomFlags, getrandom};
use std::sync::Arc;
use tracing::{info, warn};

/// As many volumes as clients of Docker's may make: they are nobody that could be asked to stop.
const DOCKER_VOLUMES_MAX: usize = 4096;

/// Makes a volume; one that exists with the same properties is answered with. A volume that Docker made becomes the operator's
/// when an operator makes it too: Docker cannot remove it any more.
pub(crate) fn create_volume(daemon: &Daemon, new: &NewVolume, maker: Maker) -> Result<VolumeDetail> {
    let id = random_id()?;
    // What will be refused must not use up a placeholder.
    creation(&daemon.state.now(), new, maker, &id)?;
    // The placeholder comes before the volume: one without the other would be a path to nothing.
    daemon.change_placeholders().add(&new.name)?;
    let made = daemon.state.change(|known| creation(known, new, maker, &id));
    settle_placeholder(daemon, &new.name)?;
    made
}

/// What making a volume changes, and what comes of it.
fn creation(
    known: &Snapshot,
    new: &NewVolume,
    maker: Maker,
    id: &VolumeId,
) -> Result<(Vec<Change>, VolumeDetail)> {
    if let Ok(volume) = known.volume(&new.name) {
        same(volume, new)?;
        return Ok(adopted(known, volume, maker));
    }
    let by_docker = known
        .volumes()
        .filter(|volume| volume.maker == Maker::Docker)
        .count();
    if maker == Maker::Docker && by_docker >= DOCKER_VOLUMES_MAX {
        return Err(
            Problem::denied(format!("{by_docker} volumes were made through Docker already"))
                .remedy("remove some, or make this one with: cofferdam volume create"),
        );
    }
    let mut changes = with_tenant(known, new.name.tenant())?;
    let volume = Volume {
        name: new.name.clone(),
        id: id.clone(),
        size: new.size,
        access: new.access,
        maker,
        created: Timestamp::now(),
        owner: None,
        epoch: Epoch::default(),
    };
    changes.push(Change::Put(Record::Volume(Box::new(volume.clone()))));
    Ok((changes, detail(known, &volume)))
}

/// What an operator makes or grants is the operator's from then on.
fn adopted(known: &Snapshot, volume: &Volume, maker: Maker) -> (Vec<Change>, VolumeDetail) {
    if maker == Maker::Admin && volume.maker == Maker::Docker {
        let ours = Volume {
            maker: Maker::Admin,
            ..volume.clone()
        };
        return (
            vec![Change::Put(Record::Volume(Box::new(ours.clone())))],
            detail(known, &ours),
        );
    }
    (Vec::new(), detail(known, volume))
}

/// The change that makes a volume the operator's, where it is not yet.
pub(super) fn adoption(known: &Snapshot, volume: &Volume) -> Vec<Change> {
    adopted(known, volume, Maker::Admin).0
}

/// Whatever became of a change, and whatever another one did meanwhile: a volume that exists has a placeholder, one that
/// does not has none.
fn settle_placeholder(daemon: &Daemon, name: &VolumeName) -> Result<()> {
    let mut placeholders = daemon.change_placeholders();
    if daemon.state.now().volume(name).is_ok() {
        return placeholders.add(name);
    }
    placeholders.remove(name)
}

fn same(volume: &Volume, new: &NewVolume) -> Result<()> {
    if volume.access == new.access && volume.size == new.size {
        return Ok(());
    }
    let size = volume
        .size
        .map_or_else(|| "no size".to_owned(), |size| format!("size {size}"));
    Err(Problem::conflict(format!(
        "volume {} exists already with {size} and access {}",
        volume.name, volume.access
    ))
    .remedy("use it as it is, or take another name"))
}

fn random_id() -> Result<VolumeId> {
    let mut bits = [0_u8; 16];
    let filled = getrandom(&mut bits, GetRandomFlags::empty())
        .map_err(|error| Problem::internal(format!("no random numbers: {error}")))?;
    if filled == bits.len() {
        Ok(VolumeId::from_bits(u128::from_ne_bytes(bits)))
    } else {
        Err(Problem::internal("too few random numbers"))
    }
}

fn detail(known: &Snapshot, volume: &Volume) -> VolumeDetail {
    VolumeDetail {
        volume: volume.clone(),
        grants: known.facts().grants_on(&volume.name).collect(),
        attachments: known.holders_of(&volume.name).cloned().collect(),
    }
}

/// All volumes.
pub(crate) fn volumes(daemon: &Daemon) -> Result<Vec<VolumeDetail>> {
    let known = daemon.state.now();
    Ok(known.volumes().map(|volume| detail(&known, volume)).collect())
}

/// One volume.
pub(crate) fn volume(daemon: &Daemon, name: &VolumeName) -> Result<VolumeDetail> {
    let known = daemon.state.now();
    known.volume(name).map(|volume| detail(&known, volume))
}

/// Removes a volume that nobody holds, with its data and its grants. Through Docker only what Docker made.
pub(crate) fn remove_volume(daemon: &Arc<Daemon>, name: &VolumeName, through: Maker) -> Result<VolumeDetail> {
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
    daemon.store.discard(&removed.volume.id)?;
    let later = Arc::clone(daemon);
    daemon.tasks.spawn_blocking(move || {
        if let Err(problem) = finish_removals(&later) {
            warn!("removed volumes are still to be deleted: {problem}");
        }
    });
    info!(volume = %name, "removed");
    Ok(removed)
}

/// Finishes what an earlier daemon left half done: removals, and first contents of new volumes. What cannot be finished is
/// logged and left for the next time; it keeps nobody from their volumes.
pub(crate) fn tidy(daemon: &Daemon) {
    let new: Vec<VolumeId> = daemon
        .state
        .now()
        .volumes()
        .filter(|volume| volume.owner.is_none())
        .map(|volume| volume.id.clone())
        .collect();
    for id in new {
        if let Err(problem) = daemon.store.discard(&id) {
            warn!(volume = %id, "an unfinished volume cannot be tidied away: {problem}");
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
    removing.iter().try_for_each(|id| daemon.store.discard(id))?;
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
