//! What a new volume begins with: the image's directory at the volume's place, else an empty directory of the
//! container's user.
//!
//! The image is read from its own layers, which were measured, and never from the container's root filesystem, into
//! which somebody may have written before the first start.

use crate::daemon::Daemon;
use crate::sealed::{self, Signer};
use crate::state::{Change, Record, Snapshot};
use cofferdam_linux::mount::DetachedMount;
use cofferdam_measure::Evidence;
use cofferdam_model::{Kind, Owner, Problem, Result, Volume, VolumeId};
use cofferdam_policy::Admitted;
use cofferdam_volume::id_map::in_container;
use cofferdam_volume::{FirstContent, IdKind, Progress, owner_within};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The volumes that are being given their first content, each with how far it is.
#[derive(Default)]
pub(crate) struct FirstContents(Mutex<BTreeMap<VolumeId, Arc<Progress>>>);

/// How often a container looks that waits for another one's copy.
const LOOK: Duration = Duration::from_millis(20);

/// The right to give one volume its first content; given back when dropped.
struct Turn<'a> {
    volume: VolumeId,
    among: &'a FirstContents,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.among.locked().remove(&self.volume);
    }
}

impl FirstContents {
    /// Whether a volume is being given its first content now.
    pub(crate) fn is_under_way(&self, volume: &VolumeId) -> bool {
        self.locked().contains_key(volume)
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<VolumeId, Arc<Progress>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nobody else works on the volume. While somebody does, their progress counts as ours.
    ///
    /// # Errors
    /// `unavailable` where nobody waits for it any more.
    fn turn(&self, volume: &VolumeId, progress: &Arc<Progress>) -> Result<Turn<'_>> {
        loop {
            let other = match self.locked().entry(volume.clone()) {
                Entry::Vacant(free) => {
                    free.insert(Arc::clone(progress));
                    return Ok(Turn {
                        volume: volume.clone(),
                        among: self,
                    });
                }
                Entry::Occupied(taken) => Arc::clone(taken.get()),
            };
            progress.at_least(other.steps());
            if progress.is_cancelled() {
                return Err(Problem::unavailable("the runtime that asked is gone"));
            }
            std::thread::sleep(LOOK);
        }
    }
}

/// A volume's identity and its owner on disk. A volume without an owner is new: it is given its first content, durably,
/// and then its owner.
///
/// # Errors
/// As `PlainStore::initialise`; the volume is then as new as before.
pub(super) fn ensure(
    daemon: &Daemon,
    evidence: &Evidence,
    proof: &Admitted,
    volume: &Volume,
    sealed: Option<&sealed::Use>,
    progress: &Arc<Progress>,
) -> Result<(VolumeId, Owner)> {
    if let Some(owner) = volume.owner {
        return Ok((volume.id.clone(), owner));
    }
    let _turn = daemon.first_contents.turn(&volume.id, progress)?;
    let volume = same(&daemon.state.now(), volume)?.clone();
    if let Some(owner) = volume.owner {
        return Ok((volume.id, owner)); // Another container of a shared volume was here first.
    }
    // One that was moved here, or whose record did not come about, has its content already.
    let owner = match sealed
        .map(|sealed| owner_of(&volume, sealed))
        .transpose()?
        .flatten()
    {
        Some(owner) => owner,
        None => copy(daemon, evidence, proof, &volume, sealed, progress)?,
    };
    if volume.kind() == Kind::Ephemeral {
        // The next life of it will have another content, and perhaps another owner.
        return Ok((volume.id, owner));
    }
    let noted = daemon.state.change(|known| {
        let current = same(known, &volume)?;
        let owned = Volume {
            owner: Some(owner),
            ..current.clone()
        };
        let owned = match owned.sealed {
            // Where the tenant's key is elsewhere, the volume's own note of it has to do.
            Some(_) if sealed::keeps_key(daemon, known, owned.name.tenant())? => {
                sealed::change_deed(daemon, known, &owned, &Signer::Host, |deed| {
                    deed.with_owner(owner)
                })?
            }
            Some(_) | None => owned,
        };
        Ok((vec![Change::Put(Record::Volume(Box::new(owned)))], ()))
    });
    if noted.is_err() && sealed.is_none() {
        daemon.store.discard(&volume.id)?;
    }
    noted?;
    Ok((volume.id, owner))
}

/// Whose the content of a sealed volume is that has some, by its deed or by its own note.
fn owner_of(volume: &Volume, sealed: &sealed::Use) -> Result<Option<Owner>> {
    if volume.kind() == Kind::Ephemeral {
        return owner_within(sealed.root()?.as_fd());
    }
    match sealed.by_deed(|deed| Ok(deed.owner()))? {
        Some(owner) => Ok(Some(owner)),
        None => owner_within(sealed.root()?.as_fd()),
    }
}

/// The volume as it is known now.
fn same<'a>(known: &'a Snapshot, volume: &Volume) -> Result<&'a Volume> {
    let current = known.volume(&volume.name)?;
    if current.id == volume.id {
        return Ok(current);
    }
    let message = format!("{} was removed and made anew meanwhile", volume.name);
    Err(Problem::conflict(message).remedy("start the container again"))
}

fn copy(
    daemon: &Daemon,
    evidence: &Evidence,
    proof: &Admitted,
    volume: &Volume,
    sealed: Option<&sealed::Use>,
    progress: &Progress,
) -> Result<Owner> {
    let id_map = evidence.measurement.id_map.as_ref();
    let translate = |kind: IdKind, id: u32| match kind {
        IdKind::User => in_container(id_map.map(|map| map.uids.as_slice()), id),
        IdKind::Group => in_container(id_map.map(|map| map.gids.as_slice()), id),
    };
    let layers: Vec<BorrowedFd<'_>> = evidence.layers.iter().map(AsFd::as_fd).collect();
    let view = match layers.as_slice() {
        [] => None,
        layers => Some(
            DetachedMount::overlay(layers, &daemon.settings.attach()).map_err(|error| {
                Problem::unavailable(format!(
                    "cannot look into the image for the first content of {}: {error}",
                    volume.name
                ))
            })?,
        ),
    };
    let image = view
        .as_ref()
        .map(|view| image_directory(view, proof.destination()))
        .transpose()?
        .flatten();
    let first = FirstContent {
        image: image.as_ref().map(AsFd::as_fd),
        translate: &translate,
        otherwise: evidence.measurement.user.owner,
    };
    let laid = match sealed {
        Some(sealed) => sealed
            .root()
            .and_then(|root| first.lay_into(root.as_fd(), progress)),
        None => daemon.store.initialise(&volume.id, &first, progress),
    };
    laid.map_err(|problem| problem.context(&volume.name))
}

/// The image's directory at `place`, where it has one. Links in the image lead nowhere but into the image.
fn image_directory(view: &DetachedMount, place: &str) -> Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat2(
        view.as_fd(),
        place,
        flags,
        Mode::empty(),
        ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS,
    ) {
        Ok(directory) => Ok(Some(directory)),
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
        Err(error) => Err(Problem::unavailable(format!(
            "cannot look into the image at {place:?}: {error}"
        ))),
    }
}
