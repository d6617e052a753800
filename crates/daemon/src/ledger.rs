//! The daemon's ledger: kept open, and opened anew where writing it has failed.
//!
//! A ledger that fails is closed: nothing is recorded, so nothing is opened. Where what made it fail has gone (a full disk),
//! opening it anew shows that all that was acknowledged is there, and it goes on. One that is not there any more is never begun
//! anew behind the operator's back: its saved state says that there was one.

use crate::sealed::HostKeys;
use cofferdam_ledger::{Event, Ledger};
use cofferdam_model::{ErrorKind, Problem, Result};
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use tracing::{info, warn};

/// What the ledger's checkpoints are said to be of.
const ORIGIN: &str = "cofferdam";

/// The ledger, open or not.
pub(crate) struct KeptLedger {
    directory: PathBuf,
    open: RwLock<Option<Ledger>>,
}

impl KeptLedger {
    /// Opens it.
    ///
    /// # Errors
    /// `corrupt` where it is not what was signed; as the system says.
    pub(crate) fn open(directory: &Path, keys: &HostKeys) -> Result<Self> {
        let ledger = open(directory, keys)?;
        Ok(KeptLedger {
            directory: directory.to_owned(),
            open: RwLock::new(Some(ledger)),
        })
    }

    /// Records what happened, durably.
    ///
    /// # Errors
    /// `unavailable` where it cannot be written, or opened anew.
    pub(crate) fn append(&self, at: Timestamp, events: Vec<Event>, keys: &HostKeys) -> Result<()> {
        match self.with(|ledger| ledger.append(at, events.clone())) {
            Ok(_) => return Ok(()),
            Err(problem) if problem.kind == ErrorKind::Invalid => return Err(problem),
            Err(problem) => warn!("{problem}"),
        }
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        // Its lock goes with it.
        *open = None;
        let anew = self::open(&self.directory, keys)?;
        anew.append(at, events)?;
        info!("the ledger is written again");
        *open = Some(anew);
        Ok(())
    }

    /// Looks at it.
    ///
    /// # Errors
    /// `unavailable` where it is not open; whatever `look` answers.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&Ledger) -> Result<T>) -> Result<T> {
        match &*self.open.read().unwrap_or_else(PoisonError::into_inner) {
            Some(ledger) => look(ledger),
            None => Err(
                Problem::unavailable("the ledger could not be written, and is closed")
                    .remedy("see why in the daemon's log, and put that right"),
            ),
        }
    }
}

fn open(directory: &Path, keys: &HostKeys) -> Result<Ledger> {
    let ledger = Ledger::open(directory, keys.ledger()?, ORIGIN)?;
    if ledger.cut() > 0 {
        warn!(
            bytes = ledger.cut(),
            "the ledger's end was torn, and nobody had been told of it; cut"
        );
    }
    Ok(ledger)
}
