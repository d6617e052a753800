//! A sealed volume as a disk that an exporter can show.

use crate::exporter::{AlignedBuffer, Disk, Errno, Reply};
use cofferdam_disk::{Fault, Store, Volume};
use std::sync::Arc;

/// The volume, shared with whoever closes it in the end.
#[derive(Debug)]
pub(crate) struct Sealed<S>(pub(crate) Arc<Volume<S>>);

impl<S: Store + 'static> Disk for Sealed<S> {
    fn size(&self) -> u64 {
        self.0.size()
    }

    fn read<'b>(&self, offset: u64, length: usize, buffer: &'b mut AlignedBuffer) -> Result<&'b [u8], Errno> {
        match self.0.read(offset, length, buffer) {
            Ok(bytes) => Ok(bytes),
            Err(fault) => Err(errno(&fault)),
        }
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<(), Errno> {
        told(&self.0, self.0.write(offset, data))
    }

    fn between(&self) {
        // Where it fails the volume is closed, and the next request hears of it.
        told(&self.0, self.0.settle()).unwrap_or_default();
    }

    fn flush(&self, reply: Reply) {
        let volume = Arc::clone(&self.0);
        let then = move |outcome| reply.send(told(&volume, outcome));
        // The reply says it too.
        told(&self.0, self.0.flush_then(Box::new(then))).unwrap_or_default();
    }

    fn discard(&self, offset: u64, length: u64) -> Result<(), Errno> {
        told(&self.0, self.0.discard(offset, length))
    }
}

/// The answer for the kernel; what it says too little of is kept for people.
fn told<S: Store>(volume: &Volume<S>, done: Result<(), Fault>) -> Result<(), Errno> {
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
