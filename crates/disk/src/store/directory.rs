//! A store in a directory: `head`, `lock`, and below `segments` one file for each segment, named by it.
//!
//! Files of deleted segments wait below `spare` and are used again: their blocks are allocated and written, so that
//! a flush to them needs no commit of the filesystem's journal below.
//!
//! Whoever can write to the directory can put links, pipes and directories where files belong: nothing but a regular
//! file is ever read or written, no link is followed, and no opening waits.

use super::{
    Claim, Store,
    around::{Around, memory_lies_idle},
    handles::{ALL, Handle, Handles, Way},
    head_file::{self, Seen},
    spares::{Spares, names},
};
use crate::geometry::SegmentName;
use cofferdam_linux::aligned::AlignedBuffer;
use rustix::fs::{AtFlags, CWD, FallocateFlags, Mode, OFlags};
use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::{FileExt, MetadataExt},
    },
    path::Path,
    sync::{Mutex, PoisonError},
};

/// How segments are read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Access {
    /// Written past the host's page cache (`O_DIRECT`), which would copy everything once more; read through it, which
    /// reads ahead and keeps ciphertext. Linux keeps the two together: a write past the cache drops the pages that it
    /// falls on.
    #[default]
    Cached,
    /// Past it, both.
    Direct,
    /// Through it, both.
    Buffered,
}

impl Access {
    pub(super) fn to_write(self) -> Way {
        match self {
            Access::Cached | Access::Direct => Way::Past,
            Access::Buffered => Way::Through,
        }
    }

