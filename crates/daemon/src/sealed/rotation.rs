//! Another key for a volume, and a larger size, while it is in use.
//!
//! A rotation is *announced*: the deed has a new key, and the one that there was as the one before. Then the disk server is given
//! the new key, and from then on it is *begun*: the registry remembers that, so that a store under the key before is taken for what
//! it is, an older one. When the server says that nothing is under the key before, the deed forgets it.
//!
//! Whatever is interrupted goes on at the next opening, and at the daemon's next start.

use super::close::close_if_free;
use super::deeds::{self, Signer};
use super::open::{Use, open_for_itself};
use super::wrapping;
use crate::daemon::Daemon;
use crate::state::{Change, Record, Snapshot};
use cofferdam_deed::{Draft, SignedDeed};
use cofferdam_ledger::Event;
use cofferdam_model::{ByteSize, ErrorKind, Kind, Problem, Result, Rotation, Sealed, Volume};
use std::sync::Arc;
use std::time::Duration;
use tracing::{info, warn};

/// How often it is looked how far a rotation is.
const RHYTHM: Duration = Duration::from_secs(1);

/// How long it is waited at most before it is tried again to go on.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Begins to encrypt a sealed volume anew under a new key, or goes on with it. Returns when everything new is under it. A deed
/// signed elsewhere begins it, or ends it once there is nothing more to do.
///
/// # Errors
/// `denied` where the tenant's key is elsewhere or this host is no recipient of the volume's; `unavailable` where it cannot be
/// opened; `busy` for a deed that ends it too early.
pub(crate) fn rotate(daemon: &Arc<Daemon>, volume: &Volume, by: &Signer) -> Result<()> {
    match (rotation(volume), by) {
        (None, _) => begin(daemon, &announce(daemon, volume, by)?),
        (Some(_), Signer::Host) => begin(daemon, volume),
        (Some(_), Signer::Elsewhere(_)) if is_over(daemon, volume)? => end(daemon, volume, by),
        (Some(_), Signer::Elsewhere(_)) => Err(Problem::busy(format!(
            "{} is not all encrypted anew yet",
            volume.name
        ))
        .remedy("sign its end when it is")),
    }
}

/// What a rotation needs signed next, and the deed that it follows; none while it goes on.
///
/// # Errors
/// As [`rotate`].
pub(crate) fn draft_rotation(daemon: &Arc<Daemon>, volume: &Volume) -> Result<Option<(Draft, SignedDeed)>> {
    match rotation(volume) {
        None => wrapping::with_new_key(daemon, volume, &Signer::Host)?
            .map_or(Ok(None), wrapping::Rewrapped::draft),
        Some(_) if is_over(daemon, volume)? => deeds::draft(daemon, volume, |deed| deed.without_key_before()),
        Some(_) => Ok(None),
    }
}

/// Whether nothing is under the key before any more.
fn is_over(daemon: &Arc<Daemon>, volume: &Volume) -> Result<bool> {
    let left = open_for_itself(daemon, volume)?.by_server(|server| server.rotation())?;
    Ok(left.is_none())
}

/// How far a rotation is known to be.
pub(super) fn known(volume: &Volume) -> Rotation {
    // A deed that the registry has not seen yet may have a key before: then nothing is known of it.
    rotation(volume).unwrap_or(Rotation::Announced)
}

fn rotation(volume: &Volume) -> Option<Rotation> {
    volume.sealed.as_ref().and_then(|sealed| sealed.rotation)
}

/// Writes a new key into the deed, beside the one that there is. Where the deed has two already, and a crash came before the
/// registry could say so, that is made up for.
fn announce(daemon: &Daemon, volume: &Volume, by: &Signer) -> Result<Volume> {
    let rewrapped = wrapping::with_new_key(daemon, volume, by)?;
    daemon.state.change(|known| {
        let current = same(known, volume)?;
        let announced = match rewrapped {
            Some(rewrapped) => wrapping::put(daemon, known, current, by, rewrapped)?,
            None => as_its_deed_says(daemon, known, current)?,
        };
        let change = Change::Put(Record::Volume(Box::new(announced.clone())));
        Ok((vec![change], announced))
    })
}

