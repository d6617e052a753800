//! A sealed volume as a disk that an exporter can show.

use crate::{
    exporter::{AlignedBuffer, Disk, Errno, Reply},
    write_cache::WriteCache,
};
use cofferdam_disk::{Fault, Store, Volume, volume::Flushed};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A write of so many bytes is part of a stream. Without a write cache, whoever has taken one may take the next before it
/// sees to a sync, until so much has come together. Nobody waits for anything else in between: what is short is a commit.
const LONG: usize = 128 << 10;
const TOGETHER: usize = 4 << 20;

/// The volume, shared with whoever closes it in the end.
#[derive(Debug)]
pub(crate) struct Sealed<S> {
    volume: Arc<Volume<S>>,
    cache: WriteCache,
    /// Without a write cache: bytes, or discards, that were taken since the log was last seen to.
    taken: AtomicUsize,
}

impl<S: Store + 'static> Sealed<S> {
    pub(crate) fn new(volume: Arc<Volume<S>>, cache: WriteCache) -> Self {
        Sealed {
            volume,
            cache,
            taken: AtomicUsize::new(0),
        }
    }

    fn told(&self, reply: Reply) -> Flushed {
        let volume = Arc::clone(&self.volume);
        Box::new(move |outcome| reply.send(told(&volume, outcome)))
    }
}

impl<S: Store + 'static> Disk for Sealed<S> {
    fn size(&self) -> u64 {
        self.volume.size()
    }

    fn read<'b>(&self, offset: u64, length: usize, buffer: &'b mut AlignedBuffer) -> Result<&'b [u8], Errno> {
        match self.volume.read(offset, length, buffer) {
            Ok(bytes) => Ok(bytes),
            Err(fault) => Err(errno(&fault)),
        }
    }

    fn write(&self, offset: u64, data: &[u8], reply: Reply) {
        match self.cache {
            WriteCache::Back => reply.send(told(&self.volume, self.volume.write(offset, data))),
            WriteCache::Through => {
                self.volume.write_durably(offset, data, self.told(reply));
                self.taken.fetch_add(data.len(), Ordering::SeqCst);
            }
        }
    }

    fn between(&self, written: usize, more: &dyn Fn() -> bool) -> bool {
        let left = match (self.cache, self.taken.load(Ordering::SeqCst)) {
            (WriteCache::Back, _) if written > 0 => self.volume.settle().and_then(|()| self.volume.go_on()),
            (WriteCache::Back, _) | (WriteCache::Through, 0) => self.volume.go_on(),
            // Whoever has, or takes, the next request comes here as well.
            (WriteCache::Through, taken) if written >= LONG && taken < TOGETHER && more() => Ok(false),
            (WriteCache::Through, _) => {
                // Before the log is: what is taken in between must not be forgotten.
                self.taken.store(0, Ordering::SeqCst);
                self.volume.hasten()
            }
        };
        // Where it fails the volume is closed, and the next request hears of it.
        told(&self.volume, left).unwrap_or_default()
    }

    fn flush(&self, reply: Reply) {
        // The reply says it too.
        told(&self.volume, self.volume.flush_then(self.told(reply))).unwrap_or_default();
    }

    fn discard(&self, offset: u64, length: u64, reply: Reply) {
        match self.cache {
            WriteCache::Back => reply.send(told(&self.volume, self.volume.discard(offset, length))),
            WriteCache::Through => {
                self.volume.discard_durably(offset, length, self.told(reply));
                self.taken.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
}

/// The answer for the kernel; what it says too little of is kept for people.
fn told<S: Store, T>(volume: &Volume<S>, done: Result<T, Fault>) -> Result<T, Errno> {
    done.map_err(|fault| {
        if !matches!(fault, Fault::Full | Fault::Failed) {
            volume.report(&fault);
        }
        errno(&fault)
    })
}

/// What the kernel is told. It knows few errors of a disk; the fault itself goes to the log.
fn errno(fault: &Fault) -> Errno {
    match fault {
        Fault::Full => Errno::NOSPC,
        Fault::Invalid(_) => Errno::INVAL,
        _ => Errno::IO,
    }
}