    fn to_read(self) -> Way {
        match self {
            Access::Direct => Way::Past,
            Access::Cached | Access::Buffered => Way::Through,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Directory {
    root: OwnedFd,
    segments: OwnedFd,
    access: Access,
    unit: usize,
    /// Held for as long as the store is open.
    _lock: OwnedFd,
    handles: Handles,
    spares: Spares,
    around: Around,
    head: Mutex<Option<Seen>>,
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
        sync_parent(path)?;
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
        let segments = open_directory_below(&claim.root, "segments")?;
        let spares = Spares::new(open_directory_below(&claim.root, "spare")?)?;
        let unit = match access.to_write() {
            Way::Past => direct_unit(&claim.root)?,
            Way::Through => 512,
        };
        Ok(Directory {
            unit,
            spares,
            root: claim.root,
            segments,
            access,
            _lock: claim.lock,
            handles: Handles::new(),
            around: Around::new(memory_lies_idle),
            head: Mutex::new(None),
        })
    }

    /// The directory itself: for whoever confines this process to it.
    #[must_use]
    pub fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// What offsets and lengths of writes must be multiples of here, in bytes: 512 or 4096.
    pub fn alignment(&self) -> u32 {
        u32::try_from(self.unit).unwrap_or(4096)
    }

    /// Opens a segment's file; without `O_DIRECT` where the filesystem has none. `NotFound` where there is something
    /// else than a regular file.
    fn open_file(&self, directory: &OwnedFd, name: &str, way: Way, more: OFlags) -> io::Result<File> {
        let mode = Mode::RUSR | Mode::WUSR;
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | more;
        let past = match way {
            Way::Past => OFlags::DIRECT,
            Way::Through => OFlags::empty(),
        };
        let open = |flags| Ok(rustix::fs::openat(directory, name, flags, mode).map(File::from)?);
        let file = match self.handles.with_descriptors(|| open(flags | past)) {
            Err(error) if way == Way::Past && error.kind() == io::ErrorKind::InvalidInput => {
                open(flags - OFlags::EXCL)?
            }
            Err(error) if is_of_another_kind(&error) => return Err(io::ErrorKind::NotFound.into()),
            other => other?,
        };
        if !file.metadata()?.is_file() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(file)
    }

    fn handle(&self, name: SegmentName, way: Way) -> io::Result<std::sync::Arc<Handle>> {
        self.handles.get(name, way, || {
            self.open_file(&self.segments, &name.to_string(), way, OFlags::empty())
        })
    }

    /// A spare file under its new name, where one is left that is a file of its own of the right length.
    fn take_spare(&self, name: &str, bytes: u32) -> Option<File> {
        while let Some(spare) = self.spares.take() {
            let found = self
                .open_file(
                    &self.spares.directory,
                    &spare,
                    self.access.to_write(),
                    OFlags::empty(),
                )
                .and_then(|file| {
                    let of_its_own = file.metadata()?;
                    if of_its_own.nlink() != 1 || of_its_own.len() != u64::from(bytes) {
                        return Err(io::ErrorKind::InvalidData.into());
                    }
                    reserve(&file, bytes)?;
                    rustix::fs::renameat(&self.spares.directory, spare.as_str(), &self.segments, name)?;
                    Ok(file)
                });
            match found {
                Ok(file) => return Some(file),
                Err(_) => self.spares.throw_away(&spare),
            }
        }
        None
    }

    fn make_file(&self, name: &str, bytes: u32, header: &[u8]) -> io::Result<(File, u32)> {
        let (file, written) = match self.take_spare(name, bytes) {
            Some(file) => (file, ALL),
            None => {
                let file = self.open_file(
                    &self.segments,
                    name,
                    self.access.to_write(),
                    OFlags::CREATE | OFlags::EXCL,
                )?;
                (file, 0)
            }
        };
        if written == 0 {
            reserve(&file, bytes)?;
        }
        let mut memory = AlignedBuffer::new(4096);
        let page = memory
            .get_mut(..header.len())
            .ok_or(io::ErrorKind::InvalidInput)?;
        page.copy_from_slice(header);
        file.write_all_at(page, 0)?;
        file.sync_data()?;
        rustix::fs::fsync(&self.segments)?;
        Ok((file, written))
    }
}

impl Store for Directory {
    fn make(&self, name: SegmentName, bytes: u32, header: &[u8]) -> io::Result<()> {
        let file_name = name.to_string();
        match self.make_file(&file_name, bytes, header) {
            Ok((file, written)) => {
                self.handles.put(name, self.access.to_write(), file, written);
                Ok(())
            }
            Err(error) => {
                // What was begun must not take up room. Where it was somebody else's file, it is no segment either.
                rustix::fs::unlinkat(&self.segments, file_name, AtFlags::empty()).unwrap_or_default();
                Err(error)
            }
        }
    }

    fn append(&self, name: SegmentName, offset: u32, bytes: &[u8]) -> io::Result<()> {
        self.handle(name, self.access.to_write())?.append(offset, bytes)
    }

    fn sync(&self, name: SegmentName) -> io::Result<()> {
        self.handle(name, self.access.to_write())?.file.sync_data()
    }

    fn read(&self, name: SegmentName, offset: u32, length: usize, memory: &mut [u8]) -> io::Result<usize> {
        let handle = self.handle(name, self.access.to_read())?;
        if self.access.to_read() == Way::Through {
            let memory = memory.get_mut(..length).ok_or(io::ErrorKind::InvalidInput)?;
            self.around.read(&handle.file, memory, u64::from(offset))?;
            return Ok(0);
        }
        let skew = offset as usize % self.unit;
        let start = u64::from(offset) - skew as u64;
        let whole = (skew + length).next_multiple_of(self.unit);
        let memory = memory.get_mut(..whole).ok_or(io::ErrorKind::InvalidInput)?;
        read_to(&handle.file, memory, start, skew + length)?;
        Ok(skew)
    }

    fn delete(&self, name: SegmentName, spares: usize) -> io::Result<()> {
        self.handles.forget(name);
        let file_name = name.to_string();
        if self.spares.keep(&self.segments, &file_name, spares) {
            return Ok(());
        }
        match rustix::fs::unlinkat(&self.segments, file_name, AtFlags::empty()) {
            Err(rustix::io::Errno::NOENT) | Ok(()) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn shrink(&self, spares: usize) {
        self.spares.shrink(spares);
    }

    fn list(&self) -> io::Result<Vec<SegmentName>> {
        let names = names(self.segments.as_fd())?;
        Ok(names.iter().filter_map(|name| SegmentName::parse(name)).collect())
    }

    fn head(&self) -> io::Result<Option<Vec<u8>>> {
        let mut seen = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = head_file::look(&self.root)?;
        head_file::read(&self.root, &self.handles)
    }

    fn replace_head(&self, expected: Option<&[u8]>, new: &[u8]) -> io::Result<bool> {
        let mut seen = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        let _turn = head_file::turn(&self.root)?;
        if head_file::read(&self.root, &self.handles)?.as_deref() != expected {
            return Ok(false);
        }
        head_file::write(&self.root, &self.handles, new)?;
        *seen = head_file::look(&self.root)?;
        Ok(true)
    }

    fn head_is_ours(&self) -> io::Result<bool> {
        let seen = *self.head.lock().unwrap_or_else(PoisonError::into_inner);
        if head_file::look(&self.root)? == seen {
            return Ok(true);
        }
        // Perhaps this very process was replacing it in between: then nobody is while this is held.
        let seen = self.head.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(head_file::look(&self.root)? == *seen)
    }
}

fn open_directory(at: impl AsFd, path: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(at, path, flags, Mode::empty())?)
}

/// A directory of the store's own: no link to another.
pub(super) fn open_directory_below(root: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(root, name, flags, Mode::empty())?)
}

/// Brings a new directory's name to stable storage.
fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = open_directory(CWD, parent.unwrap_or(Path::new(".")))?;
    Ok(rustix::fs::fsync(parent)?)
}

/// Has all blocks of a file allocated, and its length right.
fn reserve(file: &File, bytes: u32) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, u64::from(bytes)) {
        // No reserving here: then at least the length is right.
        Err(rustix::io::Errno::OPNOTSUPP) => Ok(rustix::fs::ftruncate(file, u64::from(bytes))?),
        other => Ok(other?),
    }
}

/// Whether opening failed because a link, a directory, a socket or a pipe is in the file's place.
fn is_of_another_kind(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let kinds = [Errno::LOOP, Errno::ISDIR, Errno::NXIO, Errno::NODEV];
    kinds
        .iter()
        .any(|kind| error.raw_os_error() == Some(kind.raw_os_error()))
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
