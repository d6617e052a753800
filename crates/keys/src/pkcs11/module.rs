//! The token's library, loaded when it is first needed and kept as long as the process.

use super::fault::saying;
use crate::problem::doing;
use cofferdam_model::{Problem, Result};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Function, Pkcs11 as Library};
use cryptoki::error::{Error, RvError};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

pub(super) struct Module {
    path: PathBuf,
    loaded: Mutex<Option<Library>>,
}

impl Module {
    pub(super) fn at(path: PathBuf) -> Self {
        Module {
            path,
            loaded: Mutex::new(None),
        }
    }

    /// The library, initialised. It is never finalised: that would end the sessions of others in this process.
    pub(super) fn load(&self) -> Result<Library> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(library) = &*loaded {
            return Ok(library.clone());
        }
        self.check()?;
        let library = Library::new(&self.path).map_err(|error| {
            Problem::unavailable(format!(
                "loading the token's module {}: {error}",
                self.path.display()
            ))
            .remedy("name a PKCS#11 module for this machine's architecture in the settings")
        })?;
        match library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, Function::Initialize)) => {}
            Err(error) => return Err(saying("starting the token's module")(error)),
        }
        Ok(loaded.insert(library).clone())
    }

    /// The loader takes a path and no descriptor, so this path is looked up twice. Only root can change what it leads
    /// to, as long as its directories are root's, too.
    fn check(&self) -> Result<()> {
        let shown = self.path.display();
        if !self.path.is_absolute() {
            return Err(
                Problem::invalid(format!("the token's module {shown} is not an absolute path"))
                    .remedy("name it with its whole path in the settings"),
            );
        }
        cofferdam_linux::file::open_trusted(&self.path)
            .map(drop)
            .map_err(|error| {
                doing(format_args!("opening the token's module {shown}"))(error)
                    .remedy("install the module, or name the right one in the settings")
            })
    }
}
