//! A runtime that stands in front of the wrapper and waits at `create` until it is let through: so that a
//! case can act at the one instant that matters, after the engine has prepared the bundle and before anybody
//! has judged it.

use crate::{
    failure::{During, Outcome},
    process::until,
};
use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// Where the gate's two files are: who stands before it, and that it is open.
const PLACE: &str = "/run/gate";

/// How long the engine may take to get here.
const PATIENCE: Duration = Duration::from_secs(20);

/// Writes the runtime and answers its path.
pub(crate) fn install(wrapper: &Path) -> Outcome<PathBuf> {
    fs::create_dir_all(PLACE)?;
    let script = format!(
        "#!/bin/sh
case \" $* \" in
*' create '*)
    echo \"$*\" > {PLACE}/arrived.new && mv {PLACE}/arrived.new {PLACE}/arrived
    while [ ! -e {PLACE}/open ]; do sleep 0.01; done ;;
esac
exec {} \"$@\"
",
        wrapper.display()
    );
    let path = Path::new(PLACE).join("runtime");
    fs::write(&path, script)?;
    fs::set_permissions(&path, Permissions::from_mode(0o755))?;
    Ok(path)
}

/// The gate, shut. It opens when it is told to or dropped.
#[derive(Debug)]
pub struct Gate(());

impl Gate {
    /// Shuts it for the next container with `--runtime gated`.
    ///
    /// # Errors
    /// Where an old state cannot be removed.
    pub fn shut() -> Outcome<Self> {
        for name in ["arrived", "open"] {
            let path = Path::new(PLACE).join(name);
            if path.exists() {
                fs::remove_file(path)?;
            }
        }
        Ok(Gate(()))
    }

    /// Waits until a container stands before it and answers its bundle.
    ///
    /// # Errors
    /// Where none comes.
    pub fn bundle(&self) -> Outcome<PathBuf> {
        let arrived = Path::new(PLACE).join("arrived");
        until("a container at the gate", PATIENCE, || arrived.exists())?;
        let arguments = fs::read_to_string(arrived)?;
        let mut words = arguments.split_whitespace();
        words.find(|word| *word == "--bundle");
        words
            .next()
            .map(PathBuf::from)
            .during("the bundle in the shim's arguments")
    }

    /// Opens it.
    ///
    /// # Errors
    /// Where that cannot be written.
    pub fn open(&self) -> Outcome {
        Ok(fs::write(Path::new(PLACE).join("open"), "")?)
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Err(failure) = self.open() {
            eprintln!("the gate stays shut: {failure}");
        }
    }
}
