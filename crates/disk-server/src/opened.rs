//! A store's claim, and a volume that is open in this very process, with its keeper.

use crate::problem::{doing, of_fault};
use cofferdam_disk::{Access, Claim, Directory, Volume, volume::Keeper};
use cofferdam_model::{ErrorKind, Problem, Result};
use std::{path::Path, sync::Arc};

/// A volume that is open.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) volume: Arc<Volume<Directory>>,
    keeper: Keeper<Directory>,
}

/// Claims the store at a path for writing.
///
/// # Errors
/// `missing`, `busy`, `unavailable`.
pub(crate) fn claim(path: &Path) -> Result<Claim> {
    Claim::to_write(path).map_err(|error| explain(path, error))
}

/// Opens the store at a path to read it.
///
/// # Errors
/// As [`claim`].
pub(crate) fn store_to_read(path: &Path) -> Result<Directory> {
    Directory::open_to_read(path, Access::Buffered).map_err(|error| explain(path, error))
}

fn explain(path: &Path, error: std::io::Error) -> Problem {
    let shown = path.display();
    let busy = error.kind() == std::io::ErrorKind::WouldBlock;
    let problem = doing(format_args!("opening the store {shown}"))(error);
    if busy {
        return Problem::busy(format!("the store {shown} is open in another process"))
            .remedy("end that one first (SIGTERM closes it in peace)");
    }
    if problem.kind == ErrorKind::Missing {
        return problem.remedy("name the directory that the disk was created in (cofferdam-disk create)");
    }
    problem
}

impl Opened {
    /// Has a volume kept.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub(crate) fn keep(volume: Volume<Directory>) -> Result<Self> {
        let volume = Arc::new(volume);
        let keeper = Keeper::start(Arc::clone(&volume), Box::new(|_| {}))
            .map_err(doing("starting the volume's keeper"))?;
        Ok(Opened { volume, keeper })
    }

    /// Closes the volume in peace.
    ///
    /// # Errors
    /// What the engine says: then the next opening replays what was flushed.
    pub(crate) fn close(self) -> Result<()> {
        self.keeper.stop();
        self.volume.close().map_err(of_fault)?;
        Ok(())
    }
}
