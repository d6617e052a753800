//! Files that may be trusted, read once and bounded; files that are written whole or not at all.

use rustix::fs::{AtFlags, CWD, FileType, MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Opens a regular file that belongs to root and that nobody else may write.
///
/// # Errors
/// As open(2); `PermissionDenied` where it belongs to somebody else or others may write it; `InvalidInput` where it is no regular file.
pub fn open_trusted(path: &Path) -> io::Result<File> {
    let file = File::from(rustix::fs::openat(
        CWD,
        path,
        OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK,
        Mode::empty(),
    )?);
    let facts = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(facts.st_mode) != FileType::RegularFile {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is not a regular file",
        ));
    }
    if facts.st_uid != 0 || facts.st_mode & 0o022 != 0 {
        let message = "it must belong to root and be writable by nobody else (chown root, chmod go-w)";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    Ok(file)
}

/// Reads the rest of `source`, at most `limit` bytes.
///
/// # Errors
/// As read(2); `FileTooLarge` where there is more.
pub fn read_limited(source: impl Read, limit: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let room = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    source.take(room).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it is longer than {limit} bytes"),
        ));
    }
    Ok(bytes)
}

/// A file in memory with these bytes, which nobody can change any more (memfd_create(2), `F_ADD_SEALS`).
///
/// # Errors
/// As memfd_create(2).
pub fn sealed(name: &str, bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(rustix::fs::memfd_create(
        name,
        MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING,
    )?);
    file.write_all(bytes)?;
    file.seek(SeekFrom::Start(0))?;
    fcntl_add_seals(
        &file,
        SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
    )?;
    Ok(file.into())
}

/// Reads a file made by [`sealed`], at most `limit` bytes.
///
/// # Errors
/// `PermissionDenied` where it is not sealed; as [`read_limited`].
pub fn read_sealed(descriptor: OwnedFd, limit: usize) -> io::Result<Vec<u8>> {
    let seals = rustix::fs::fcntl_get_seals(&descriptor)?;
    if !seals.contains(SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW) {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the file in memory is not sealed",
        ));
    }
    let mut file = File::from(descriptor);
    file.seek(SeekFrom::Start(0))?;
    read_limited(file, limit)
}

/// Writes `name` in `directory` whole or not at all: under another name first, then renamed over it. After a crash the old file may
/// be there still; see [`write_durably`].
///
/// # Errors
/// As openat(2), write(2), fsync(2) and renameat(2). Nothing is left behind.
pub fn write_whole(directory: BorrowedFd<'_>, name: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
    let draft = format!(".{name}.new");
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(
        directory,
        &draft,
        flags,
        Mode::from_raw_mode(mode),
    )?);
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| Ok(rustix::fs::renameat(directory, &draft, directory, name)?));
    if written.is_err() {
        rustix::fs::unlinkat(directory, &draft, AtFlags::empty())?;
    }
    written
}

/// As [`write_whole`], and once this returns the new file is what a crash leaves.
///
/// # Errors
/// As [`write_whole`], and fsync(2) of the directory; then the new file is there, and may not be after a crash.
pub fn write_durably(directory: BorrowedFd<'_>, name: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
    write_whole(directory, name, bytes, mode)?;
    // The descriptor may be one that is not open for anything (O_PATH).
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(directory, c".", flags, Mode::empty())?;
    Ok(rustix::fs::fsync(opened)?)
}

/// Opens the same file or directory again, with other rights, through its descriptor.
///
/// # Errors
/// As open(2).
pub fn reopen(descriptor: BorrowedFd<'_>, flags: OFlags) -> io::Result<OwnedFd> {
    let link = format!("/proc/self/fd/{}", descriptor.as_fd().as_raw_fd());
    Ok(rustix::fs::openat(
        CWD,
        link,
        flags | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_roots_own_files_are_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings");
        std::fs::write(&path, "x").unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        assert!(open_trusted(&path).is_ok());
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o664)).unwrap();
        assert_eq!(
            open_trusted(&path).unwrap_err().kind(),
            io::ErrorKind::PermissionDenied
        );
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        std::os::unix::fs::chown(&path, Some(1000), None).unwrap();
        assert_eq!(
            open_trusted(&path).unwrap_err().kind(),
            io::ErrorKind::PermissionDenied
        );
        assert_eq!(
            open_trusted(dir.path()).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }

    #[test]
    fn sealed_bytes_cannot_be_changed() {
        let memory = sealed("test", b"config").unwrap();
        assert!(rustix::io::write(&memory, b"x").is_err());
        assert_eq!(read_sealed(memory, 6).unwrap(), b"config");
        assert!(read_sealed(sealed("test", b"config").unwrap(), 5).is_err());
        assert!(read_sealed(tempfile::tempfile().unwrap().into(), 5).is_err());
    }

    #[test]
    fn a_file_is_written_whole() {
        let dir = tempfile::tempdir().unwrap();
        let handle = File::open(dir.path()).unwrap();
        write_whole(handle.as_fd(), "a", b"one", 0o600).unwrap();
        write_whole(handle.as_fd(), "a", b"two", 0o600).unwrap();
        assert_eq!(std::fs::read(dir.path().join("a")).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
