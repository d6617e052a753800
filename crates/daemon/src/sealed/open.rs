//! The sealed volumes that are open: from the first container that is admitted to the last one's end.
//!
//! Each volume has a slot. Whoever opens it waits in the slot for whoever does so already, so that there is one server a
//! volume. A user that holds no lease yet keeps the volume open by its [`Use`]; afterwards the lease does.

use super::server::{self, DiskServer, Setting};
use crate::daemon::Daemon;
use cofferdam_deed::ConfirmedDeed;
use cofferdam_ledger::Event;
use cofferdam_linux::mount::DetachedMount;
use cofferdam_linux::readiness::Readable;
use cofferdam_model::{Attachment, ContainerId, ErrorKind, LaunchRule, Result, Volume, VolumeId, VolumeName};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::process::Child;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tracing::{info, warn};

/// How long it is waited before a volume that is still used is tried to be closed again.
const AGAIN: Duration = Duration::from_secs(2);

/// How often, and how long in between, it is looked whether a volume is closed.
const SETTLES: u32 = 500;
const SETTLE: Duration = Duration::from_millis(20);

/// Every sealed volume that has been open since the daemon started.
#[derive(Default)]
pub(crate) struct OpenVolumes(Mutex<BTreeMap<VolumeId, Arc<Slot>>>);

/// One volume's place.
struct Slot {
    name: VolumeName,
    id: VolumeId,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    opened: Option<Opened>,
    /// How many are using it that have no lease yet.
    users: usize,
    /// Somebody waits to close it.
    closing: bool,
    /// How often it was opened: which server is meant, when one has ended.
    openings: u64,
}

/// A volume that is open, and the deed by which it is.
struct Opened {
    server: DiskServer,
    /// None where the server was found by a daemon that could not confirm the deed: nobody else gets the volume until it can.
    deed: Option<ConfirmedDeed>,
}

/// A volume that is open for as long as this is held.
pub(crate) struct Use {
    daemon: Arc<Daemon>,
    slot: Arc<Slot>,
    opening: u64,
}

impl OpenVolumes {
    fn slot(&self, name: &VolumeName, id: &VolumeId) -> Arc<Slot> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = slots.entry(id.clone()).or_insert_with(|| {
            Arc::new(Slot {
                name: name.clone(),
                id: id.clone(),
                state: Mutex::default(),
            })
        });
        Arc::clone(slot)
    }

    fn known(&self, id: &VolumeId) -> Option<Arc<Slot>> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned()
    }

    /// Takes a volume's server away: nobody opens or closes the volume by it any more.
    pub(super) fn take(&self, id: &VolumeId) -> Option<DiskServer> {
        let slot = self.known(id)?;
        let opened = slot.locked().opened.take();
        opened.map(|opened| opened.server)
    }

    /// Waits for a volume that nobody holds any more to be closed, for as long as closing takes at most.
    pub(crate) fn settle(&self, id: &VolumeId) {
        for _ in 0..SETTLES {
            if !self.is_used(id) {
                return;
            }
            std::thread::sleep(SETTLE);
        }
    }

    /// Whether a volume is open, or somebody is about to open or to close it.
    pub(crate) fn is_used(&self, id: &VolumeId) -> bool {
        let Some(slot) = self.known(id) else {
            return false;
        };
        match slot.state.try_lock() {
            Ok(state) => state.opened.is_some() || state.users > 0,
            Err(_) => true,
        }
    }
}

