//! Opening a sealed volume for a container that was admitted: deed, key, server; or joining those that have it open.
//!
//! Until there is a lease the volume is kept open by a [`Use`].

use super::close::close_if_free;
use super::deeds::VolumeKeys;
use super::rotation;
use super::server::{DiskServer, Setting};
use super::servers::{control, look_after};
use super::slots::{Opened, Slot};
use crate::daemon::Daemon;
use cofferdam_deed::ConfirmedDeed;
use cofferdam_ledger::Event;
use cofferdam_linux::mount::DetachedMount;
use cofferdam_model::{Attachment, ContainerId, ErrorKind, LaunchRule, Problem, Result, Volume};
use cofferdam_vault::VolumeKey;
use jiff::Timestamp;
use std::sync::Arc;
use tracing::info;

/// A volume that is open for as long as this is held.
pub(crate) struct Use {
    daemon: Arc<Daemon>,
    slot: Arc<Slot>,
    opening: u64,
}

/// Opens a volume, or joins those that have it open, where its deed allows what is asked for.
///
/// # Errors
/// What `allowed` refuses, before any key is released; `denied` where this host is no recipient of its key; `corrupt` for a
/// deed or a store that is not what it must be; `unavailable` where the server cannot be started or the ledger not be written.
pub(crate) fn open(
    daemon: &Arc<Daemon>,
    volume: &Volume,
    container: &ContainerId,
    allowed: impl Fn(&ConfirmedDeed) -> Result<()>,
) -> Result<Use> {
    use_of(
        daemon,
        volume,
        |opening| unseal(daemon, volume, Some(container), opening, &allowed),
        |opened| allowed(newest(daemon, volume, opened)?),
    )
}

/// Whether a volume's deed allows what is asked for. Its key is unwrapped to confirm the deed, and released to nobody.
///
/// # Errors
/// As [`open`], but for what comes after the deed.
pub(crate) fn permits(
    daemon: &Daemon,
    volume: &Volume,
    allowed: impl Fn(&ConfirmedDeed) -> Result<()>,
) -> Result<()> {
    let (deed, _) = super::deeds::confirm(daemon, volume)?;
    allowed(&deed)
}

/// Opens a sealed volume, or joins those that have it open, for the daemon itself: to encrypt it anew, or make it larger.
///
/// # Errors
/// As [`open`].
pub(super) fn open_for_itself(daemon: &Arc<Daemon>, volume: &Volume) -> Result<Use> {
    use_of(
        daemon,
        volume,
        |opening| unseal(daemon, volume, None, opening, &|_| Ok(())),
        |_| Ok(()),
    )
}

/// Opens an ephemeral volume, or joins those that have it open. Where nobody has, it begins anew, with a key that nobody has seen and
/// nobody will see again. It has no deed: what the registry grants is all there is.
///
/// # Errors
/// `corrupt` where there is a sealed volume in its place; `unavailable` where store or server cannot be made.
pub(crate) fn open_ephemeral(daemon: &Arc<Daemon>, volume: &Volume, container: &ContainerId) -> Result<Use> {
    // Asked of those who join as well: the server may be one that was started for a sealed volume.
    super::make::is_ephemeral(daemon, volume)?;
    use_of(
        daemon,
        volume,
        |opening| begin_anew(daemon, volume, container, opening),
        |_| Ok(()),
    )
}

/// Joins those that have a volume open; none where nobody has.
pub(super) fn join(daemon: &Arc<Daemon>, volume: &Volume) -> Option<Use> {
    let slot = daemon.open_volumes.known(&volume.id)?;
    let mut state = slot.locked();
    state.opened.as_ref()?;
    state.users += 1;
    let opening = state.openings;
    drop(state);
    Some(Use {
        daemon: Arc::clone(daemon),
        slot,
        opening,
    })
}

