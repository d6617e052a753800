//! A device that is there, and how to end it.

use super::{Abort, ExportError, Serving};
use cofferdam_linux::loop_device::LoopDevice;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often, and how long in between, a device is asked to let go that somebody just looks into (udev, blkid).
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(25);

/// A disk that the kernel sees as a block device.
///
/// Dropped without [`Self::detach`], it ends at once: what is still mounted on it gets `EIO`.
#[derive(Debug)]
pub struct Attached {
    // In the order of dropping: the other way round the loop device's last requests would wait for a server that may hang.
    serving: Serving,
    device: Option<LoopDevice>,
    path: PathBuf,
}

impl Attached {
    pub(super) fn new(serving: Serving, device: LoopDevice) -> Self {
        Attached {
            serving,
            path: device.path().to_owned(),
            device: Some(device),
        }
    }

    /// The block device: `/dev/loopN`.
    #[must_use]
    pub fn device(&self) -> &Path {
        &self.path
    }

    /// The right to end the disk at once, for a watchdog in another process: all that is in flight, and all that comes,
    /// fails with `EIO`, even where the disk itself hangs.
    ///
    /// # Errors
    /// As dup(2).
    pub fn abort_handle(&self) -> io::Result<Abort> {
        self.serving.abort_handle()
    }

    /// Hangs up (`POLLHUP`, poll(2)) when nothing serves the disk any more: after an abort, or where a thread failed.
    #[must_use]
    pub fn ended(&self) -> BorrowedFd<'_> {
        self.serving.ended()
    }

    /// Takes the device away and waits for what serves it. Does not flush: unmounting does. A device that is still in use
    /// stays, and all goes on; call it again then.
    ///
    /// # Errors
    /// `EBUSY` where it is still mounted or open; else the first error that ended a thread.
    pub fn detach(&mut self) -> Result<(), ExportError> {
        let mut attempt = 1;
        while let Some(device) = self.device.take() {
            if let Err((device, error)) = device.detach() {
                self.device = Some(device);
                if attempt == ATTEMPTS || error.raw_os_error() != Some(rustix::io::Errno::BUSY.raw_os_error())
                {
                    let remedy = "unmount what is mounted on it and close it, then try again";
                    return Err(ExportError::when("detaching the loop device", remedy)(error));
                }
                attempt += 1;
                std::thread::sleep(PAUSE);
            }
        }
        let remedy = "what was flushed is safe; serve the disk again";
        self.serving
            .join()
            .map_err(ExportError::when("serving the disk", remedy))
    }
}
