//! Open files of segments, a bounded number of them.

use crate::geometry::SegmentName;
use cofferdam_linux::aligned::AlignedBuffer;
use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// How far ahead of a small write zeros are written where the file's blocks never were.
const AHEAD: u32 = 1 << 20;

/// A write of up to so many bytes is small: it comes of a flush, and the next one will come soon.
const SMALL: u32 = 64 << 10;

/// What [`Handle::written`] says of a file whose blocks have all been written, or may have been.
pub(super) const ALL: u32 = u32::MAX;

/// A segment's file.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) file: File,
    /// Up to here the file's blocks have been written before, or are somebody's who is about to write them: writing
    /// them again needs no journal.
    written: AtomicU32,
    /// Held while `written` is raised, and while zeros are written.
    raising: Mutex<()>,
}

impl Handle {
    /// Writes at an offset; a small write into blocks that never were written has zeros go ahead of it.
    ///
    /// INVARIANT: zeros are only written beyond `written`, by whoever holds `raising`, and nobody writes beyond
    /// `written` without raising it first: so they never fall on what somebody else writes at the same time.
    pub(super) fn append(&self, offset: u32, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let end = offset.checked_add(length).ok_or(io::ErrorKind::InvalidInput)?;
        if end > self.written.load(Ordering::Acquire) {
            self.raise(offset, end, length <= SMALL)?;
        }
        self.file.write_all_at(bytes, u64::from(offset))
    }

    fn raise(&self, offset: u32, end: u32, ahead: bool) -> io::Result<()> {
        let _raising = self.raising.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.written.load(Ordering::Acquire);
        if end <= written {
            return Ok(());
        }
        let mut upto = end;
        if ahead {
            let size = u32::try_from(self.file.metadata()?.len()).unwrap_or(u32::MAX);
            upto = end.saturating_add(AHEAD).min(size).max(end);
            let start = offset.max(written);
            let length = (upto - start) as usize;
            let zeros = AlignedBuffer::new(length);
            // The memory is rounded up to pages; the file must not grow.
            let zeros = zeros.get(..length).ok_or(io::ErrorKind::InvalidInput)?;
            self.file.write_all_at(zeros, u64::from(start))?;
        }
        self.written.store(upto, Ordering::Release);
        Ok(())
    }
}

/// By which way a file is read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Way {
    /// Past the host's page cache (`O_DIRECT`).
    Past,
    /// Through it.
    Through,
}

/// All that are open; a segment may be open both ways.
#[derive(Debug)]
pub(super) struct Handles {
    open: RwLock<HashMap<(SegmentName, Way), Arc<Handle>>>,
    most: usize,
}

impl Handles {
    /// Keeps at most half as many files open as the process may have.
    pub(super) fn new() -> Self {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
        let most = limit.current.unwrap_or(4096) / 2;
        Handles {
            open: RwLock::default(),
            most: usize::try_from(most).unwrap_or(2048).clamp(8, 16 << 10),
        }
    }

    /// The file of a segment, opened by `open` where it is not.
    pub(super) fn get(
        &self,
        name: SegmentName,
        way: Way,
        open: impl Fn() -> io::Result<File>,
    ) -> io::Result<Arc<Handle>> {
        let known = self.open.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = known.get(&(name, way)) {
            return Ok(Arc::clone(handle));
        }
        drop(known);
        let file = self.with_descriptors(open)?;
        Ok(self.put(name, way, file, ALL))
    }

    /// Opens something; where the process has no descriptor left, again without the idle files that are open here.
    pub(super) fn with_descriptors<T>(&self, open: impl Fn() -> io::Result<T>) -> io::Result<T> {
        open().or_else(|error| {
            let out = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE];
            if !out.iter().any(|e| error.raw_os_error() == Some(e.raw_os_error())) {
                return Err(error);
            }
            self.close_idle(usize::MAX);
            open()
        })
    }

    /// Keeps a file that was opened.
    pub(super) fn put(&self, name: SegmentName, way: Way, file: File, written: u32) -> Arc<Handle> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner).len();
        if open >= self.most {
            self.close_idle(open / 4);
        }
        let handle = Arc::new(Handle {
            file,
            written: AtomicU32::new(written),
            raising: Mutex::default(),
        });
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(open.entry((name, way)).or_insert(handle))
    }

    /// Forgets a segment's files.
    pub(super) fn forget(&self, name: SegmentName) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        for way in [Way::Past, Way::Through] {
            open.remove(&(name, way));
        }
    }

    /// Closes up to `count` files that nobody uses: first those that opening again tells everything of. For the
    /// others it forgets how far they were written, which costs a commit of the journal below and nothing else.
    fn close_idle(&self, count: usize) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        let mut left = count;
        for all in [true, false] {
            open.retain(|_, handle| {
                let known = handle.written.load(Ordering::Relaxed) == ALL;
                if left == 0 || Arc::strong_count(handle) > 1 || known != all {
                    return true;
                }
                left -= 1;
                false
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_ahead_of_one_write_never_fall_on_another() {
        const PIECE: u32 = 4096;
        for round in 0..200 {
            let file = tempfile::tempfile().unwrap();
            file.set_len((1 << 20) + 512).unwrap();
            let handle = Handle {
                file,
                written: AtomicU32::new(0),
                raising: Mutex::default(),
            };
            std::thread::scope(|scope| {
                for piece in 0..4 {
                    let handle = &handle;
                    scope.spawn(move || handle.append(piece * PIECE, &[0xaa; PIECE as usize]).unwrap());
                }
            });
            assert_eq!(handle.file.metadata().unwrap().len(), (1 << 20) + 512);
            let mut bytes = vec![0; 4 * PIECE as usize];
            handle.file.read_exact_at(&mut bytes, 0).unwrap();
            assert!(bytes.iter().all(|byte| *byte == 0xaa), "round {round}");
        }
    }
}
