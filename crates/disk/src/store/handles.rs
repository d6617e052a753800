//! Open files of segments, a bounded number of them.

use crate::geometry::SegmentName;
use std::{
    collections::HashMap,
    fs::File,
    io,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// A segment's file.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) file: File,
    /// Up to here the file's blocks have been written before, so that writing them again needs no journal.
    pub(super) written: AtomicU32,
    /// Held by whoever moves that on.
    pub(super) growing: Mutex<()>,
}

/// All that are open.
#[derive(Debug)]
pub(super) struct Handles {
    open: RwLock<HashMap<SegmentName, Arc<Handle>>>,
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
        open: impl Fn() -> io::Result<File>,
    ) -> io::Result<Arc<Handle>> {
        let known = self.open.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(handle) = known.get(&name) {
            return Ok(Arc::clone(handle));
        }
        drop(known);
        let file = open().or_else(|error| {
            let out = [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE];
            if !out.iter().any(|e| error.raw_os_error() == Some(e.raw_os_error())) {
                return Err(error);
            }
            self.close_some(usize::MAX);
            open()
        })?;
        Ok(self.put(name, file, u32::MAX))
    }

    /// Keeps a file that was opened.
    pub(super) fn put(&self, name: SegmentName, file: File, written: u32) -> Arc<Handle> {
        self.close_some(self.most);
        let handle = Arc::new(Handle {
            file,
            written: AtomicU32::new(written),
            growing: Mutex::new(()),
        });
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(open.entry(name).or_insert(handle))
    }

    /// Forgets a segment's file.
    pub(super) fn forget(&self, name: SegmentName) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.remove(&name);
    }

    /// Closes a quarter where there are at least `most`; all but those in use with `usize::MAX`.
    fn close_some(&self, most: usize) {
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        if most == usize::MAX {
            open.retain(|_, handle| keeps(handle));
            return;
        }
        if open.len() < most {
            return;
        }
        let mut left = open.len() / 4;
        open.retain(|_, handle| {
            if left == 0 || keeps(handle) {
                return true;
            }
            left -= 1;
            false
        });
    }
}

/// One that is in use, or that knows something which opening it again would not tell.
fn keeps(handle: &Arc<Handle>) -> bool {
    Arc::strong_count(handle) > 1 || handle.written.load(Ordering::Relaxed) != u32::MAX
}
