//! The volume key in a file: 32 bytes, for one pair of eyes.

use crate::{arguments::Keys, held_keys::HeldKeys, problem::doing};
use cofferdam_model::{Problem, Result};
use cofferdam_vault::VolumeKey;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use std::{fs::File, os::fd::AsFd, path::Path};

/// The path that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// Reads a key from standard input, or from a regular file that belongs to whoever runs this and that nobody else may
/// touch.
///
/// # Errors
/// `missing`, `denied`, `invalid`, each with what to do.
pub(crate) fn read(path: &Path) -> Result<VolumeKey> {
    let shown = path.display();
    if path.as_os_str() == STANDARD_INPUT {
        return from_standard_input();
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(|error| {
        doing(format_args!("opening the key file {shown}"))(error.into())
            .remedy("name the file that the disk was created with; create --new-key makes one")
    })?;
    let facts = rustix::fs::fstat(&file)
        .map_err(|error| doing(format_args!("looking at the key file {shown}"))(error.into()))?;
    if FileType::from_raw_mode(facts.st_mode) != FileType::RegularFile {
        return Err(Problem::invalid(format!(
            "the key file {shown} is not a regular file"
        )));
    }
    if facts.st_uid != rustix::process::geteuid().as_raw() || facts.st_mode & 0o077 != 0 {
        return Err(
            Problem::denied(format!("the key file {shown} can be read or written by others"))
                .remedy(format!("chown it to yourself and chmod 600 {shown}")),
        );
    }
    VolumeKey::read(File::from(file))
        .map_err(|error| Problem::invalid(format!("the key file {shown}: {error}")))
}

/// Reads the key, and the one before it where that is named.
///
/// # Errors
/// As [`read`].
pub(crate) fn read_keys(keys: &Keys) -> Result<HeldKeys> {
    let key = read(&keys.key.key_file)?;
    let previous = keys.previous_key_file.as_deref().map(read).transpose()?;
    Ok(HeldKeys::new(key, previous, false))
}

/// Reads the keys that the daemon hands over on standard input: two where a rotation is under way, which may be known to have
/// begun.
///
/// # Errors
/// `invalid` where that is no key.
pub(crate) fn keys_from_standard_input(rotation: Option<bool>) -> Result<HeldKeys> {
    let input = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(doing("opening standard input"))?;
    HeldKeys::read(input, rotation)
        .map_err(|error| Problem::invalid(format!("the key on standard input: {error}")))
}

/// Reads a key from standard input, unbuffered and to its end.
///
/// # Errors
/// `invalid` where that is no key.
fn from_standard_input() -> Result<VolumeKey> {
    let input = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(doing("opening standard input"))?;
    VolumeKey::read(File::from(input))
        .map_err(|error| Problem::invalid(format!("the key on standard input: {error}")))
}

/// Makes a new key and writes it to a file that must not be there yet.
///
/// # Errors
/// `conflict` where it is there already.
pub(crate) fn make(path: &Path) -> Result<VolumeKey> {
    let shown = path.display();
    let key = VolumeKey::generate().map_err(doing("making a key"))?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = rustix::fs::openat(CWD, path, flags, Mode::RUSR | Mode::WUSR).map_err(|error| {
        doing(format_args!("making the key file {shown}"))(error.into())
            .remedy("leave --new-key out to use a key that is there, or name another file")
    })?;
    let file = File::from(file);
    key.write(&file)
        .and_then(|()| file.sync_all())
        .map_err(doing(format_args!("writing the key file {shown}")))?;
    Ok(key)
}
