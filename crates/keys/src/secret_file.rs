//! Files with secrets: identities, PINs. Each belongs to whoever runs this, and nobody else may touch it.

use crate::problem::doing;
use crate::wiped::Wiped;
use cofferdam_model::{Problem, Result};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;

/// The longest such file, in bytes.
const LENGTH_MAX: usize = 16 * 1024;

/// Reads the whole of a secret file. `what` says what it is for, in messages.
///
/// # Errors
/// `missing`; `denied` where others may touch it; `invalid` where it is a link, no regular file or too long.
pub(crate) fn read(path: &Path, what: &str) -> Result<Wiped> {
    let shown = path.display();
    let mut file = open(path, what)?;
    let mut bytes = Wiped::zeroed(LENGTH_MAX + 1);
    let mut length = 0;
    while let Some(room) = bytes.get_mut(length..).filter(|room| !room.is_empty()) {
        match file.read(room) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(doing(format_args!("reading {what} {shown}"))(error)),
        }
    }
    if length > LENGTH_MAX {
        return Err(Problem::invalid(format!(
            "{what} {shown} is longer than {LENGTH_MAX} bytes"
        )));
    }
    bytes.shorten(length);
    Ok(bytes)
}

fn open(path: &Path, what: &str) -> Result<File> {
    let shown = path.display();
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
    let file = match rustix::fs::openat(CWD, path, flags, Mode::empty()) {
        Err(rustix::io::Errno::LOOP) => {
            return Err(
                Problem::invalid(format!("{what} {shown} is a symbolic link")).remedy("name the file itself")
            );
        }
        opened => opened.map_err(|error| doing(format_args!("opening {what} {shown}"))(error.into()))?,
    };
    let facts = rustix::fs::fstat(&file)
        .map_err(|error| doing(format_args!("looking at {what} {shown}"))(error.into()))?;
    if FileType::from_raw_mode(facts.st_mode) != FileType::RegularFile {
        return Err(Problem::invalid(format!("{what} {shown} is not a regular file")));
    }
    if facts.st_uid != rustix::process::geteuid().as_raw() || facts.st_mode & 0o077 != 0 {
        return Err(
            Problem::denied(format!("{what} {shown} can be read or written by others"))
                .remedy(format!("chown it to yourself and chmod 600 {shown}")),
        );
    }
    Ok(File::from(file))
}

/// Writes a secret file, part after part, that must not be there yet. When this returns it is on the disk, its name
/// too.
///
/// # Errors
/// `conflict` where it is there already; what was begun is taken away again.
pub(crate) fn make(path: &Path, what: &str, parts: &[&[u8]]) -> Result<()> {
    let shown = path.display();
    let making = || doing(format!("making {what} {shown}"));
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Problem::invalid(format!("{shown} cannot be the name of a file")));
    };
    let parent = if parent.as_os_str().is_empty() {
        Path::new(".")
    } else {
        parent
    };
    let directory = rustix::fs::openat(
        CWD,
        parent,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|error| making()(error.into()))?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&directory, name, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|error| making()(error.into()))?;
    let mut file = File::from(file);
    let written = parts
        .iter()
        .try_for_each(|part| file.write_all(part))
        .and_then(|()| file.sync_all())
        .and_then(|()| Ok(rustix::fs::fsync(&directory)?));
    written.map_err(|error| {
        let problem = making()(error);
        match rustix::fs::unlinkat(&directory, name, AtFlags::empty()) {
            Ok(()) => problem,
            Err(left) => problem.remedy(format!("remove {shown}, which is of no use ({left})")),
        }
    })
}
