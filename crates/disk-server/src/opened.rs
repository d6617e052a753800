//! Store, key and witness → an open volume with its keeper, and back.

use crate::{
    problem::{doing, of_fault},
    witness_file::WitnessFile,
};
use cofferdam_disk::{
    Access, Directory, Volume,
    volume::{Keeper, Options},
};
use cofferdam_model::{Problem, Result};
use cofferdam_vault::VolumeKey;
use std::{path::Path, sync::Arc};

/// A volume that is open.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) volume: Arc<Volume<Directory>>,
    keeper: Keeper<Directory>,
    witness: Option<Arc<WitnessFile>>,
}

/// Opens the store at a path.
///
/// # Errors
/// `missing`, `busy`, `unavailable`.
pub(crate) fn store(path: &Path, access: Access) -> Result<Directory> {
    Directory::open(path, access).map_err(|error| explain(path, error))
}

/// Opens the store at a path to read it.
///
/// # Errors
/// As [`store`].
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
    problem
}

impl Opened {
    /// Opens the volume on a store.
    ///
    /// # Errors
    /// What the engine says; `corrupt` for an unreadable witness.
    pub(crate) fn open(store: Directory, key: VolumeKey, witness: Option<WitnessFile>) -> Result<Self> {
        let remembered = witness.as_ref().map(WitnessFile::read).transpose()?.flatten();
        let options = Options {
            witness: remembered,
            ..Options::default()
        };
        let volume = Volume::open(store, key, &options).map_err(of_fault)?;
        Self::keep(volume, witness)
    }

    /// Has a volume kept.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub(crate) fn keep(volume: Volume<Directory>, witness: Option<WitnessFile>) -> Result<Self> {
        let volume = Arc::new(volume);
        let witness = witness.map(Arc::new);
        let remember: cofferdam_disk::volume::Remember = match witness.clone() {
            None => Box::new(|_| {}),
            Some(file) => Box::new(move |witness| {
                if let Err(error) = file.write(&witness) {
                    eprintln!("cofferdam-disk: the witness cannot be written: {error}");
                }
            }),
        };
        let keeper =
            Keeper::start(Arc::clone(&volume), remember).map_err(doing("starting the volume's keeper"))?;
        Ok(Opened {
            volume,
            keeper,
            witness,
        })
    }

    /// Closes the volume in peace.
    ///
    /// # Errors
    /// What the engine says: then the next opening replays what was flushed.
    pub(crate) fn close(self) -> Result<()> {
        self.keeper.stop();
        let witness = self.volume.close().map_err(of_fault)?;
        if let Some(file) = &self.witness {
            file.write(&witness).map_err(doing("writing the witness"))?;
        }
        Ok(())
    }
}
