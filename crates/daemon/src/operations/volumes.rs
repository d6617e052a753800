//! Volumes: made, shown, removed.
//!
//! A new plain volume is a record and a placeholder; its directory is made when the first container opens it. A new sealed
//! one has its store and its deed before it has a record. Making and removing are recorded before there is any data and
//! before any goes, so that a daemon that is killed in between puts things in order at its next start.

use super::asker::Asker;
use super::removal::forget;
use super::tenants::{self, with_tenant};
use crate::daemon::Daemon;
use crate::sealed;
use crate::state::{Change, Record, Snapshot, making_key};
use cofferdam_linux::random;
use cofferdam_model::api::{NewVolume, SIZE_DEFAULT, VolumeDetail};
use cofferdam_model::{ByteSize, Epoch, Kind, Maker, Problem, Result, Sealed, Volume, VolumeId, VolumeName};
use jiff::Timestamp;
use tracing::{info, warn};

/// As many volumes as clients of Docker's may make: they are nobody that could be asked to stop.
const DOCKER_VOLUMES_MAX: usize = 4096;

/// And as large.
const DOCKER_SIZE_MAX: ByteSize = ByteSize::bytes(1 << 40);

/// Makes a volume; one that exists with the same properties is answered with. A volume that Docker made becomes the operator's
/// when an operator makes it too: Docker cannot remove it any more.
pub(crate) fn create_volume(daemon: &Daemon, new: &NewVolume, maker: Maker) -> Result<VolumeDetail> {
    let id = random_id()?;
    // What will be refused must use up neither a placeholder nor a store.
    creation(&daemon.state.now(), new, maker, &id, None)?;
    let sealed = match new.kind {
        Kind::Sealed if daemon.state.now().volume(&new.name).is_err() => Some(make_store(daemon, new, &id)?),
        Kind::Sealed | Kind::Plain | Kind::Ephemeral => None,
    };
    record_volume(daemon, new, maker, &id, sealed.as_ref())
}

/// The placeholder and the record of a volume, whose store is there where it is sealed and new.
pub(super) fn record_volume(
    daemon: &Daemon,
    new: &NewVolume,
    maker: Maker,
    id: &VolumeId,
    sealed: Option<&Sealed>,
) -> Result<VolumeDetail> {
    // The placeholder comes before the volume: one without the other would be a path to nothing.
    let made = daemon.change_placeholders().add(&new.name).and_then(|()| {
        daemon
            .state
            .change(|known| creation(known, new, maker, id, sealed))
    });
    let used = made.as_ref().is_ok_and(|detail| detail.volume.id == *id);
    if sealed.is_some() && !used {
        // Refused after all, or somebody else has made it meanwhile.
        forget(daemon, id)?;
    }
    settle_placeholder(daemon, &new.name)?;
    made
}

/// Whether a member may make this volume: as many and as large ones as clients of Docker's may, for each tenant.
///
/// # Errors
/// `denied`.
pub(crate) fn is_within_limits(daemon: &Daemon, asker: &Asker, new: &NewVolume) -> Result<()> {
    if matches!(asker, Asker::Operator) {
        return Ok(());
    }
    is_not_too_large(asker, size_of(new))?;
    let known = daemon.state.now();
    let theirs = known
        .volumes()
        .filter(|volume| volume.name.tenant() == new.name.tenant());
    if theirs.count() >= DOCKER_VOLUMES_MAX {
        return Err(
            Problem::denied(format!("the tenant has {DOCKER_VOLUMES_MAX} volumes already"))
                .remedy("remove some, or have the operator make this one"),
        );
    }
    Ok(())
}

/// Whether a member's volume may be so large.
///
/// # Errors
/// `denied`.
pub(super) fn is_not_too_large(asker: &Asker, size: Option<ByteSize>) -> Result<()> {
    if matches!(asker, Asker::Operator) || size.is_none_or(|size| size <= DOCKER_SIZE_MAX) {
        return Ok(());
    }
    Err(
        Problem::denied(format!("a member's volume has at most {DOCKER_SIZE_MAX}"))
            .remedy("have the operator do it"),
    )
}

/// The tenant's key, the store and the deed of a new sealed volume. Until its record is there, a note says that it is being
/// made.
fn make_store(daemon: &Daemon, new: &NewVolume, id: &VolumeId) -> Result<Sealed> {
    tenants::with_key(daemon, new.name.tenant())?;
    begin_store(daemon, id, || sealed::make(daemon, new, id))
}

