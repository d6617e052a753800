//! A store in a directory: `head`, `lock`, and below `segments` one file for each segment, named by it.
//!
//! Files of deleted segments wait below `spare` and are used again: their blocks are allocated and written, so that
//! a flush to them needs no commit of the filesystem's journal below.

use super::{
    Claim, Store,
    handles::{Handle, Handles},
};
use crate::geometry::SegmentName;
use cofferdam_linux::aligned::AlignedBuffer;
use rustix::fs::{AtFlags, CWD, Dir, FallocateFlags, Mode, OFlags};
use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::FileExt,
    },
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

/// The most files that wait to be used again.
const SPARES: usize = 4;

/// How far ahead of a small write zeros are written where the file's blocks never were.
const AHEAD: u32 = 1 << 20;

/// A write of up to so many bytes is small: it comes of a flush, and the next one will come soon.
const SMALL: usize = 64 << 10;

/// How segments are read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Past the host's page cache (`O_DIRECT`).
    Direct,
    /// Through it.
    Buffered,
}

/// See the module.
#[derive(Debug)]
pub struct Directory {
    root: OwnedFd,
    segments: OwnedFd,
    spare: OwnedFd,
    access: Access,
    unit: usize,
    /// Held for as long as the store is open.
    _lock: OwnedFd,
    handles: Handles,
    spares: Mutex<Vec<String>>,
    next_spare: AtomicU32,
    head: Mutex<Option<Seen>>,
}

/// What tells one head's file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    inode: u64,
    changed: (i64, i64),
}

impl Directory {
    /// Makes an empty store in a directory that is not there yet, or empty, and opens it for oneself alone.
    ///
    /// # Errors
    /// `DirectoryNotEmpty` where there is something in it; as mkdir(2) and open(2).
    pub fn create(path: &Path, access: Access) -> io::Result<Self> {
        match rustix::fs::mkdir(path, Mode::RWXU) {
            Err(rustix::io::Errno::EXIST) | Ok(()) => {}
            Err(error) => return Err(error.into()),
        }
        let root = open_directory(CWD, path)?;
        if !names(root.as_fd())?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        for name in ["segments", "spare"] {
            rustix::fs::mkdirat(&root, name, Mode::RWXU)?;
        }
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
        rustix::fs::openat(&root, "lock", flags, Mode::RUSR | Mode::WUSR)?;
        rustix::fs::fsync(&root)?;
        drop(root);
        Self::open(path, access)
    }

    /// Opens a store for oneself alone.
    ///
    /// # Errors
    /// `WouldBlock` where somebody else has it open; as open(2) and flock(2).
    pub fn open(path: &Path, access: Access) -> io::Result<Self> {
        Self::on(Claim::to_write(path)?, access)
    }

    /// Opens a store that nobody has open for writing, to read it.
    ///
    /// # Errors
    /// As for [`Directory::open`].
    pub fn open_to_read(path: &Path, access: Access) -> io::Result<Self> {
        Self::on(Claim::to_read(path)?, access)
    }

    /// The store that was claimed.
    ///
    /// # Errors
    /// As open(2).
    pub fn on(claim: Claim, access: Access) -> io::Result<Self> {
        let segments = open_directory(claim.root.as_fd(), "segments")?;
        let spare = open_directory(claim.root.as_fd(), "spare")?;
        let spares = names(spare.as_fd())?;
        let numbers = spares.iter().filter_map(|name| name.parse::<u32>().ok());
        let unit = match access {
            Access::Direct => direct_unit(&claim.root)?,
            Access::Buffered => 512,
        };
        Ok(Directory {
            unit,
            next_spare: AtomicU32::new(numbers.max().unwrap_or(0).wrapping_add(1)),
            spares: Mutex::new(spares),
            root: claim.root,
            segments,
            spare,
            access,
            _lock: claim.lock,
            handles: Handles::new(),
            head: Mutex::new(None),
        })
    }

    /// What offsets and lengths of writes must be multiples of here, in bytes: 512 or 4096.
    pub fn alignment(&self) -> u32 {
        u32::try_from(self.unit).unwrap_or(4096)
    }

    fn flags(&self) -> OFlags {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match self.access {
            Access::Direct => flags | OFlags::DIRECT,
            Access::Buffered => flags,
        }
    }

