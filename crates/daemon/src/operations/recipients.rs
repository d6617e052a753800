//! Recipients: for whom a sealed volume's key is wrapped.

use super::volumes::{known_volume, volume};
use crate::daemon::Daemon;
use crate::sealed::{self, Signer};
use crate::state::{Change, Record};
use cofferdam_deed::{Draft, SignedDeed};
use cofferdam_keys::Recipient;
use cofferdam_model::api::VolumeDetail;
use cofferdam_model::{Kind, Problem, Result, Volume, VolumeName};

/// Wraps a volume's key for one more: another host, a recovery key.
pub(crate) fn share_volume(
    daemon: &Daemon,
    name: &VolumeName,
    recipient: &Recipient,
    by: &Signer,
) -> Result<VolumeDetail> {
    rewrap(daemon, name, by, |recipients| add(recipients, recipient))
}

/// The deed that sharing would lead to, to be signed elsewhere, and the one that it follows; none where it is shared so already.
pub(crate) fn draft_sharing(
    daemon: &Daemon,
    name: &VolumeName,
    recipient: &Recipient,
) -> Result<Option<(Draft, SignedDeed)>> {
    draft(daemon, name, |recipients| add(recipients, recipient))
}

/// The deed that taking a recipient away would lead to, likewise.
pub(crate) fn draft_unsharing(
    daemon: &Daemon,
    name: &VolumeName,
    recipient: &Recipient,
) -> Result<Option<(Draft, SignedDeed)>> {
    draft(daemon, name, |recipients| {
        take(daemon, name, recipients, recipient)
    })
}

/// Wraps a volume's key anew, and for one less. What that one has unwrapped already, it keeps.
pub(crate) fn unshare_volume(
    daemon: &Daemon,
    name: &VolumeName,
    recipient: &Recipient,
    by: &Signer,
) -> Result<VolumeDetail> {
    rewrap(daemon, name, by, |recipients| {
        take(daemon, name, recipients, recipient)
    })
}

fn add(recipients: &mut Vec<Recipient>, recipient: &Recipient) -> Result<()> {
    if !recipients.contains(recipient) {
        recipients.push(recipient.clone());
    }
    Ok(())
}

fn take(
    daemon: &Daemon,
    name: &VolumeName,
    recipients: &mut Vec<Recipient>,
    recipient: &Recipient,
) -> Result<()> {
    if recipient == daemon.keys.recipient() {
        return Err(Problem::invalid(format!(
            "{recipient} is this host, which could open {name} no more"
        ))
        .remedy("take it away on another host that is a recipient"));
    }
    if !recipients.contains(recipient) {
        return Err(
            Problem::missing(format!("the key of {name} is not wrapped for {recipient}"))
                .remedy(format!("see for whom it is: cofferdam volume show {name}")),
        );
    }
    recipients.retain(|other| other != recipient);
    Ok(())
}

fn draft(
    daemon: &Daemon,
    name: &VolumeName,
    choose: impl FnOnce(&mut Vec<Recipient>) -> Result<()>,
) -> Result<Option<(Draft, SignedDeed)>> {
    let found = known_volume(daemon, name)?.volume;
    sealed::rewrap(daemon, only_sealed(&found)?, &Signer::Host, choose)?.draft()
}

fn rewrap(
    daemon: &Daemon,
    name: &VolumeName,
    by: &Signer,
    choose: impl FnOnce(&mut Vec<Recipient>) -> Result<()>,
) -> Result<VolumeDetail> {
    let found = known_volume(daemon, name)?.volume;
    let rewrapped = sealed::rewrap(daemon, only_sealed(&found)?, by, choose)?;
    daemon.state.change(|known| {
        let changed = sealed::put_rewrapped(daemon, known, known.volume(name)?, by, rewrapped)?;
        Ok((vec![Change::Put(Record::Volume(Box::new(changed)))], ()))
    })?;
    volume(daemon, name)
}

/// A sealed volume.
///
/// # Errors
/// `invalid` for one of another kind.
pub(super) fn only_sealed(volume: &Volume) -> Result<&Volume> {
    match volume.kind() {
        Kind::Sealed => Ok(volume),
        Kind::Ephemeral => Err(Problem::invalid(format!(
            "the key of {} is nowhere but in memory",
            volume.name
        ))
        .remedy("make a sealed volume, and copy the data there")),
        Kind::Plain => Err(
            Problem::invalid(format!("{} is a plain volume, which has no key", volume.name))
                .remedy("make a sealed one, and copy the data there"),
        ),
    }
}
