//! From mounts that nobody has yet to leases: the decision, the leases and the marks, on disk before anything is handed out.

use super::held::{self, Binding};
use super::open::{Asked, Launch, decide, free};
use super::prepare::Prepared;
use super::{guard, record, ticket};
use crate::daemon::Daemon;
use crate::sealed;
use crate::state::{Change, Record, Snapshot, ended_key};
use cofferdam_ledger::Event;
use cofferdam_model::api::VolumeDecision;
use cofferdam_model::{Attachment, Problem, Process, Result, Volume, VolumeName};
use cofferdam_policy::Admitted;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::PoisonError;

/// A launch, and what was decided about it.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) launch: &'a Launch,
    pub(super) by_grant: &'a [Binding],
    pub(super) admitted: &'a [Admitted],
    pub(super) decided: &'a [VolumeDecision],
    /// The facts that it was decided by.
    pub(super) facts_version: u64,
}

/// Whether the leases are on disk.
pub(super) enum Committed {
    Done,
    /// Apps, grants or volumes are not what the decision was taken from.
    FactsChanged,
}

/// Records the decision and the leases, in one commit, and marks the container.
pub(super) fn commit(daemon: &Daemon, case: &Case<'_>, prepared: &[Prepared]) -> Result<Committed> {
    let Case {
        launch,
        by_grant,
        admitted,
        decided,
        facts_version,
    } = *case;
    let (asked, measurement) = (&launch.asked, &launch.evidence.measurement);
    let _marks = daemon.marks.lock().unwrap_or_else(PoisonError::into_inner);
    held::mark(daemon, measurement, guard::binds(measurement, asked, by_grant))?;
    let outcome = daemon.state.change(|known| {
        let replaced = |(proof, prepared): (&Admitted, &Prepared)| {
            known
                .volume(proof.volume())
                .is_ok_and(|volume| volume.id != prepared.volume)
        };
        if admitted.iter().zip(prepared).any(replaced) {
            return Ok((Vec::new(), Committed::FactsChanged));
        }
        // Others may change what is theirs as often as they like: what counts is whether the answer is another one now.
        if known.facts_version() != facts_version {
            let again = decide(daemon, known, measurement);
            if !again.is_ok_and(|(again, _)| again == admitted) {
                return Ok((Vec::new(), Committed::FactsChanged));
            }
        }
        for one in prepared {
            match one.sealed.as_ref().map(sealed::Use::is_good) {
                None | Some(Some(true)) => {}
                Some(Some(false)) => {
                    let taken = format!("volume {} was taken back meanwhile", one.volume);
                    return Err(Problem::busy(taken).remedy("start the container again"));
                }
                // Somebody else works on it. Nobody waits for that here, where all changes wait.
                Some(None) => return Ok((Vec::new(), Committed::FactsChanged)),
            }
        }
        if known.held_by(&asked.container).next().is_some() {
            return Err(Problem::busy(format!(
                "a container with the id {} is being created already",
                asked.container.short()
            )));
        }
        let (mut changes, decision) = record::allowed(known, measurement, decided.to_vec())?;
        changes.extend(ticket::used_up(known, launch.ticket.as_ref(), admitted)?);
        let (leases, mut events) = leases(daemon, known, asked, admitted)?;
        changes.push(Change::Put(Record::Measured(Box::new(measurement.clone()))));
        // From here on it writes.
        changes.push(Change::Delete(ended_key(&asked.container)));
        changes.extend(leases);
        // In the ledger first: where the commit fails, it says more than has happened, and never less.
        events.insert(0, decision);
        daemon.record(events)?;
        Ok((changes, Committed::Done))
    });
    if !matches!(outcome, Ok(Committed::Done)) {
        held::unmark_if_free(daemon, &asked.container);
    }
    outcome
}

/// A lease for each mount, the next epoch for each volume, and what the ledger has of it: a container may ask for the same volume at two places.
fn leases(
    daemon: &Daemon,
    known: &Snapshot,
    asked: &Asked,
    admitted: &[Admitted],
) -> Result<(Vec<Change>, Vec<Event>)> {
    let mut volumes: BTreeMap<&VolumeName, Volume> = BTreeMap::new();
    let mut changes = Vec::new();
    for proof in admitted {
        free(known, proof.volume(), &asked.container)?;
        let current = known.volume(proof.volume())?;
        let volume = volumes.entry(proof.volume()).or_insert_with(|| Volume {
            epoch: current.epoch.next(),
            ..current.clone()
        });
        let attachment = Box::new(attachment(daemon, asked, proof, volume));
        changes.push(Change::Put(Record::Lease {
            mount: proof.mount_index(),
            attachment,
        }));
    }
    let opened = |volume: &Volume| Event::Opened {
        volume: volume.name.clone(),
        id: volume.id.clone(),
        epoch: volume.epoch,
    };
    let events = volumes.values().map(opened).collect();
    changes.extend(
        volumes
            .into_values()
            .map(|volume| Change::Put(Record::Volume(Box::new(volume)))),
    );
    Ok((changes, events))
}

/// The runtime's own process: the lease follows it until the container's first one exists.
pub(super) fn process_of(asked: &Asked) -> Process {
    Process {
        pid: asked.caller.pid(),
        started: asked.caller.started(),
    }
}

fn attachment(daemon: &Daemon, asked: &Asked, proof: &Admitted, volume: &Volume) -> Attachment {
    Attachment {
        volume: volume.name.clone(),
        volume_id: volume.id.clone(),
        container: asked.container.clone(),
        app: proof.app().clone(),
        destination: proof.destination().to_owned(),
        read_only: proof.read_only(),
        exec: proof.exec(),
        epoch: volume.epoch,
        since: Timestamp::now(),
        process: process_of(asked),
        runtime_root: asked.runtime_root.clone(),
        boot: daemon.boot.clone(),
    }
}
