//! An engine's state directory, read by descriptor: no link is followed, nothing outside is reached, and only files that
//! root alone may write are believed.

use cofferdam_linux::file;
use cofferdam_model::{Problem, Result};
use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A state directory.
#[derive(Debug)]
pub(crate) struct StateTree {
    path: PathBuf,
    root: OwnedFd,
}

impl StateTree {
    /// The directory at `path`; none where there is none.
    ///
    /// # Errors
    /// `unavailable` where it cannot be opened.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>> {
        match rustix::fs::open(
            path,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        ) {
            Ok(root) => Ok(Some(StateTree {
                path: path.to_owned(),
                root,
            })),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(Problem::unavailable(format!(
                "cannot open the engine's state at {}: {error}",
                path.display()
            ))),
        }
    }

    /// Opens what lies at `place` below the directory; none where there is nothing.
    ///
    /// # Errors
    /// `corrupt` where a link or another obstacle is in the way.
    fn find(&self, place: &str, flags: OFlags, resolve: ResolveFlags) -> Result<Option<OwnedFd>> {
        let resolve = resolve | ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        match rustix::fs::openat2(&self.root, place, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Ok(found) => Ok(Some(found)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(Problem::corrupt(format!(
                "cannot open {}: {error}",
                self.shown(place)
            ))),
        }
    }

    /// A directory or file, to be looked at.
    ///
    /// # Errors
    /// `corrupt` where it is missing or a link is in the way.
    pub(crate) fn look(&self, place: &str) -> Result<OwnedFd> {
        self.find(place, OFlags::PATH, ResolveFlags::NO_SYMLINKS)?
            .ok_or_else(|| self.missing(place))
    }

    /// A directory, to be listed.
    ///
    /// # Errors
    /// `corrupt` where it is missing or a link is in the way.
    pub(crate) fn directory(&self, place: &str) -> Result<OwnedFd> {
        self.find(
            place,
            OFlags::RDONLY | OFlags::DIRECTORY,
            ResolveFlags::NO_SYMLINKS,
        )?
        .ok_or_else(|| self.missing(place))
    }

    /// The names in a directory.
    ///
    /// # Errors
    /// As [`Self::directory`].
    pub(crate) fn entries(&self, place: &str) -> Result<Vec<String>> {
        let directory = self.directory(place)?;
        let unreadable =
            |error: Errno| Problem::unavailable(format!("cannot list {}: {error}", self.shown(place)));
        let mut names = Vec::new();
        for entry in Dir::read_from(&directory).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            names.extend(entry.file_name().to_str().ok().map(str::to_owned));
        }
        Ok(names)
    }

    /// The same, where there need not be one.
    ///
    /// # Errors
    /// `corrupt` where a link is in the way.
    pub(crate) fn look_if_there(&self, place: &str) -> Result<Option<OwnedFd>> {
        self.find(place, OFlags::PATH, ResolveFlags::NO_SYMLINKS)
    }

    /// The same, through links that stay inside.
    ///
    /// # Errors
    /// `corrupt` where it is missing or a link leads outside.
    pub(crate) fn look_through_links(&self, place: &str) -> Result<OwnedFd> {
        self.find(place, OFlags::PATH, ResolveFlags::empty())?
            .ok_or_else(|| self.missing(place))
    }

    /// A file's bytes, at most `limit` of them; none where there is none.
    ///
    /// # Errors
    /// `corrupt` where it is no file, does not belong to root alone, or is longer.
    pub(crate) fn read_if_there(&self, place: &str, limit: usize) -> Result<Option<Vec<u8>>> {
        let fail = |why: &dyn std::fmt::Display| {
            Problem::corrupt(format!("cannot believe {}: {why}", self.shown(place)))
        };
        let Some(found) = self.find(
            place,
            OFlags::RDONLY | OFlags::NONBLOCK,
            ResolveFlags::NO_SYMLINKS,
        )?
        else {
            return Ok(None);
        };
        let facts = rustix::fs::fstat(&found).map_err(|error| fail(&error))?;
        if FileType::from_raw_mode(facts.st_mode) != FileType::RegularFile {
            return Err(fail(&"it is not a regular file"));
        }
        if facts.st_uid != 0 || facts.st_mode & 0o022 != 0 {
            return Err(fail(&"others than root may write it"));
        }
        file::read_limited(File::from(found), limit)
            .map(Some)
            .map_err(|error| fail(&error))
    }

    /// A file's bytes, at most `limit` of them.
    ///
    /// # Errors
    /// As [`Self::read_if_there`], and where there is none.
    pub(crate) fn read(&self, place: &str, limit: usize) -> Result<Vec<u8>> {
        self.read_if_there(place, limit)?
            .ok_or_else(|| self.missing(place))
    }

    /// A short file of text, without the white space around it.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub(crate) fn word(&self, place: &str) -> Result<String> {
        let bytes = self.read(place, 4096)?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| Problem::corrupt(format!("{} is not text", self.shown(place))))?;
        Ok(text.trim().to_owned())
    }

    /// The name that an entry of the tree has for people.
    pub(crate) fn shown(&self, place: &str) -> String {
        self.path.join(place).display().to_string()
    }

    fn missing(&self, place: &str) -> Problem {
        Problem::corrupt(format!(
            "{} is missing from the engine's state",
            self.shown(place)
        ))
    }
}