/// Gives the volume's server the new key, and sees to it that the rotation comes to its end.
fn begin(daemon: &Arc<Daemon>, volume: &Volume) -> Result<()> {
    let using = open_for_itself(daemon, volume)?;
    if !using.take_rotation() {
        return Ok(());
    }
    match hand_over(daemon, volume, &using) {
        Ok(()) => {
            see_to(daemon, volume.clone(), using);
            Ok(())
        }
        Err(problem) => {
            using.leave_rotation();
            Err(problem)
        }
    }
}

/// The volume with what the registry has to remember of the deed that lies there.
fn as_its_deed_says(daemon: &Daemon, known: &Snapshot, volume: &Volume) -> Result<Volume> {
    deeds::change(daemon, known, volume, &Signer::Host, |deed| {
        Ok(deed.deed().clone())
    })
}

fn hand_over(daemon: &Daemon, volume: &Volume, using: &Use) -> Result<()> {
    let (deed, keys) = deeds::confirm(daemon, volume)?;
    if keys.before.is_none() {
        // The deed has forgotten it already; the registry has yet to hear of that.
        return Ok(());
    }
    daemon.record(vec![Event::RotationBegun {
        volume: volume.name.clone(),
        id: volume.id.clone(),
        deed: deed.version(),
    }])?;
    using.by_server(|server| server.rotate(&keys.key))?;
    daemon.state.change(|known| {
        let current = same(known, volume)?;
        let begun = current.sealed.as_ref().map(|sealed| Sealed {
            rotation: sealed.rotation.map(|_| Rotation::Begun),
            ..sealed.clone()
        });
        let volume = Volume {
            sealed: begun,
            ..current.clone()
        };
        Ok((vec![Change::Put(Record::Volume(Box::new(volume)))], ()))
    })
}

/// How it stands with a rotation that is looked after.
enum Stand {
    /// It goes on.
    On,
    /// There is nothing more to do, or nothing that can be done.
    Over,
    /// Its server is gone, or does not answer: somebody has to begin again.
    Lost,
}

/// Looks after a rotation, and holds the volume open meanwhile.
fn see_to(daemon: &Arc<Daemon>, volume: Volume, using: Use) {
    let daemon = Arc::clone(daemon);
    let tasks = daemon.tasks.clone();
    tasks.spawn(async move {
        let stand = loop {
            match tokio::task::block_in_place(|| stand(&daemon, &volume, &using)) {
                Stand::On => tokio::time::sleep(RHYTHM).await,
                over => break over,
            }
        };
        let again = matches!(stand, Stand::Lost) && !using.was_shut();
        tokio::task::block_in_place(|| {
            using.leave_rotation();
            drop(using);
        });
        if again {
            go_on(&daemon, &volume);
        }
    });
}

fn stand(daemon: &Daemon, volume: &Volume, using: &Use) -> Stand {
    match using.is_good() {
        None => return Stand::On,
        Some(false) => return Stand::Lost,
        Some(true) => {}
    }
    match using.by_server(|server| server.rotation()) {
        Ok(None) => match end_by_host(daemon, volume) {
            Ok(()) => Stand::Over,
            Err(problem) => {
                warn!(volume = %volume.name, "is under its new key, and its deed cannot say so yet: {problem}");
                Stand::Lost
            }
        },
        Ok(Some(left)) if left.damaged > 0 && left.left == left.damaged => {
            warn!(
                volume = %volume.name,
                "what is damaged cannot be encrypted anew, and stays under the key before: restore it from a copy"
            );
            Stand::Over
        }
        Ok(Some(_)) => Stand::On,
        Err(problem) => {
            warn!(volume = %volume.name, "how far it is encrypted anew cannot be told: {problem}");
            Stand::Lost
        }
    }
}