/// Makes what there is of a new sealed volume, with a note that it is being made; nothing is left where that fails.
pub(super) fn begin_store<T>(daemon: &Daemon, id: &VolumeId, make: impl FnOnce() -> Result<T>) -> Result<T> {
    daemon
        .state
        .change(|_| Ok((vec![Change::Put(Record::Making(id.clone()))], ())))?;
    make().inspect_err(|_| {
        if let Err(problem) = forget(daemon, id) {
            warn!(volume = %id, "what was made of a new volume is left: {problem}");
        }
    })
}

/// What making a volume changes, and what comes of it.
pub(super) fn creation(
    known: &Snapshot,
    new: &NewVolume,
    maker: Maker,
    id: &VolumeId,
    sealed: Option<&Sealed>,
) -> Result<(Vec<Change>, VolumeDetail)> {
    if let Ok(volume) = known.volume(&new.name) {
        same(volume, new)?;
        let ours = adopted(volume, maker);
        let changes = match ours == *volume {
            true => Vec::new(),
            false => vec![Change::Put(Record::Volume(Box::new(ours.clone())))],
        };
        return Ok((changes, detail(known, &ours)));
    }
    if maker == Maker::Docker && size_of(new).is_some_and(|size| size > DOCKER_SIZE_MAX) {
        return Err(
            Problem::denied(format!("through Docker a volume has at most {DOCKER_SIZE_MAX}"))
                .remedy("make it with: cofferdam volume create"),
        );
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
        sealed: sealed.cloned(),
        size: size_of(new),
        access: new.access,
        maker,
        created: Timestamp::now(),
        owner: None,
        epoch: Epoch::default(),
        used: None,
        ephemeral: new.kind == Kind::Ephemeral,
    };
    changes.push(Change::Put(Record::Volume(Box::new(volume.clone()))));
    if sealed.is_some() {
        changes.push(Change::Delete(making_key(id)));
    }
    Ok((changes, detail(known, &volume)))
}

/// The size that is recorded: a sealed volume always has one.
pub(crate) fn size_of(new: &NewVolume) -> Option<ByteSize> {
    match new.kind {
        Kind::Sealed | Kind::Ephemeral => Some(new.size.unwrap_or(SIZE_DEFAULT)),
        Kind::Plain => new.size,
    }
}

/// What an operator makes or grants is the operator's from then on: Docker cannot remove it any more.
pub(super) fn adopted(volume: &Volume, maker: Maker) -> Volume {
    Volume {
        maker: match maker {
            Maker::Admin => Maker::Admin,
            Maker::Docker => volume.maker,
        },
        ..volume.clone()
    }
}

/// Whatever became of a change, and whatever another one did meanwhile: a volume that exists has a placeholder, one that
/// does not has none.
pub(super) fn settle_placeholder(daemon: &Daemon, name: &VolumeName) -> Result<()> {
    let mut placeholders = daemon.change_placeholders();
    if daemon.state.now().volume(name).is_ok() {
        return placeholders.add(name);
    }
    placeholders.remove(name)
}

fn same(volume: &Volume, new: &NewVolume) -> Result<()> {
    if volume.access == new.access && volume.size == size_of(new) && volume.kind() == new.kind {
        return Ok(());
    }
    let size = volume
        .size
        .map_or_else(|| "no size".to_owned(), |size| format!("size {size}"));
    Err(Problem::conflict(format!(
        "volume {} exists already, {}, with {size} and access {}",
        volume.name,
        volume.kind().word(),
        volume.access
    ))
    .remedy("use it as it is, or take another name"))
}

pub(super) fn random_id() -> Result<VolumeId> {
    random::bits()
        .map(VolumeId::from_bits)
        .map_err(|error| Problem::internal(format!("no random numbers: {error}")))
}

pub(super) fn detail(known: &Snapshot, volume: &Volume) -> VolumeDetail {
    VolumeDetail {
        volume: volume.clone(),
        grants: known.facts().grants_on(&volume.name).collect(),
        attachments: known.holders_of(&volume.name).cloned().collect(),
        space: None,
        used: None,
        rotation: None,
        recipients: Vec::new(),
    }
}

/// The same, with the space that it takes up on the host, and what is used of it. Only `now` its disk server is asked, which may take
/// its time.
fn measured(daemon: &Daemon, detail: VolumeDetail, now: bool) -> VolumeDetail {
    if detail.volume.kind() == Kind::Plain {
        return detail;
    }
    let id = &detail.volume.id;
    let space = daemon.sealed.space(id).ok().map(ByteSize::bytes);
    let used = daemon.open_volumes.used(id, now).map(ByteSize::bytes);
    let used = used.or(detail.volume.used);
    let under_way = detail
        .volume
        .sealed
        .as_ref()
        .is_some_and(|sealed| sealed.rotation.is_some());
    let rotation = (now && under_way)
        .then(|| daemon.open_volumes.rotation(id))
        .flatten();
    VolumeDetail {
        space,
        used,
        rotation,
        ..detail
    }
}

