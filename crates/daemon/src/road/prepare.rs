//! From what was admitted to mounts that nobody has yet.

use super::first_content;
use crate::daemon::Daemon;
use crate::sealed;
use cofferdam_deed::ConfirmedDeed;
use cofferdam_measure::Evidence;
use cofferdam_model::wire::OpenedMount;
use cofferdam_model::{Kind, Measurement, Problem, Result, Volume, VolumeId};
use cofferdam_policy::Admitted;
use cofferdam_volume::{Progress, id_map::Mapping};
use jiff::Timestamp;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// One volume, opened, while nobody has it yet.
pub(super) struct Prepared {
    pub(super) volume: VolumeId,
    mount: OpenedMount,
    descriptor: OwnedFd,
    /// Keeps a sealed volume open until there is a lease that does.
    pub(super) sealed: Option<sealed::Use>,
}

impl Prepared {
    /// Which mount it is for, and what it brings.
    pub(super) fn brings(&self) -> (usize, BorrowedFd<'_>) {
        (self.mount.mount, self.descriptor.as_fd())
    }

    /// What the runtime gets. The lease keeps a sealed volume open from now on.
    pub(super) fn hand_out(self) -> (OpenedMount, OwnedFd) {
        drop(self.sealed);
        (self.mount, self.descriptor)
    }
}

/// Opens what was admitted.
pub(super) fn prepare(
    daemon: &Arc<Daemon>,
    evidence: &Evidence,
    admitted: &[Admitted],
    progress: &Arc<Progress>,
) -> Result<Vec<Prepared>> {
    if let [only] = admitted {
        return Ok(vec![open_one(daemon, evidence, only, progress)?]);
    }
    // Unsealing one volume takes some milliseconds, in which the others can be unsealed too.
    std::thread::scope(|scope| {
        let opening: Vec<_> = admitted
            .iter()
            .map(|proof| scope.spawn(|| open_one(daemon, evidence, proof, progress)))
            .collect();
        let opened = opening.into_iter().map(|one| {
            one.join()
                .unwrap_or_else(|_| Err(Problem::internal("a volume's opening has failed")))
        });
        opened.collect()
    })
}

fn open_one(
    daemon: &Arc<Daemon>,
    evidence: &Evidence,
    proof: &Admitted,
    progress: &Arc<Progress>,
) -> Result<Prepared> {
    let measurement = &evidence.measurement;
    let volume = daemon.state.now().volume(proof.volume())?.clone();
    let sealed = match volume.kind() {
        Kind::Sealed => Some(unseal(daemon, &volume, proof, measurement)?),
        Kind::Ephemeral => Some(sealed::open_ephemeral(daemon, &volume, &measurement.container)?),
        Kind::Plain => None,
    };
    let (volume, owner) = first_content::ensure(daemon, evidence, proof, &volume, sealed.as_ref(), progress)?;
    let mapping = Mapping::between(owner, &measurement.user, measurement.id_map.as_ref());
    let opened = match &sealed {
        Some(sealed) => daemon.opener.fit(sealed.data()?, &mapping, proof.read_only()),
        None => {
            daemon.sealed.is_none_of_ours(&volume)?;
            let data = daemon.store.data(&volume)?;
            daemon.opener.open(data.as_fd(), &mapping, proof.read_only())
        }
    };
    let descriptor = opened
        .map_err(|problem| problem.context(proof.volume()))?
        .into_fd();
    let mount = OpenedMount {
        mount: proof.mount_index(),
        read_only: proof.read_only(),
    };
    Ok(Prepared {
        volume,
        mount,
        descriptor,
        sealed,
    })
}

/// Opens a sealed volume, as far as its own deed allows what the registry does.
fn unseal(
    daemon: &Arc<Daemon>,
    volume: &Volume,
    proof: &Admitted,
    measurement: &Measurement,
) -> Result<sealed::Use> {
    let allowed = by_deed(daemon, proof)?;
    sealed::open(daemon, volume, &measurement.container, allowed)
}

/// Whether a deed allows what was admitted.
fn by_deed<'a>(
    daemon: &Daemon,
    proof: &'a Admitted,
) -> Result<impl Fn(&ConfirmedDeed) -> Result<()> + use<'a>> {
    let rule = daemon
        .state
        .now()
        .facts()
        .app(proof.app())
        .map(|app| app.rule.clone())
        .ok_or_else(|| Problem::conflict(format!("app {} was removed meanwhile", proof.app())))?;
    let now = Timestamp::now();
    Ok(move |deed: &ConfirmedDeed| deed.permits(proof.app(), &rule, !proof.read_only(), proof.exec(), now))
}

/// Whether what was admitted might be opened, as far as that can be told without opening it.
///
/// # Errors
/// As opening it.
pub(super) fn permitted(daemon: &Daemon, proof: &Admitted) -> Result<()> {
    let volume = daemon.state.now().volume(proof.volume())?.clone();
    match volume.kind() {
        Kind::Sealed => sealed::permits(daemon, &volume, by_deed(daemon, proof)?),
        Kind::Ephemeral => sealed::is_ephemeral(daemon, &volume),
        Kind::Plain => daemon.sealed.is_none_of_ours(&volume.id),
    }
}