impl Slot {
    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens a volume, or joins those that have it open, where its deed allows what is asked for.
///
/// # Errors
/// What `allowed` refuses, before any key is released; `denied` where this host is no recipient of its key; `corrupt` for a deed or a store that is not what it must be;
/// `unavailable` where the server cannot be started or the ledger not be written.
pub(crate) fn open(
    daemon: &Arc<Daemon>,
    volume: &Volume,
    container: &ContainerId,
    allowed: impl Fn(&ConfirmedDeed) -> Result<()>,
) -> Result<Use> {
    let slot = daemon.open_volumes.slot(&volume.name, &volume.id);
    let mut state = slot.locked();
    match &mut state.opened {
        None => {
            let opening = state.openings + 1;
            state.opened = Some(unseal(daemon, volume, container, opening, &allowed)?);
            state.openings = opening;
        }
        // It was changed since: what holds from now on is the new one.
        Some(opened) => {
            if !opened.deed.as_ref().is_some_and(|deed| is_newest(volume, deed)) {
                opened.deed = Some(super::deeds::confirm(daemon, volume)?.0);
            }
            opened.deed.as_ref().map_or(Ok(()), &allowed)?;
        }
    }
    state.users += 1;
    let opening = state.openings;
    drop(state);
    Ok(Use {
        daemon: Arc::clone(daemon),
        slot,
        opening,
    })
}

fn is_newest(volume: &Volume, deed: &ConfirmedDeed) -> bool {
    volume
        .sealed
        .as_ref()
        .is_some_and(|sealed| sealed.digest == *deed.digest())
}

/// Deed, key, server: in this order, with a record of the key's release before it leaves this process.
fn unseal(
    daemon: &Arc<Daemon>,
    volume: &Volume,
    container: &ContainerId,
    opening: u64,
    allowed: &dyn Fn(&ConfirmedDeed) -> Result<()>,
) -> Result<Opened> {
    let (deed, key) = super::deeds::confirm(daemon, volume)?;
    allowed(&deed)?;
    daemon.record(vec![Event::KeyReleased {
        volume: volume.name.clone(),
        id: volume.id.clone(),
        deed: deed.version(),
        container: container.clone(),
    }])?;
    let control = control(daemon, &volume.id);
    let setting = Setting {
        program: &daemon.settings.disk.program,
        volume: &volume.id,
        store: &daemon.sealed.store(&volume.id),
        control: &control,
        witness: &daemon.settings.witnesses().join(volume.id.as_str()),
    };
    let started = DiskServer::start(&setting, &key);
    drop(key);
    let (server, child) = started.map_err(|problem| {
        if problem.kind == ErrorKind::Corrupt {
            found(daemon, volume, &problem.message);
        }
        problem.context(&volume.name)
    })?;
    look_after(daemon, volume, Some(child), opening);
    info!(volume = %volume.name, "unsealed");
    Ok(Opened {
        server,
        deed: Some(deed),
    })
}

fn control(daemon: &Daemon, id: &VolumeId) -> std::path::PathBuf {
    daemon.settings.servers().join(id.as_str())
}

impl Use {
    /// The whole filesystem, detached: for its first content.
    ///
    /// # Errors
    /// `unavailable` where the server is gone.
    pub(crate) fn root(&self) -> Result<DetachedMount> {
        self.with(|opened| opened.server.root())
    }

    /// What containers see of it, detached.
    ///
    /// # Errors
    /// As [`Self::root`].
    pub(crate) fn data(&self) -> Result<DetachedMount> {
        self.with(|opened| opened.server.data())
    }

    /// What the deed says.
    ///
    /// # Errors
    /// Whatever `ask` answers, and as [`Self::root`].
    pub(crate) fn by_deed<T>(&self, ask: impl FnOnce(&ConfirmedDeed) -> Result<T>) -> Result<T> {
        self.with(|opened| match &opened.deed {
            Some(deed) => ask(deed),
            None => Err(super::gone(&self.slot.name)),
        })
    }

    /// Whether it is open still: nobody has taken it back, and its server has not ended.
    pub(crate) fn is_good(&self) -> bool {
        let state = self.slot.locked();
        state.openings == self.opening && state.opened.is_some()
    }

