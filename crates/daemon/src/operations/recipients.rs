//! Recipients: for whom a sealed volume's key is wrapped.

use super::volumes::volume;
use crate::daemon::Daemon;
use crate::sealed;
use crate::state::{Change, Record};
use cofferdam_keys::Recipient;
use cofferdam_model::api::VolumeDetail;
use cofferdam_model::{Kind, Problem, Result, Volume, VolumeName};

/// Wraps a volume's key for one more: another host, a recovery key.
pub(crate) fn share_volume(
    daemon: &Daemon,
    name: &VolumeName,
    recipient: &Recipient,
) -> Result<VolumeDetail> {
    rewrap(daemon, name, |recipients| {
        if !recipients.contains(recipient) {
            recipients.push(recipient.clone());
        }
        Ok(())
    })
}

/// Wraps a volume's key anew, and for one less. What that one has unwrapped already, it keeps.
pub(crate) fn unshare_volume(
    daemon: &Daemon,
    name: &VolumeName,
    recipient: &Recipient,
) -> Result<VolumeDetail> {
    rewrap(daemon, name, |recipients| {
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
    })
}

fn rewrap(
    daemon: &Daemon,
    name: &VolumeName,
    choose: impl FnOnce(&mut Vec<Recipient>) -> Result<()>,
) -> Result<VolumeDetail> {
    let found = daemon.state.now().volume(name)?.clone();
    let rewrapped = sealed::rewrap(daemon, only_sealed(&found)?, choose)?;
    daemon.state.change(|known| {
        let changed = sealed::put_rewrapped(daemon, known, known.volume(name)?, rewrapped)?;
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
