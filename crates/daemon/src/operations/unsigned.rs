//! New volumes whose first deed is signed elsewhere: all is made but the signature, and waits for it in memory.

use super::removal::forget;
use super::volumes::{begin_store, create_volume, creation, random_id, record_volume};
use crate::daemon::Daemon;
use crate::sealed;
use cofferdam_deed::Draft;
use cofferdam_model::api::{NewVolume, VolumeDetail};
use cofferdam_model::{Kind, Maker, Problem, Result, VolumeId, VolumeName};
use std::sync::PoisonError;
use std::time::{Duration, Instant};
use tracing::warn;

/// A new sealed volume whose first deed waits to be signed elsewhere. There is no record of it yet.
pub(crate) struct Unsigned {
    new: NewVolume,
    id: VolumeId,
    draft: Draft,
    since: Instant,
}

/// How long a new volume waits for its deed's signature.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// As many as wait of one tenant at once.
const UNSIGNED_MAX: usize = 8;

/// Makes a new sealed volume but for its deed's signature; answers what is to be signed, none where the volume is there already
/// or needs no deed. Without the signature it is gone after a quarter of an hour, or with the daemon.
///
/// # Errors
/// `invalid` where the host keeps the tenant's key, and can sign by itself; `busy` where too many wait; as [`create_volume`].
pub(crate) fn draft_volume(daemon: &Daemon, new: &NewVolume) -> Result<Option<Vec<u8>>> {
    let tenant = new.name.tenant();
    forget_unsigned(daemon, |_, waiting| waiting.since.elapsed() > PATIENCE);
    if new.kind != Kind::Sealed || daemon.state.now().volume(&new.name).is_ok() {
        create_volume(daemon, new, Maker::Admin)?;
        return Ok(None);
    }
    if let Some(waiting) = daemon.unsigned().get(&new.name)
        && waiting.new == *new
    {
        return Ok(Some(waiting.draft.bytes().to_vec()));
    }
    if daemon.state.now().tenant(tenant)?.key.is_none()
        || sealed::keeps_key(daemon, &daemon.state.now(), tenant)?
    {
        return Err(
            Problem::invalid(format!("the key of tenant {tenant} is kept by this host"))
                .remedy("leave --sign-with out"),
        );
    }
    let id = random_id()?;
    creation(&daemon.state.now(), new, Maker::Admin, &id, None)?;
    // One at a time, so that none is more than may be.
    let _turn = daemon.drafting.lock().unwrap_or_else(PoisonError::into_inner);
    let theirs = daemon
        .unsigned()
        .keys()
        .filter(|name| name.tenant() == tenant)
        .count();
    if theirs >= UNSIGNED_MAX {
        return Err(Problem::busy(format!(
            "{theirs} new volumes of tenant {tenant} wait to be signed"
        ))
        .remedy("sign those first, or wait a quarter of an hour"));
    }
    let deed = begin_store(daemon, &id, || sealed::make_unsigned(daemon, new, &id))?;
    let draft = Draft::of(deed)?;
    let bytes = draft.bytes().to_vec();
    let waiting = Unsigned {
        new: new.clone(),
        id,
        draft,
        since: Instant::now(),
    };
    let other = daemon.unsigned().insert(new.name.clone(), waiting);
    if let Some(other) = other {
        forget(daemon, &other.id)?;
    }
    Ok(Some(bytes))
}

/// Makes the volume that waits for this deed.
///
/// # Errors
/// `missing` where none does; `corrupt` or `conflict` where it is not what was to be signed, or not signed by the tenant: it waits
/// on then.
pub(crate) fn create_signed_volume(daemon: &Daemon, new: &NewVolume, deed: &[u8]) -> Result<VolumeDetail> {
    forget_unsigned(daemon, |_, waiting| waiting.since.elapsed() > PATIENCE);
    let (signed, id) = {
        let mut unsigned = daemon.unsigned();
        let Some(waiting) = unsigned.get(&new.name).filter(|waiting| waiting.new == *new) else {
            return Err(Problem::missing(format!(
                "no such volume {} waits for its deed to be signed",
                new.name
            ))
            .remedy("make it anew: what is not signed is kept for a quarter of an hour"));
        };
        let signed = waiting.draft.accept(deed)?;
        // The tenant may be another one of the same name by now.
        let pinned = daemon.state.now().tenant(new.name.tenant())?.key;
        if pinned != Some(signed.tenant_key().into()) {
            return Err(Problem::conflict(format!(
                "tenant {} has another key than the one that signed",
                new.name.tenant()
            ))
            .remedy("make the volume anew"));
        }
        let id = waiting.id.clone();
        unsigned.remove(&new.name);
        (signed, id)
    };
    let sealed = sealed::remembered(&signed, None);
    if let Err(problem) = daemon.sealed.put_deed(&id, signed.bytes()) {
        forget(daemon, &id)?;
        return Err(problem);
    }
    record_volume(daemon, new, Maker::Admin, &id, Some(&sealed))
}

/// Takes away new volumes that wait for a signature. What cannot be taken away is left for the next start.
pub(super) fn forget_unsigned(daemon: &Daemon, which: impl Fn(&VolumeName, &Unsigned) -> bool) {
    let gone: Vec<VolumeId> = {
        let mut unsigned = daemon.unsigned();
        let gone = unsigned.extract_if(.., |name, waiting| which(name, waiting));
        gone.map(|(_, waiting)| waiting.id).collect()
    };
    for id in gone {
        if let Err(problem) = forget(daemon, &id) {
            warn!(volume = %id, "what was made of an unsigned volume is left: {problem}");
        }
    }
}