    fn with<T>(&self, work: impl FnOnce(&Opened) -> Result<T>) -> Result<T> {
        match &self.slot.locked().opened {
            Some(opened) => work(opened).map_err(|problem| problem.context(&self.slot.name)),
            None => Err(super::gone(&self.slot.name)),
        }
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.slot.locked().users -= 1;
        close_if_free(&self.daemon, &self.slot.id);
    }
}

/// Closes a volume that nobody holds or is about to hold, beside whatever else is going on.
pub(crate) fn close_if_free(daemon: &Arc<Daemon>, id: &VolumeId) {
    let Some(slot) = daemon.open_volumes.known(id) else {
        return;
    };
    {
        let mut state = slot.locked();
        if state.closing || state.opened.is_none() || is_used(daemon, &slot, &state) {
            return;
        }
        state.closing = true;
    }
    let daemon = Arc::clone(daemon);
    let tasks = daemon.tasks.clone();
    tasks.spawn(async move {
        loop {
            let again = tokio::task::block_in_place(|| close(&daemon, &slot));
            if !again {
                return;
            }
            tokio::time::sleep(AGAIN).await;
        }
    });
}

/// Whether it is to be tried again later.
fn close(daemon: &Arc<Daemon>, slot: &Slot) -> bool {
    let mut state = slot.locked();
    if is_used(daemon, slot, &state) {
        state.closing = false;
        return false;
    }
    let Some(opened) = &state.opened else {
        state.closing = false;
        return false;
    };
    match opened.server.close() {
        Err(problem) if problem.kind == ErrorKind::Busy => {
            info!(volume = %slot.name, "still used: {problem}");
            return true;
        }
        Err(problem) if opened.server.lives() => {
            warn!(volume = %slot.name, "cannot be closed yet: {problem}");
            return true;
        }
        Err(problem) => warn!(volume = %slot.name, "was not closed in peace: {problem}"),
        Ok(()) => info!(volume = %slot.name, "sealed"),
    }
    state.opened = None;
    state.closing = false;
    drop(state);
    daemon.record_or_warn(vec![closed(
        daemon,
        slot,
        "the last container that held it has ended",
    )]);
    false
}

fn is_used(daemon: &Daemon, slot: &Slot, state: &State) -> bool {
    state.users > 0
        || daemon
            .state
            .now()
            .attachments()
            .any(|held| held.volume_id == slot.id)
}

/// Waits for the server's process, where it is this daemon's child, and hears what it finds.
fn look_after(daemon: &Arc<Daemon>, volume: &Volume, child: Option<Child>, opening: u64) {
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
        while let Ok(Some((what, tampering))) = socket.when_readable(server::heard).await {
            warn!(volume = %volume.name, tampering, "{what}");
            if tampering {
                tokio::task::block_in_place(|| found(&daemon, &volume, &what));
            }
        }
        tokio::task::block_in_place(|| ended(&daemon, &volume, opening));
    });
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
    drop(state);
    warn!(volume = %volume.name, "its disk server has ended by itself");
    daemon.record_or_warn(vec![closed(daemon, &slot, "its disk server has ended by itself")]);
}

fn closed(daemon: &Daemon, slot: &Slot, reason: &str) -> Event {
    let known = daemon.state.now();
    let epoch = known.volume(&slot.name).map(|volume| volume.epoch);
    Event::Closed {
        volume: slot.name.clone(),
        id: slot.id.clone(),
        epoch: epoch.unwrap_or_default(),
        reason: reason.to_owned(),
    }
}

/// Records what looks like tampering.
pub(super) fn found(daemon: &Daemon, volume: &Volume, what: &str) {
    daemon.record_or_warn(vec![Event::Tampering {
        volume: volume.name.clone(),
        id: volume.id.clone(),
        what: what.to_owned(),
    }]);
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
    let confirmed = super::deeds::confirm(daemon, &volume).map(|(deed, _)| deed);
    let deed = confirmed.inspect_err(|problem| {
        warn!(volume = %volume.name, "is open, and nobody else gets it: {problem}");
    });
    let slot = daemon.open_volumes.slot(&volume.name, id);
    slot.locked().opened = Some(Opened {
        server,
        deed: deed.ok(),
    });
    look_after(daemon, &volume, None, 0);
    close_if_free(daemon, id);
}

/// Whether the deeds of the volumes that a container holds let a process be added to it, or its memory be taken.
///
/// # Errors
/// `denied`, with what would allow it; `unavailable` where a volume is not open any more.
pub(crate) fn allows_reaching(
    daemon: &Daemon,
    volume: &Volume,
    held: &Attachment,
    rule: &LaunchRule,
    exec: bool,
    now: Timestamp,
) -> Result<()> {
    let slot = daemon.open_volumes.known(&held.volume_id);
    let slot = slot.ok_or_else(|| super::gone(&held.volume))?;
    let mut state = slot.locked();
    let opened = state.opened.as_mut().ok_or_else(|| super::gone(&held.volume))?;
    if !opened.deed.as_ref().is_some_and(|deed| is_newest(volume, deed)) {
        opened.deed = Some(super::deeds::confirm(daemon, volume)?.0);
    }
    let deed = opened.deed.as_ref().ok_or_else(|| super::gone(&held.volume))?;
    deed.permits(&held.app, rule, !held.read_only, exec, now)
}
