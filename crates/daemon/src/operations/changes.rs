//! Changing a volume while it is in use: another key, a larger size.

use super::asker::Asker;
use super::recipients::only_sealed;
use super::volumes::{is_not_too_large, known_volume, volume};
use crate::daemon::Daemon;
use crate::sealed::{self, Signer};
use crate::state::{Change, Record};
use cofferdam_deed::{Draft, SignedDeed};
use cofferdam_model::api::VolumeDetail;
use cofferdam_model::{ByteSize, Kind, Problem, Result, Volume, VolumeName};
use std::sync::Arc;
use tracing::info;

/// What a volume must grow by at least: its filesystem grows in groups of blocks.
const STEP: u64 = 32 << 20;

/// Encrypts a sealed volume anew under a new key, beside whatever it is used for. One that is under way is gone on with.
///
/// # Errors
/// `invalid` for a volume that has no key of its own; as [`sealed::rotate`].
pub(crate) fn rotate_volume(daemon: &Arc<Daemon>, name: &VolumeName, by: &Signer) -> Result<VolumeDetail> {
    let found = known_volume(daemon, name)?.volume;
    sealed::rotate(daemon, only_sealed(&found)?, by)?;
    info!(volume = %name, "is encrypted anew");
    volume(daemon, name)
}

/// The deed that a rotation needs signed next, and the one that it follows; none while it goes on.
///
/// # Errors
/// As [`rotate_volume`].
pub(crate) fn draft_rotation(daemon: &Arc<Daemon>, name: &VolumeName) -> Result<Option<(Draft, SignedDeed)>> {
    let found = known_volume(daemon, name)?.volume;
    sealed::draft_rotation(daemon, only_sealed(&found)?)
}

/// Makes a volume larger. The size that it has is no error.
///
/// # Errors
/// `invalid` for a size that is smaller, hardly larger, or more than its disk can have; `denied` where the tenant's key is
/// elsewhere, and for members beyond what they may have.
pub(crate) fn grow_volume(
    daemon: &Arc<Daemon>,
    asker: &Asker,
    name: &VolumeName,
    size: ByteSize,
    by: &Signer,
) -> Result<VolumeDetail> {
    let found = known_volume(daemon, name)?.volume;
    is_not_too_large(asker, Some(size))?;
    let Some(before) = larger(&found, size)? else {
        return volume(daemon, name);
    };
    // Whoever must sign has signed before anything grows.
    if found.sealed.is_some() {
        may_sign(daemon, &found, size, by)?;
    }
    let now = sealed::grow(daemon, &found, size)?;
    daemon.state.change(|known| {
        let current = known.volume(name)?;
        if current.id != found.id || current.size != found.size {
            return Err(Problem::conflict(format!("{name} was changed meanwhile")).remedy("do it again"));
        }
        let signed = match current.sealed {
            Some(_) => sealed::change_deed(daemon, known, current, by, |deed| deed.with_size(size))?,
            None => current.clone(),
        };
        let grown = Volume {
            size: Some(size),
            ..signed
        };
        Ok((vec![Change::Put(Record::Volume(Box::new(grown)))], ()))
    })?;
    info!(volume = %name, "grown from {before} to {size}{}", if now { "" } else { "; its filesystem at the next opening" });
    volume(daemon, name)
}

/// The deed that growing would lead to, to be signed elsewhere, and the one that it follows.
///
/// # Errors
/// As [`grow_volume`].
pub(crate) fn draft_growth(
    daemon: &Daemon,
    name: &VolumeName,
    size: ByteSize,
) -> Result<Option<(Draft, SignedDeed)>> {
    let found = known_volume(daemon, name)?.volume;
    match larger(&found, size)? {
        Some(_) if found.sealed.is_some() => sealed::draft(daemon, &found, |deed| deed.with_size(size)),
        _ => Ok(None),
    }
}

fn may_sign(daemon: &Daemon, volume: &Volume, size: ByteSize, by: &Signer) -> Result<()> {
    match (sealed::draft(daemon, volume, |deed| deed.with_size(size))?, by) {
        (None, _) => Ok(()),
        (Some(_), Signer::Host) => sealed::tenant_key(daemon, volume.name.tenant()).map(drop),
        (Some((draft, _)), Signer::Elsewhere(envelope)) => draft.accept(envelope).map(drop),
    }
}

/// The size that it has, where the other one is larger; none where that is the same.
fn larger(volume: &Volume, size: ByteSize) -> Result<Option<ByteSize>> {
    let name = &volume.name;
    let Some(before) = volume.size else {
        return Err(Problem::invalid(format!("{name} has no size that could grow"))
            .remedy("a plain volume without a size has what its filesystem has"));
    };
    if size == before {
        return Ok(None);
    }
    if size < before {
        return Err(
            Problem::invalid(format!("{name} has {before}, and never becomes smaller"))
                .remedy("make a smaller volume, and copy the data there"),
        );
    }
    let step = match volume.kind() {
        Kind::Plain => 0,
        Kind::Sealed | Kind::Ephemeral => STEP,
    };
    if size.get() < before.get().saturating_add(step) || !size.get().is_multiple_of(4096) {
        return Err(Problem::invalid(format!(
            "{name} has {before}: the new size must be at least 32M more, and a multiple of 4096 bytes"
        ))
        .remedy("give a size such as 20G"));
    }
    Ok(Some(before))
}
