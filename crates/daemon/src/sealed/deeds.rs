//! A sealed volume's deed: read from its place, held against what the registry has seen, confirmed by the key it wraps.

use super::open;
use crate::daemon::Daemon;
use crate::state::Snapshot;
use cofferdam_deed::{ConfirmedDeed, Deed, Draft, Envelope, Expected, PublicKey, SignedDeed};
use cofferdam_model::{ErrorKind, Problem, Result, Rotation, Sealed, TenantName, Volume, VolumeName};
use cofferdam_vault::{SigningKey, VerifyingKey, VolumeKey};
use std::fs::File;
use std::io;

/// The deed of a volume as it lies beside its store, verified.
///
/// # Errors
/// `corrupt` for one that is not the tenant's, not the volume's, or older than what was seen.
pub(super) fn read(daemon: &Daemon, tenant_key: Option<VerifyingKey>, volume: &Volume) -> Result<SignedDeed> {
    let bytes = daemon.sealed.deed(&volume.id)?;
    let sealed = volume
        .sealed
        .as_ref()
        .ok_or_else(|| Problem::internal(format!("{} is not sealed", volume.name)))?;
    let expected = Expected {
        volume: &volume.id,
        tenant_key,
        seen: Some((sealed.deed, sealed.digest)),
    };
    cofferdam_deed::open(&bytes, &expected).map_err(|problem| problem.context(&volume.name))
}

/// The volume that a foreign deed claims to be of: to be held against the deed once it is verified.
///
/// # Errors
/// `corrupt` where it is no deed.
pub(crate) fn claimed_name(deed: &[u8]) -> Result<VolumeName> {
    Envelope::<Deed>::parse(deed)?.claims().map(|claims| claims.name)
}

/// A deed that comes from elsewhere, verified: by the tenant's key where this host knows the tenant, and confirmed by the volume's
/// own key in any case.
///
/// # Errors
/// `corrupt` where it is not what it must be; `denied` where this host is no recipient of the key.
pub(crate) fn read_foreign(daemon: &Daemon, known: &Snapshot, deed: &[u8]) -> Result<SignedDeed> {
    let claims = Envelope::<Deed>::parse(deed)?.claims()?;
    let tenant = known
        .tenant(claims.name.tenant())
        .ok()
        .and_then(|tenant| tenant.key);
    let expected = Expected {
        volume: &claims.volume,
        tenant_key: tenant.map(PublicKey::verifying),
        seen: None,
    };
    let signed = cofferdam_deed::open(deed, &expected)?;
    // Nothing but the key itself says whose deed it is where the tenant is not known.
    let keys = unwrap(daemon, &signed).map_err(|problem| problem.context(signed.name()))?;
    keys.confirm(&signed)?;
    Ok(signed)
}

/// The deed and the key that it wraps, each confirmed by the other.
///
/// # Errors
/// As [`read`]; `denied` where this host is no recipient of the key.
pub(super) fn confirm(daemon: &Daemon, volume: &Volume) -> Result<(ConfirmedDeed, VolumeKeys)> {
    let pinned = pinned(&daemon.state.now(), volume.name.tenant())?;
    let signed = read(daemon, pinned, volume);
    let signed = signed.inspect_err(|problem| note(daemon, volume, problem))?;
    let keys = unwrap(daemon, &signed).map_err(|problem| problem.context(&volume.name))?;
    let confirmed = keys
        .confirm(&signed)
        .and_then(|deed| is_of(&deed, volume).map(|()| deed));
    let confirmed = confirmed.inspect_err(|problem| note(daemon, volume, problem))?;
    Ok((confirmed, keys))
}

/// A volume's key, and while it is rotated the one before it.
pub(super) struct VolumeKeys {
    pub(super) key: VolumeKey,
    pub(super) before: Option<VolumeKey>,
}

impl VolumeKeys {
    /// The deed, confirmed by all of them.
    pub(super) fn confirm(&self, deed: &SignedDeed) -> Result<ConfirmedDeed> {
        self.before
            .as_ref()
            .map_or(Ok(()), |before| deed.confirm_before(before))?;
        deed.confirm(&self.key)
    }

    /// Writes them out: for a disk server alone.
    pub(super) fn write(&self, sink: &File) -> io::Result<()> {
        self.key.write(sink)?;
        self.before.as_ref().map_or(Ok(()), |before| before.write(sink))
    }
}

/// Unwraps a deed's keys. Nothing is confirmed yet.
///
/// # Errors
/// `denied` where this host is no recipient.
pub(super) fn unwrap(daemon: &Daemon, deed: &Deed) -> Result<VolumeKeys> {
    let of = |wrapped: &str| daemon.keys.unwrap(&wrapped.parse()?);
    Ok(VolumeKeys {
        key: of(deed.wrapped())?,
        before: deed.wrapped_before().map(of).transpose()?,
    })
}

/// What the registry remembers of a deed; `begun` of its rotation, where it has one.
pub(crate) fn remembered(deed: &SignedDeed, known: Option<&Sealed>) -> Sealed {
    let so_far = known.and_then(|sealed| sealed.rotation);
    Sealed {
        deed: deed.version(),
        digest: *deed.digest(),
        rotation: deed
            .wrapped_before()
            .map(|_| so_far.unwrap_or(Rotation::Announced)),
    }
}

