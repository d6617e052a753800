//! The exporter that works on every kernel: a FUSE filesystem of one file, and a loop device with direct I/O on it.
//!
//! Here both ends are in one process, as for a short while at creation. Where they are in two, one has the
//! [`Connection`] and the other [`super::Serving`].

use super::attached::Attached;
use super::{BLOCK, Connection, Disk, ExportError, Exporter, Place, Serving};
use std::io;
use std::sync::Arc;

/// The exporter. Its settings are what was measured to be best.
#[derive(Debug, Clone, Copy)]
pub struct FuseLoop {
    /// How many threads serve.
    pub threads: usize,
}

impl Default for FuseLoop {
    fn default() -> Self {
        FuseLoop { threads: 4 }
    }
}

impl Exporter for FuseLoop {
    fn attach(&self, disk: Arc<dyn Disk>) -> Result<Attached, ExportError> {
        let size = disk.size();
        if size == 0 || !size.is_multiple_of(BLOCK) {
            let remedy = "choose a size of whole blocks of 4096 bytes";
            return Err(ExportError::when("showing the disk", remedy)(io::Error::from(
                io::ErrorKind::InvalidInput,
            )));
        }
        let connection = Connection::new(self.threads)?;
        let (mount, channels, abort) = connection.into_parts();
        let places = channels
            .into_iter()
            .map(Place::new)
            .collect::<io::Result<Vec<_>>>();
        let serving = places.and_then(|places| Serving::start(places, abort, &disk));
        let serving = serving.map_err(ExportError::when(
            "starting the disk's threads",
            "raise the limits on threads, open files and locked memory",
        ))?;
        let device = super::connection::export(&mount)?;
        Ok(Attached::new(serving, device))
    }
}
