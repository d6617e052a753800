//! The disk servers as processes: looked after while they run, found again by the daemon that comes next.

use super::close::{close_if_free, closed, end_if_ephemeral};
use super::make::end_ephemeral;
use super::open::found;
use super::server::{self, DiskServer};
use super::slots::Opened;
use crate::daemon::Daemon;
use cofferdam_linux::readiness::Readable;
use cofferdam_model::{Kind, Volume, VolumeId};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Child;
use std::sync::Arc;
use tracing::warn;

/// Where a volume's server takes orders.
pub(super) fn control(daemon: &Daemon, id: &VolumeId) -> PathBuf {
    daemon.settings.servers().join(id.as_str())
}

/// Waits for the server's process, where it is this daemon's child, and hears what it finds.
pub(super) fn look_after(daemon: &Arc<Daemon>, volume: &Volume, child: Option<Child>, opening: u64) {
    if let Some(mut child) = child {
        daemon.tasks.spawn(async move {
            let ended = async {
                let process = server::process_of(&child)?;
                Readable::new(process.into())?
                    .when_readable(cofferdam_linux::process::has_ended)
                    .await
            };
            if let Err(error) = ended.await {
                warn!("cannot wait for a disk server: {error}");
            }
            if let Err(error) = child.try_wait() {
                warn!("cannot wait for a disk server: {error}");
            }
        });
    }
    let socket = match server::watch(&control(daemon, &volume.id)) {
        Ok(socket) => socket,
        Err(problem) => {
            warn!(volume = %volume.name, "cannot hear what its disk server finds: {problem}");
            return;
        }
    };
    let (daemon, volume) = (Arc::clone(daemon), volume.clone());
    let tasks = daemon.tasks.clone();
    tasks.spawn(async move {
        let Ok(socket) = Readable::new(socket) else { return };
        let mut told = Told::default();
        while let Ok(Some((what, tampering))) = socket.when_readable(server::heard).await {
            let Some(what) = told.first_time(what) else {
                continue;
            };
            warn!(volume = %volume.name, tampering, "{what}");
            if tampering {
                tokio::task::block_in_place(|| found(&daemon, &volume, &what));
            }
        }
        tokio::task::block_in_place(|| ended(&daemon, &volume, opening));
    });
}

/// What a server has told since it was opened. A block that does not verify is told at every read of it, and the ledger is no place
/// for whoever reads it a million times.
#[derive(Default)]
struct Told(BTreeSet<String>);

/// As many different things as are told of one opening.
const TOLD_MAX: usize = 1024;

impl Told {
    /// What is to be told of this: itself, that there is more, or nothing.
    fn first_time(&mut self, what: String) -> Option<String> {
        if self.0.len() >= TOLD_MAX || !self.0.insert(what.clone()) {
            return None;
        }
        match self.0.len() {
            TOLD_MAX => Some(format!(
                "{what}; what else is found until it is opened anew is not told"
            )),
            _ => Some(what),
        }
    }
}

/// A server has ended. Where it was told to, this knows already.
fn ended(daemon: &Daemon, volume: &Volume, opening: u64) {
    let Some(slot) = daemon.open_volumes.known(&volume.id) else {
        return;
    };
    let mut state = slot.locked();
    let lives = state.opened.as_ref().is_some_and(|opened| opened.server.lives());
    if state.openings != opening || lives || state.opened.take().is_none() {
        return;
    }
    end_if_ephemeral(daemon, &slot, &mut state);
    // Its socket leads nowhere. The next server makes its own, once this slot is let go of.
    if let Err(error) = std::fs::remove_file(control(daemon, &volume.id))
        && error.kind() != std::io::ErrorKind::NotFound
    {
        warn!(volume = %volume.name, "the socket of its disk server is left: {error}");
    }
    drop(state);
    warn!(volume = %volume.name, "its disk server has ended by itself");
    daemon.record_or_warn(vec![closed(daemon, &slot, "its disk server has ended by itself")]);
}

/// At the daemon's start: finds the servers that an earlier one has started, and closes what nobody holds any more.
pub(crate) fn take_up_servers(daemon: &Arc<Daemon>) {
    let entries = match std::fs::read_dir(daemon.settings.servers()) {
        Ok(entries) => entries,
        Err(error) => {
            warn!("cannot look for disk servers: {error}");
            return;
        }
    };
    let names = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    for id in names.filter_map(|name| VolumeId::try_from(name).ok()) {
        // One that has ended has left its socket behind; the next one removes it.
        if let Ok(server) = DiskServer::connect(&control(daemon, &id)) {
            take_up(daemon, &id, server);
        }
    }
    // What a crash of the host has left of ephemeral volumes: ciphertext whose key is gone.
    let all: Vec<Volume> = daemon.state.now().volumes().cloned().collect();
    for volume in all.iter().filter(|volume| volume.kind() == Kind::Ephemeral) {
        if !daemon.open_volumes.is_used(&volume.id)
            && let Err(problem) = end_ephemeral(daemon, volume)
        {
            warn!(volume = %volume.name, "what an earlier life of it has left is not deleted: {problem}");
        }
    }
}

fn take_up(daemon: &Arc<Daemon>, id: &VolumeId, server: DiskServer) {
    let known = daemon
        .state
        .now()
        .volumes()
        .find(|volume| volume.id == *id)
        .cloned();
    let Some(volume) = known else {
        warn!(volume = %id, "is open and not known; it is ended");
        if let Err(problem) = server.shut() {
            warn!(volume = %id, "cannot be ended: {problem}");
        }
        return;
    };
    let deed = match volume.kind() {
        Kind::Ephemeral => None,
        _ => super::deeds::confirm(daemon, &volume)
            .map(|(deed, _)| deed)
            .inspect_err(|problem| {
                warn!(volume = %volume.name, "is open, and nobody else gets it: {problem}");
            })
            .ok(),
    };
    let slot = daemon.open_volumes.slot(&volume.name, id);
    slot.locked().opened = Some(Opened { server, deed });
    look_after(daemon, &volume, None, 0);
    // One that is rotated is held open by whoever goes on with that, and let go of afterwards.
    let rotates = volume
        .sealed
        .as_ref()
        .is_some_and(|sealed| sealed.rotation.is_some());
    if !rotates {
        close_if_free(daemon, id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thing_is_told_once_and_not_without_end() {
        let mut told = Told::default();
        assert_eq!(told.first_time("a".to_owned()).as_deref(), Some("a"));
        assert_eq!(told.first_time("a".to_owned()), None);
        let all: Vec<_> = (0..3 * TOLD_MAX)
            .filter_map(|n| told.first_time(n.to_string()))
            .collect();
        assert_eq!(all.len(), TOLD_MAX - 1);
        assert!(all.last().unwrap().contains("is not told"));
    }
}