/// What the registry says of a volume must be what its deed says, or somebody has exchanged volumes.
fn is_of(deed: &ConfirmedDeed, volume: &Volume) -> Result<()> {
    let differs = [
        ("name", *deed.name() != volume.name),
        ("access", deed.access() != volume.access),
        (
            "owner",
            deed.owner().is_some() && volume.owner.is_some() && deed.owner() != volume.owner,
        ),
    ];
    match differs.iter().find(|(_, differs)| *differs) {
        None => Ok(()),
        Some((what, _)) => Err(Problem::corrupt(format!(
            "the registry has another {what} of {} than its deed",
            volume.name
        ))
        .remedy("the registry was changed by hand: put it back, and look who can write it")),
    }
}

fn note(daemon: &Daemon, volume: &Volume, problem: &Problem) {
    if problem.kind == ErrorKind::Corrupt {
        open::found(daemon, volume, &problem.message);
    }
}

/// The deed as it lies beside the store, which may be older than what was seen; all else about it must be as ever.
///
/// # Errors
/// As [`confirm`], but for its age.
pub(crate) fn as_it_lies(daemon: &Daemon, volume: &Volume) -> Result<Sealed> {
    let tenant_key = pinned(&daemon.state.now(), volume.name.tenant())?;
    let bytes = daemon.sealed.deed(&volume.id)?;
    let expected = Expected {
        volume: &volume.id,
        tenant_key,
        seen: None,
    };
    let signed = cofferdam_deed::open(&bytes, &expected).map_err(|problem| problem.context(&volume.name))?;
    let keys = unwrap(daemon, &signed).map_err(|problem| problem.context(&volume.name))?;
    is_of(&keys.confirm(&signed)?, volume)?;
    Ok(remembered(&signed, None))
}

/// Who signs a deed.
#[derive(Debug)]
pub(crate) enum Signer {
    /// The host, with the key that it keeps for the tenant.
    Host,
    /// The tenant has signed it where its key is: the deed's envelope.
    Elsewhere(Vec<u8>),
}

/// The deed that a change would lead to, to be signed elsewhere, and the one that it follows; none where it would change nothing.
///
/// # Errors
/// `corrupt` where the deed that is there is not what it must be.
pub(crate) fn draft(
    daemon: &Daemon,
    volume: &Volume,
    next: impl FnOnce(&SignedDeed) -> Result<Deed>,
) -> Result<Option<(Draft, SignedDeed)>> {
    let pinned = pinned(&daemon.state.now(), volume.name.tenant())?;
    let current = read(daemon, pinned, volume)?;
    let next = next(&current)?;
    if next.version() == current.version() {
        return Ok(None);
    }
    Ok(Some((Draft::of(next)?, current)))
}

/// The volume as it is with another deed, which is written and durable when this returns. To be called while the registry is
/// changed: one change at a time. Where the change does not come about after all, a deed that is newer than what the registry
/// has seen is there; it is taken as it is at the next opening, and allows nothing that the registry does not.
///
/// # Errors
/// `denied` where the host does not keep the tenant's key; `corrupt` where the deed that is there is not what it must be;
/// `conflict` where something else was signed elsewhere.
pub(crate) fn change(
    daemon: &Daemon,
    known: &Snapshot,
    volume: &Volume,
    by: &Signer,
    next: impl FnOnce(&SignedDeed) -> Result<Deed>,
) -> Result<Volume> {
    let pinned = pinned(known, volume.name.tenant())?;
    let current = read(daemon, pinned, volume)?;
    let next = next(&current)?;
    if next.version() == current.version() {
        // A crash may have come between the deed and the registry's record of it.
        return Ok(Volume {
            sealed: Some(remembered(&current, volume.sealed.as_ref())),
            ..volume.clone()
        });
    }
    let next = match by {
        Signer::Host => next.sign(&key_of(daemon, pinned, volume.name.tenant())?)?,
        Signer::Elsewhere(envelope) => Draft::of(next)?.accept(envelope)?,
    };
    daemon.sealed.put_deed(&volume.id, next.bytes())?;
    Ok(Volume {
        sealed: Some(remembered(&next, volume.sealed.as_ref())),
        ..volume.clone()
    })
}

/// The key of a tenant, as the registry knows it.
///
/// # Errors
/// `missing` where there is no such tenant.
pub(super) fn pinned(known: &Snapshot, tenant: &TenantName) -> Result<Option<VerifyingKey>> {
    Ok(known.tenant(tenant)?.key.map(PublicKey::verifying))
}

/// Whether the host keeps a tenant's key.
///
/// # Errors
/// As the system says.
pub(crate) fn keeps_key(daemon: &Daemon, known: &Snapshot, tenant: &TenantName) -> Result<bool> {
    let key = daemon.keys.tenant(tenant)?.map(|key| key.verifying());
    Ok(key.is_some() && key == pinned(known, tenant)?)
}

/// The key of a tenant that has the host keep it, and that the registry knows.
///
/// # Errors
/// `denied` where it is elsewhere; `missing` where there is no such tenant.
pub(crate) fn tenant_key(daemon: &Daemon, tenant: &TenantName) -> Result<SigningKey> {
    let pinned = pinned(&daemon.state.now(), tenant)?;
    key_of(daemon, pinned, tenant)
}

/// The key of a tenant that has the host keep it.
pub(super) fn key_of(
    daemon: &Daemon,
    pinned: Option<VerifyingKey>,
    tenant: &TenantName,
) -> Result<SigningKey> {
    let key = daemon.keys.tenant(tenant)?.ok_or_else(|| {
        Problem::denied(format!("the key of tenant {tenant} is not on this host"))
            .remedy("what changes a deed, and tickets, are signed where it is: add --sign-with FILE")
    })?;
    if pinned == Some(key.verifying()) {
        return Ok(key);
    }
    Err(Problem::corrupt(format!(
        "the key of tenant {tenant} on this host is not the one that the registry knows"
    ))
    .remedy("put the tenant's own key back"))
}