    /// Opens a segment's file; without `O_DIRECT` where the filesystem has none.
    fn open_file(&self, directory: &OwnedFd, name: &str, more: OFlags) -> io::Result<File> {
        let mode = Mode::RUSR | Mode::WUSR;
        match rustix::fs::openat(directory, name, self.flags() | more, mode) {
            Err(rustix::io::Errno::INVAL) if self.access == Access::Direct => {
                let flags = (self.flags() | more) - OFlags::DIRECT - OFlags::EXCL;
                Ok(rustix::fs::openat(directory, name, flags, mode)?.into())
            }
            other => Ok(other?.into()),
        }
    }

    fn handle(&self, name: SegmentName) -> io::Result<std::sync::Arc<Handle>> {
        self.handles.get(name, || {
            self.open_file(&self.segments, &name.to_string(), OFlags::empty())
        })
    }

    fn take_spare(&self, name: &str) -> io::Result<Option<File>> {
        let spare = self.spares.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some(spare) = spare else {
            return Ok(None);
        };
        let file = self.open_file(&self.spare, &spare, OFlags::empty())?;
        rustix::fs::renameat(&self.spare, spare.as_str(), &self.segments, name)?;
        Ok(Some(file))
    }

    fn make_file(&self, name: &str, bytes: u32) -> io::Result<File> {
        let file = self.open_file(&self.segments, name, OFlags::CREATE | OFlags::EXCL)?;
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, u64::from(bytes)) {
            Ok(()) => {}
            // No reserving here: then at least the length is right.
            Err(rustix::io::Errno::OPNOTSUPP) => rustix::fs::ftruncate(&file, u64::from(bytes))?,
            Err(error) => {
                drop(file);
                rustix::fs::unlinkat(&self.segments, name, AtFlags::empty())?;
                return Err(error.into());
            }
        }
        Ok(file)
    }

    fn look_at_head(&self) -> io::Result<Option<Seen>> {
        match rustix::fs::statat(&self.root, "head", AtFlags::SYMLINK_NOFOLLOW) {
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
            Ok(stat) => Ok(Some(Seen {
                inode: stat.st_ino,
                changed: (
                    stat.st_ctime,
                    i64::try_from(stat.st_ctime_nsec).unwrap_or(i64::MAX),
                ),
            })),
        }
    }

    fn read_head(&self) -> io::Result<Option<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.root, "head", flags, Mode::empty()) {
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            other => File::from(other?),
        };
        let mut bytes = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(file, 4096), &mut bytes)?;
        Ok(Some(bytes))
    }

    fn write_head(&self, new: &[u8]) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let draft = rustix::fs::openat(&self.root, "head.new", flags, Mode::RUSR | Mode::WUSR)?;
        let draft = File::from(draft);
        draft.write_all_at(new, 0)?;
        draft.sync_all()?;
        rustix::fs::renameat(&self.root, "head.new", &self.root, "head")?;
        rustix::fs::fsync(&self.root)?;
        Ok(())
    }
}

impl Store for Directory {
    fn make(&self, name: SegmentName, bytes: u32, header: &[u8]) -> io::Result<()> {
        let file_name = name.to_string();
        let (file, written) = match self.take_spare(&file_name)? {
            Some(file) => (file, u32::MAX),
            None => (self.make_file(&file_name, bytes)?, 0),
        };
        let mut memory = AlignedBuffer::new(4096);
        let page = memory.get_mut(..header.len()).unwrap_or_default();
        page.copy_from_slice(header);
        file.write_all_at(page, 0)?;
        file.sync_data()?;
        rustix::fs::fsync(&self.segments)?;
        self.handles.put(name, file, written);
        Ok(())
    }

    fn append(&self, name: SegmentName, offset: u32, bytes: &[u8]) -> io::Result<()> {
        let handle = self.handle(name)?;
        let end = offset + u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        if end > handle.written.load(Ordering::Acquire) {
            prepare(&handle, offset, end)?;
        }
        handle.file.write_all_at(bytes, u64::from(offset))
    }

    fn sync(&self, name: SegmentName) -> io::Result<()> {
        self.handle(name)?.file.sync_data()
    }

    fn read(&self, name: SegmentName, offset: u32, length: usize, memory: &mut [u8]) -> io::Result<usize> {
        let handle = self.handle(name)?;
        if self.access == Access::Buffered {
            let memory = memory.get_mut(..length).ok_or(io::ErrorKind::InvalidInput)?;
            handle.file.read_exact_at(memory, u64::from(offset))?;
            return Ok(0);
        }
        let skew = offset as usize % self.unit;
        let start = u64::from(offset) - skew as u64;
        let whole = (skew + length).next_multiple_of(self.unit);
        let memory = memory.get_mut(..whole).ok_or(io::ErrorKind::InvalidInput)?;
        read_to(&handle.file, memory, start, skew + length)?;
        Ok(skew)
    }

