//! A sealed volume as a disk that an exporter can show.

use crate::exporter::{AlignedBuffer, Disk, Errno};
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
        self.0.write(offset, data).map_err(|fault| errno(&fault))
    }

    fn flush(&self) -> Result<(), Errno> {
        self.0.flush().map_err(|fault| errno(&fault))
    }

    fn discard(&self, offset: u64, length: u64) -> Result<(), Errno> {
        self.0.discard(offset, length).map_err(|fault| errno(&fault))
    }
}

/// What the kernel is told. It knows few errors of a disk; the fault itself goes to the log.
fn errno(fault: &Fault) -> Errno {
    match fault {
        Fault::Full => Errno::NOSPC,
        Fault::Invalid(_) => Errno::INVAL,
        _ => Errno::IO,
    }
}
