//! For whom a volume's key is wrapped, and a new key in its place: by the host, or in the wrapping that the tenant has signed elsewhere.

use super::deeds::{Signer, change, pinned, read, unwrap};
use crate::daemon::Daemon;
use crate::state::Snapshot;
use cofferdam_deed::{Deed, Draft, Expected, SignedDeed, WrappedFor};
use cofferdam_keys::{Recipient, WrappedKey};
use cofferdam_model::{Problem, Result, Volume};
use cofferdam_vault::VolumeKey;

/// A wrapped key, as a deed has it.
pub(super) fn wrapped_for(recipients: &[Recipient], wrapped: &WrappedKey) -> WrappedFor {
    WrappedFor {
        recipients: recipients.iter().map(ToString::to_string).collect(),
        wrapped: wrapped.to_string(),
    }
}

/// Whom a volume's key is wrapped for, by its deed.
///
/// # Errors
/// `corrupt` for a deed that is not what it must be.
pub(crate) fn recipients(daemon: &Daemon, volume: &Volume) -> Result<Vec<String>> {
    let pinned = pinned(&daemon.state.now(), volume.name.tenant())?;
    read(daemon, pinned, volume).map(|deed| deed.recipients().to_vec())
}

/// A deed whose key was wrapped anew, while the registry went on.
pub(crate) struct Rewrapped {
    /// The deed that it follows.
    of: SignedDeed,
    deed: Deed,
}

impl Rewrapped {
    /// What is to be signed elsewhere, and the deed that it follows; none where nothing changes.
    ///
    /// # Errors
    /// `invalid` where it would be too long.
    pub(crate) fn draft(self) -> Result<Option<(Draft, SignedDeed)>> {
        if self.deed.version() == self.of.version() {
            return Ok(None);
        }
        Ok(Some((Draft::of(self.deed)?, self.of)))
    }
}

/// Wraps a volume's key for the recipients that `choose` leaves; or takes the wrapping that the tenant has signed elsewhere. A
/// plugin or a token may take its time, so this is done before the registry is changed ([`put`]).
///
/// # Errors
/// `denied` where this host is no recipient itself; whatever `choose` refuses.
pub(crate) fn rewrap(
    daemon: &Daemon,
    volume: &Volume,
    by: &Signer,
    choose: impl FnOnce(&mut Vec<Recipient>) -> Result<()>,
) -> Result<Rewrapped> {
    let pinned = pinned(&daemon.state.now(), volume.name.tenant())?;
    let current = read(daemon, pinned, volume)?;
    if current.wrapped_before().is_some() {
        return Err(Problem::conflict(format!(
            "{} is being encrypted anew, and has two keys",
            volume.name
        ))
        .remedy(format!(
            "wait until that has ended: cofferdam volume rotate {}",
            volume.name
        )));
    }
    let key = daemon.keys.unwrap(&current.wrapped().parse()?)?;
    current.confirm(&key)?;
    let named = current.recipients().iter();
    let before: Vec<Recipient> = named.map(|text| text.parse()).collect::<Result<_>>()?;
    let mut chosen = before.clone();
    choose(&mut chosen)?;
    let deed = match by {
        _ if chosen == before => current.deed().clone(),
        Signer::Host => {
            let wrapped = daemon.keys.wrap(&key, &chosen)?;
            current.with_key(&key, wrapped_for(&chosen, &wrapped))?
        }
        Signer::Elsewhere(envelope) => {
            let (theirs, wrapped) = signed_key(daemon, &current, envelope, &chosen)?;
            // Another key in its place would be the end of the volume.
            current.confirm(&theirs)?;
            current.with_key(&theirs, wrapped)?
        }
    };
    Ok(Rewrapped { of: current, deed })
}

/// The key that a deed signed elsewhere has, in the wrapping that it has: this host unwraps it, or it would lose the volume.
fn signed_key(
    daemon: &Daemon,
    current: &SignedDeed,
    envelope: &[u8],
    recipients: &[Recipient],
) -> Result<(VolumeKey, WrappedFor)> {
    let expected = Expected {
        volume: current.volume(),
        tenant_key: Some(current.tenant_key()),
        seen: None,
    };
    let signed = cofferdam_deed::open(envelope, &expected)?;
    let wrapped: WrappedKey = signed.wrapped().parse()?;
    Ok((daemon.keys.unwrap(&wrapped)?, wrapped_for(recipients, &wrapped)))
}

/// A new key for a volume, wrapped for whom the one that it has is, or the new key that the tenant has signed elsewhere; none where
/// its deed has two keys already. Done before the registry is changed ([`put`]), as [`rewrap`].
///
/// # Errors
/// `denied` where this host is no recipient; `invalid` for the key that it has.
pub(super) fn with_new_key(daemon: &Daemon, volume: &Volume, by: &Signer) -> Result<Option<Rewrapped>> {
    let pinned = pinned(&daemon.state.now(), volume.name.tenant())?;
    let current = read(daemon, pinned, volume)?;
    if current.wrapped_before().is_some() {
        return Ok(None);
    }
    let keys = unwrap(daemon, &current)?;
    keys.confirm(&current)?;
    let named = current.recipients().iter();
    let recipients: Vec<Recipient> = named.map(|text| text.parse()).collect::<Result<_>>()?;
    let (key, wrapped) = match by {
        Signer::Host => {
            let key =
                VolumeKey::generate().map_err(|error| Problem::unavailable(format!("no key: {error}")))?;
            let wrapped = wrapped_for(&recipients, &daemon.keys.wrap(&key, &recipients)?);
            (key, wrapped)
        }
        Signer::Elsewhere(envelope) => signed_key(daemon, &current, envelope, &recipients)?,
    };
    if current.confirm(&key).is_ok() {
        return Err(
            Problem::invalid(format!("{} is under that key already", volume.name))
                .remedy("have the daemon say anew what is to be signed"),
        );
    }
    let deed = current.with_rotation(&key, wrapped)?;
    Ok(Some(Rewrapped { of: current, deed }))
}

/// The volume as it is with a key that was wrapped anew, as [`change`] does it.
///
/// # Errors
/// As [`change`]; `conflict` where the deed was changed meanwhile.
pub(crate) fn put(
    daemon: &Daemon,
    known: &Snapshot,
    volume: &Volume,
    by: &Signer,
    anew: Rewrapped,
) -> Result<Volume> {
    change(daemon, known, volume, by, |current| {
        if current.digest() == anew.of.digest() {
            return Ok(anew.deed);
        }
        Err(
            Problem::conflict(format!("the deed of {} was changed meanwhile", volume.name))
                .remedy("do it again"),
        )
    })
}