    fn delete(&self, name: SegmentName) -> io::Result<()> {
        self.handles.forget(name);
        let mut spares = self.spares.lock().unwrap_or_else(PoisonError::into_inner);
        let file_name = name.to_string();
        let done = if spares.len() < SPARES {
            let number = self.next_spare.fetch_add(1, Ordering::Relaxed);
            let spare = number.to_string();
            let renamed = rustix::fs::renameat(&self.segments, file_name, &self.spare, spare.as_str());
            if renamed.is_ok() {
                spares.push(spare);
            }
            renamed
        } else {
            rustix::fs::unlinkat(&self.segments, file_name, AtFlags::empty())
        };
        match done {
            Err(rustix::io::Errno::NOENT) | Ok(()) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn list(&self) -> io::Result<Vec<SegmentName>> {
        let names = names(self.segments.as_fd())?;
        Ok(names.iter().filter_map(|name| SegmentName::parse(name)).collect())
    }

    fn head(&self) -> io::Result<Option<Vec<u8>>> {
        let mut seen = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = self.look_at_head()?;
        self.read_head()
    }

    fn replace_head(&self, expected: Option<&[u8]>, new: &[u8]) -> io::Result<bool> {
        let mut seen = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        if self.read_head()?.as_deref() != expected {
            return Ok(false);
        }
        self.write_head(new)?;
        *seen = self.look_at_head()?;
        Ok(true)
    }

    fn head_is_ours(&self) -> io::Result<bool> {
        let seen = *self.head.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.look_at_head()? == seen)
    }
}

/// Notes that a file is about to be written up to `end`; before a small write, writes zeros ahead of it.
///
/// INVARIANT: every append is noted here before it writes, so the zeros, which begin where the last noted one ends,
/// meet no other append, and those that follow wait for them.
fn prepare(handle: &Handle, offset: u32, end: u32) -> io::Result<()> {
    let _turn = handle.growing.lock().unwrap_or_else(PoisonError::into_inner);
    let written = handle.written.load(Ordering::Acquire);
    if end <= written {
        return Ok(());
    }
    let mut upto = end;
    if (end - offset) as usize <= SMALL {
        let size = u32::try_from(handle.file.metadata()?.len()).unwrap_or(u32::MAX);
        upto = (end + AHEAD).min(size).max(end);
        let start = offset.max(written);
        let zeros = AlignedBuffer::new((upto - start) as usize);
        handle.file.write_all_at(&zeros, u64::from(start))?;
    }
    handle.written.store(upto, Ordering::Release);
    Ok(())
}

fn open_directory(at: impl AsFd, path: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(at, path, flags, Mode::empty())?)
}

fn names(directory: std::os::fd::BorrowedFd<'_>) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        match entry.file_name().to_str() {
            Ok("." | "..") => {}
            Ok(name) => names.push(name.to_owned()),
            Err(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "a name that is not UTF-8",
                ));
            }
        }
    }
    Ok(names)
}

/// The unit of direct reads and writes on the filesystem of a directory: what works.
fn direct_unit(root: &OwnedFd) -> io::Result<usize> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let probe = rustix::fs::openat(root, ".", flags, Mode::RUSR | Mode::WUSR)?;
    rustix::fs::ftruncate(&probe, 8192)?;
    let Ok(probe) = reopen_direct(&File::from(probe)) else {
        return Ok(512);
    };
    let memory = AlignedBuffer::new(8192);
    let sector = memory.get(..512).unwrap_or_default();
    Ok(if probe.write_all_at(sector, 512).is_ok() {
        512
    } else {
        4096
    })
}

fn reopen_direct(file: &File) -> io::Result<File> {
    use std::os::fd::AsRawFd;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let flags = OFlags::RDWR | OFlags::DIRECT | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, path, flags, Mode::empty())?.into())
}

/// Reads until `memory` is full, or the file ends behind `least` bytes.
fn read_to(file: &File, memory: &mut [u8], start: u64, least: usize) -> io::Result<()> {
    let mut done = 0;
    while done < least {
        let rest = memory.get_mut(done..).unwrap_or_default();
        match file.read_at(rest, start + done as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
