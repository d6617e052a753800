//! The witness in a file: one line, replaced whole.

use crate::problem::doing;
use cofferdam_disk::Witness;
use cofferdam_linux::file::{read_limited, write_whole};
use cofferdam_model::{Problem, Result};
use rustix::fs::{CWD, Mode, OFlags};
use std::{
    fs::File,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

/// The most bytes of a witness.
const MOST: usize = 4096;

/// Where a witness is kept.
#[derive(Debug)]
pub(crate) struct WitnessFile {
    directory: OwnedFd,
    name: String,
    path: PathBuf,
}

impl WitnessFile {
    /// The place; the file itself need not be there yet.
    ///
    /// # Errors
    /// `invalid` for a path without a file name; `missing` where the directory is not there.
    pub(crate) fn at(path: &Path) -> Result<Self> {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .ok_or_else(|| Problem::invalid(format!("{} names no file", path.display())))?;
        let parent = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(CWD, parent, flags, Mode::empty())
            .map_err(|error| doing(format_args!("opening {}", parent.display()))(error.into()))?;
        Ok(WitnessFile {
            directory,
            name: name.to_owned(),
            path: path.to_owned(),
        })
    }

    /// What is remembered; none where the file is not there.
    ///
    /// # Errors
    /// `corrupt` where it is no witness.
    pub(crate) fn read(&self) -> Result<Option<Witness>> {
        let shown = self.path.display();
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.directory, self.name.as_str(), flags, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            other => other.map_err(|error| doing(format_args!("opening {shown}"))(error.into()))?,
        };
        let bytes = read_limited(File::from(file), MOST).map_err(doing(format_args!("reading {shown}")))?;
        let witness = std::str::from_utf8(&bytes).ok().and_then(Witness::parse);
        witness.map(Some).ok_or_else(|| {
            Problem::corrupt(format!("{shown} is no witness"))
                .remedy("if you know that the store is the newest, move that file away and try again")
        })
    }

    /// Remembers.
    ///
    /// # Errors
    /// As writing a file.
    pub(crate) fn write(&self, witness: &Witness) -> std::io::Result<()> {
        let line = format!("{witness}\n");
        write_whole(self.directory.as_fd(), &self.name, line.as_bytes(), 0o600)
    }
}