/// Takes the key before out of the deed, where the host can sign that.
fn end_by_host(daemon: &Daemon, volume: &Volume) -> Result<()> {
    match deeds::tenant_key(daemon, volume.name.tenant()) {
        Err(problem) if problem.kind == ErrorKind::Denied => {
            info!(volume = %volume.name, "encrypted anew; its tenant has yet to sign that: cofferdam volume rotate {} --sign-with FILE", volume.name);
            Ok(())
        }
        Err(problem) => Err(problem),
        Ok(_) => end(daemon, volume, &Signer::Host),
    }
}

/// Takes the key before out of the deed.
fn end(daemon: &Daemon, volume: &Volume, by: &Signer) -> Result<()> {
    daemon.record(vec![Event::Rotated {
        volume: volume.name.clone(),
        id: volume.id.clone(),
    }])?;
    daemon.state.change(|known| {
        let current = same(known, volume)?;
        let ended = deeds::change(daemon, known, current, by, |deed| deed.without_key_before())?;
        Ok((vec![Change::Put(Record::Volume(Box::new(ended)))], ()))
    })?;
    info!(volume = %volume.name, "encrypted anew; the key before is forgotten");
    Ok(())
}

/// Goes on with a rotation beside whatever else is going on. Where it cannot yet, because an earlier server has not let go of the
/// store, or the store cannot be reached, it is tried again and again.
pub(super) fn go_on(daemon: &Arc<Daemon>, volume: &Volume) {
    let (daemon, volume) = (Arc::clone(daemon), volume.clone());
    let tasks = daemon.tasks.clone();
    tasks.spawn(async move {
        let mut pause = RHYTHM;
        loop {
            tokio::time::sleep(pause).await;
            let Err(problem) = tokio::task::block_in_place(|| begin_again(&daemon, &volume)) else {
                return;
            };
            warn!(volume = %volume.name, "is not encrypted anew for now: {problem}");
            if matches!(
                problem.kind,
                ErrorKind::Denied | ErrorKind::Missing | ErrorKind::Corrupt
            ) {
                return close_if_free(&daemon, &volume.id);
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    });
}

/// Begins where the volume is there still, and has two keys by its deed.
fn begin_again(daemon: &Arc<Daemon>, volume: &Volume) -> Result<()> {
    let now = same(&daemon.state.now(), volume).cloned();
    let Ok(now) = now else {
        return Ok(());
    };
    let now = match rotation(&now) {
        Some(_) => now,
        None => daemon.state.change(|known| {
            let told = as_its_deed_says(daemon, known, same(known, volume)?)?;
            let change = Change::Put(Record::Volume(Box::new(told.clone())));
            Ok((vec![change], told))
        })?,
    };
    match rotation(&now) {
        Some(_) => begin(daemon, &now),
        None => Ok(()),
    }
}

/// At the daemon's start: goes on with what an earlier one had begun.
pub(crate) fn go_on_with_all(daemon: &Arc<Daemon>) {
    let all: Vec<Volume> = daemon.state.now().volumes().cloned().collect();
    let rotating = all.iter().filter(|volume| rotation(volume).is_some());
    rotating.for_each(|volume| go_on(daemon, volume));
}

/// Makes a volume's disk and filesystem larger; answers whether the filesystem is larger now, and not only once the volume is
/// opened anew. An ephemeral volume that is not open has no disk yet.
///
/// # Errors
/// `invalid` for a size that the disk cannot have; as opening the volume.
pub(crate) fn grow(daemon: &Arc<Daemon>, volume: &Volume, size: ByteSize) -> Result<bool> {
    let using = match volume.kind() {
        Kind::Plain => return Ok(true),
        Kind::Sealed => open_for_itself(daemon, volume)?,
        Kind::Ephemeral => match super::open::join(daemon, volume) {
            Some(using) => using,
            None => return Ok(true),
        },
    };
    using.by_server(|server| server.grow(size.get()))
}

fn same<'a>(known: &'a Snapshot, volume: &Volume) -> Result<&'a Volume> {
    let current = known.volume(&volume.name)?;
    if current.id == volume.id {
        return Ok(current);
    }
    Err(Problem::conflict(format!(
        "{} was removed and made anew meanwhile",
        volume.name
    )))
}
