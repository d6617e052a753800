//! The parts that every room of the daemon works with.

use crate::ledger::KeptLedger;
use crate::operations::Unsigned;
use crate::plans::Plans;
use crate::road::FirstContents;
use crate::sealed::{HostKeys, OpenVolumes};
use crate::state::State;
use cofferdam_ledger::Event;
use cofferdam_measure::{Docker, Engine};
use cofferdam_model::{Problem, Result, Settings, VolumeName};
use cofferdam_policy::Judge;
use cofferdam_registry::Embedded;
use cofferdam_volume::{Opener, Placeholders, PlainStore, SealedStore};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tracing::warn;

/// The daemon's parts. All of them may be used from any thread.
pub(crate) struct Daemon {
    pub(crate) settings: Settings,
    pub(crate) state: State,
    pub(crate) judge: Judge,
    pub(crate) engines: Vec<Box<dyn Engine>>,
    pub(crate) store: PlainStore,
    /// Where sealed volumes lie, and those that are open.
    pub(crate) sealed: SealedStore,
    pub(crate) open_volumes: OpenVolumes,
    /// The host's own keys.
    pub(crate) keys: HostKeys,
    ledger: KeptLedger,
    pub(crate) opener: Opener,
    placeholders: RwLock<Placeholders>,
    /// One file for each container that holds a volume: the runtime looks there, and exec is judged by what is in it.
    pub(crate) held: OwnedFd,
    /// Held while marks and leases change together.
    pub(crate) marks: Mutex<()>,
    /// Held while a tenant's key is made or destroyed.
    pub(crate) tenant_keys: Mutex<()>,
    /// Held while a sealed volume is made: one at a time.
    pub(crate) making: Mutex<()>,
    /// New volumes whose first deeds wait to be signed elsewhere.
    unsigned: Mutex<BTreeMap<VolumeName, Unsigned>>,
    /// Held while one of them is made.
    pub(crate) drafting: Mutex<()>,
    /// New volumes that are being given their first content.
    pub(crate) first_contents: FirstContents,
    /// Plans, for whoever made them.
    pub(crate) plans: Plans,
    /// Where tasks that outlive a request run.
    pub(crate) tasks: tokio::runtime::Handle,
    pub(crate) boot: String,
    pub(crate) since: Timestamp,
    pub(crate) warnings: Vec<String>,
}

impl Daemon {
    /// Opens everything that lies on disk. The caller has made the directories.
    ///
    /// # Errors
    /// Whatever keeps a part from opening; another daemon on the same registry is `busy`.
    pub(crate) fn open(settings: Settings, held: OwnedFd, warnings: Vec<String>) -> Result<Self> {
        let registry = Embedded::open(&settings.registry())?;
        let state = State::load(Box::new(registry))?;
        let keys = HostKeys::open(&settings.keys(), &settings.keys)?;
        let ledger = KeptLedger::open(&settings.ledger(), &keys)?;
        let mut placeholders = Placeholders::open(&settings.placeholders())?;
        placeholders.add_all(state.now().volumes().map(|volume| &volume.name))?;
        let boot = cofferdam_linux::process::boot_id()
            .map_err(|error| Problem::internal(format!("cannot read the boot's id: {error}")))?;
        Ok(Daemon {
            judge: Judge::new(&operator_policies(&settings.policy.directory)?)?,
            engines: vec![Box::new(Docker::new(settings.docker.data_root.clone()))],
            store: PlainStore::open(&settings.volumes())?,
            sealed: SealedStore::open(&settings.volumes())?,
            open_volumes: OpenVolumes::default(),
            keys,
            ledger,
            opener: Opener::default(),
            placeholders: RwLock::new(placeholders),
            held,
            marks: Mutex::new(()),
            tenant_keys: Mutex::new(()),
            making: Mutex::new(()),
            unsigned: Mutex::default(),
            drafting: Mutex::new(()),
            first_contents: FirstContents::default(),
            plans: Plans::default(),
            tasks: tokio::runtime::Handle::current(),
            boot,
            since: Timestamp::now(),
            state,
            settings,
            warnings,
        })
    }

    /// Records what happened, durably: when this returns, it may have consequences.
    ///
    /// # Errors
    /// `unavailable` where the ledger cannot be written. Then nothing may come of what happened.
    pub(crate) fn record(&self, events: Vec<Event>) -> Result<()> {
        self.ledger.append(Timestamp::now(), events, &self.keys)
    }

    /// Records what happened, where anything did.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub(crate) fn record_any(&self, events: Vec<Event>) -> Result<()> {
        match events.is_empty() {
            true => Ok(()),
            false => self.record(events),
        }
    }

    /// Records what has happened already, and cannot be undone.
    pub(crate) fn record_or_warn(&self, events: Vec<Event>) {
        if let Err(problem) = self.record(events) {
            warn!("not in the ledger: {problem}");
        }
    }

    /// The ledger, to look at.
    pub(crate) fn ledger(&self) -> &KeptLedger {
        &self.ledger
    }

    /// New volumes whose first deeds wait to be signed elsewhere. Not to be held while anything is waited for.
    pub(crate) fn unsigned(&self) -> MutexGuard<'_, BTreeMap<VolumeName, Unsigned>> {
        self.unsigned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The placeholders, to look at.
    pub(crate) fn placeholders(&self) -> RwLockReadGuard<'_, Placeholders> {
        self.placeholders.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The placeholders, for one change.
    pub(crate) fn change_placeholders(&self) -> RwLockWriteGuard<'_, Placeholders> {
        self.placeholders.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The operator's own policies: file name and text, by name.
fn operator_policies(directory: &Path) -> Result<Vec<(String, String)>> {
    /// The longest policy file, in bytes.
    const LENGTH_MAX: usize = 4 << 20;
    let fail = |path: &Path, error: std::io::Error| {
        Problem::invalid(format!("cannot read the policy {}: {error}", path.display()))
    };
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| fail(directory, error))?,
    };
    let mut policies = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| fail(directory, error))?.path();
        if path.extension().is_some_and(|extension| extension == "cedar") {
            let bytes = cofferdam_linux::file::open_trusted(&path)
                .and_then(|file| cofferdam_linux::file::read_limited(file, LENGTH_MAX))
                .map_err(|error| fail(&path, error))?;
            let text = String::from_utf8(bytes)
                .map_err(|_| Problem::invalid(format!("the policy {} is not UTF-8", path.display())))?;
            policies.push((path.display().to_string(), text));
        }
    }
    policies.sort();
    Ok(policies)
}