/// A use of a volume: opened, or joined where somebody has it open.
fn use_of(
    daemon: &Arc<Daemon>,
    volume: &Volume,
    open: impl FnOnce(u64) -> Result<Opened>,
    join: impl FnOnce(&mut Opened) -> Result<()>,
) -> Result<Use> {
    let slot = daemon.open_volumes.slot(&volume.name, &volume.id);
    let mut state = slot.locked();
    match &mut state.opened {
        None => {
            let opening = state.openings + 1;
            state.opened = Some(open(opening)?);
            state.openings = opening;
        }
        Some(opened) => join(opened)?,
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

/// A new key and a new store for an ephemeral volume.
fn begin_anew(
    daemon: &Arc<Daemon>,
    volume: &Volume,
    container: &ContainerId,
    opening: u64,
) -> Result<Opened> {
    let size = volume
        .size
        .ok_or_else(|| Problem::internal(format!("{} has no size", volume.name)))?;
    super::make::end_ephemeral(daemon, volume)?;
    let key = VolumeKey::generate().map_err(|error| Problem::unavailable(format!("no key: {error}")))?;
    daemon.sealed.make(&volume.id)?;
    super::make::make_store(daemon, &volume.id, size, &key)?;
    // There is no deed, so there is no version of one.
    daemon.record(vec![Event::KeyReleased {
        volume: volume.name.clone(),
        id: volume.id.clone(),
        deed: 0,
        container: Some(container.clone()),
    }])?;
    let keys = VolumeKeys { key, before: None };
    let server = start(daemon, volume, &keys, opening)?;
    info!(volume = %volume.name, "begun anew");
    Ok(Opened { server, deed: None })
}

/// The deed of a volume that is open, as it is now: where it was changed since, what holds from now on is the new one.
fn newest<'a>(daemon: &Daemon, volume: &Volume, opened: &'a mut Opened) -> Result<&'a ConfirmedDeed> {
    let is_newest = |deed: &ConfirmedDeed| {
        let seen = volume.sealed.as_ref();
        seen.is_some_and(|sealed| sealed.digest == *deed.digest())
    };
    let deed = match opened.deed.take() {
        Some(deed) if is_newest(&deed) => deed,
        _ => super::deeds::confirm(daemon, volume)?.0,
    };
    Ok(opened.deed.insert(deed))
}

/// Deed, key, server: in this order, with a record of the key's release before it leaves this process.
fn unseal(
    daemon: &Arc<Daemon>,
    volume: &Volume,
    container: Option<&ContainerId>,
    opening: u64,
    allowed: &dyn Fn(&ConfirmedDeed) -> Result<()>,
) -> Result<Opened> {
    let (deed, keys) = super::deeds::confirm(daemon, volume)?;
    allowed(&deed)?;
    daemon.record(vec![Event::KeyReleased {
        volume: volume.name.clone(),
        id: volume.id.clone(),
        deed: deed.version(),
        container: container.cloned(),
    }])?;
    let server = start(daemon, volume, &keys, opening)?;
    info!(volume = %volume.name, "unsealed");
    Ok(Opened {
        server,
        deed: Some(deed),
    })
}

/// Starts a volume's server, and has it looked after.
fn start(daemon: &Arc<Daemon>, volume: &Volume, keys: &VolumeKeys, opening: u64) -> Result<DiskServer> {
    let control = control(daemon, &volume.id);
    let setting = Setting {
        program: &daemon.settings.disk.program,
        volume: &volume.id,
        store: &daemon.sealed.store(&volume.id),
        control: &control,
        witness: &daemon.settings.witnesses().join(volume.id.as_str()),
        rotation: keys.before.as_ref().map(|_| rotation::known(volume)),
    };
    let (server, child) = DiskServer::start(&setting, keys).map_err(|problem| {
        // The deed has confirmed the keys: where they do not fit, it is the store that is not the one that it was.
        if matches!(problem.kind, ErrorKind::Corrupt | ErrorKind::Denied) {
            found(daemon, volume, &problem.message);
        }
        problem.context(&volume.name)
    })?;
    look_after(daemon, volume, Some(child), opening);
    if keys.before.is_some() {
        rotation::go_on(daemon, volume);
    }
    Ok(server)
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

    /// Has its server do something.
    ///
    /// # Errors
    /// Whatever `work` answers, and as [`Self::root`].
    pub(super) fn by_server<T>(&self, work: impl FnOnce(&DiskServer) -> Result<T>) -> Result<T> {
        self.with(|opened| work(&opened.server))
    }

    /// Whether nobody has seen to its rotation so far: from here on this one does, until [`Self::leave_rotation`].
    pub(super) fn take_rotation(&self) -> bool {
        let mut state = self.slot.locked();
        let taken = state.rotating == Some(self.opening);
        state.rotating = Some(self.opening);
        !taken
    }

    /// This one does so no longer. Another opening's is left alone.
    pub(super) fn leave_rotation(&self) {
        let mut state = self.slot.locked();
        state.rotating.take_if(|opening| *opening == self.opening);
    }

    /// Whether it was taken back on purpose.
    pub(super) fn was_shut(&self) -> bool {
        self.slot.locked().shut == Some(self.opening)
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

    /// Whether it is open still: nobody has taken it back, and its server has not ended. None where somebody works on it just now.
    pub(crate) fn is_good(&self) -> Option<bool> {
        let state = self.slot.try_locked()?;
        Some(state.openings == self.opening && state.opened.is_some())
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

/// Records what looks like tampering; not of a volume that has been removed meanwhile, whose deed and store are rightly gone.
pub(super) fn found(daemon: &Daemon, volume: &Volume, what: &str) {
    let known = daemon
        .state
        .now()
        .volume(&volume.name)
        .is_ok_and(|known| known.id == volume.id);
    if !known {
        return;
    }
    daemon.record_or_warn(vec![Event::Tampering {
        volume: volume.name.clone(),
        id: volume.id.clone(),
        what: what.to_owned(),
    }]);
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
    newest(daemon, volume, opened)?.permits(&held.app, rule, !held.read_only, exec, now)
}