/// The same, with for whom its key is wrapped, as far as its deed can be read.
fn with_recipients(daemon: &Daemon, detail: VolumeDetail) -> VolumeDetail {
    let recipients = match detail.volume.kind() {
        Kind::Sealed => sealed::recipients(daemon, &detail.volume).unwrap_or_default(),
        Kind::Plain | Kind::Ephemeral => Vec::new(),
    };
    VolumeDetail { recipients, ..detail }
}

/// All volumes that `sees` lets pass.
pub(crate) fn volumes(daemon: &Daemon, sees: impl Fn(&Volume) -> bool) -> Result<Vec<VolumeDetail>> {
    let all = known_volumes(daemon).into_iter();
    let seen = all.filter(|detail| sees(&detail.volume));
    Ok(seen.map(|detail| measured(daemon, detail, false)).collect())
}

/// A volume as the registry has it: nothing is looked at on the disk. For engines, which ask at every turn.
pub(crate) fn known_volume(daemon: &Daemon, name: &VolumeName) -> Result<VolumeDetail> {
    let known = daemon.state.now();
    known.volume(name).map(|volume| detail(&known, volume))
}

/// All of them, likewise.
pub(crate) fn known_volumes(daemon: &Daemon) -> Vec<VolumeDetail> {
    let known = daemon.state.now();
    known.volumes().map(|volume| detail(&known, volume)).collect()
}

/// One volume.
pub(crate) fn volume(daemon: &Daemon, name: &VolumeName) -> Result<VolumeDetail> {
    known_volume(daemon, name).map(|detail| with_recipients(daemon, measured(daemon, detail, true)))
}

/// Closes a volume: with `now`, whoever has it open; without, only where nobody holds it.
pub(crate) fn seal_volume(daemon: &Daemon, name: &VolumeName, now: bool) -> Result<VolumeDetail> {
    let found = known_volume(daemon, name)?;
    if found.volume.kind() == Kind::Plain {
        return Err(
            Problem::invalid(format!("{name} is a plain volume, which nothing seals"))
                .remedy("stop the containers that hold it"),
        );
    }
    match (now, found.attachments.first()) {
        (true, _) => sealed::shut(daemon, &found.volume, "an operator has sealed it")?,
        (false, None) => {
            daemon.open_volumes.settle(&found.volume.id);
            if daemon.open_volumes.is_used(&found.volume.id) {
                return Err(
                    Problem::busy(format!("{name} is still open, and nobody holds it")).remedy(format!(
                        "see why in the daemon's log, or end it: cofferdam volume seal {name} --now"
                    )),
                );
            }
        }
        (false, Some(held)) => {
            return Err(Problem::busy(format!(
                "{name} is held by container {} (app {})",
                held.container.short(),
                held.app
            ))
            .remedy(format!(
                "stop that container first, or take the volume from it: cofferdam volume seal {name} --now"
            )));
        }
    }
    volume(daemon, name)
}

/// Takes a volume's store and deed as they are, though newer ones have been seen: an older copy was put back on purpose.
///
/// # Errors
/// `invalid` for a plain volume; `busy` while it is open; as reading and confirming its deed.
pub(crate) fn accept_rollback(daemon: &Daemon, name: &VolumeName) -> Result<VolumeDetail> {
    let found = known_volume(daemon, name)?.volume;
    if found.kind() != Kind::Sealed {
        return Err(Problem::invalid(format!(
            "{name} is not a sealed volume, and no copy of it is older"
        )));
    }
    let older = sealed::as_it_lies(daemon, &found)?;
    daemon.state.change(|known| {
        let current = known.volume(name)?;
        if current.id != found.id {
            return Err(Problem::conflict(format!(
                "{name} was removed and made anew meanwhile"
            )));
        }
        if daemon.open_volumes.is_used(&found.id) {
            return Err(Problem::busy(format!("{name} is open"))
                .remedy(format!("close it first: cofferdam volume seal {name}")));
        }
        let volume = Volume {
            sealed: Some(older),
            ..current.clone()
        };
        Ok((vec![Change::Put(Record::Volume(Box::new(volume)))], ()))
    })?;
    sealed::forget_witness(daemon, &found.id)?;
    info!(volume = %name, "an older copy was accepted");
    volume(daemon, name)
}
