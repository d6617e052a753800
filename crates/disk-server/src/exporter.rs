//! A disk in this process → a block device of the kernel's.
//!
//! | room | subject |
//! |---|---|
//! | [`Disk`] | what is shown: blocks of 4096 bytes |
//! | [`Exporter`] | how it is shown; [`FuseLoop`] is the one there is: a FUSE file that a loop device lies on |
//! | [`Attached`] | a device that is there, and how to end it |
//! | [`Connection`] | the kernel's side: what outlives a process that serves |
//! | [`Serving`] | the serving side: a thread for each channel |
//! | `answer` | one request of the kernel's → one call of the disk |
//! | `worker` | a thread that receives and answers |
//! | [`Reply`] | the right to answer later |
//!
//! INVARIANT: nothing here opens a file once the device is there, or asks for memory but for the few bytes of a request that
//! is answered later.

mod answer;
mod attached;
mod connection;
mod fuse_loop;
mod reply;
mod serving;
mod worker;

pub use attached::Attached;
pub use cofferdam_linux::aligned::AlignedBuffer;
pub use cofferdam_linux::fuse::Abort;
pub use connection::{Connection, READ_AHEAD};
pub use fuse_loop::FuseLoop;
pub use reply::Reply;
pub use rustix::io::Errno;
pub use serving::{Place, Serving};

use std::io;
use std::sync::Arc;

/// Bytes of a block: every offset and length is a multiple of it.
pub const BLOCK: u64 = 4096;

/// The most bytes of one read or write.
pub const TRANSFER_MAX: usize = cofferdam_linux::fuse::TRANSFER_MAX;

/// The room that [`Disk::read`] gets: a cell of 4112 bytes for every block of the longest read, and two blocks
/// more for what direct I/O reads around them.
pub const READ_ROOM: usize = TRANSFER_MAX / 4096 * 4112 + 8192;

/// What an exporter shows to the kernel. It is called from several threads at once. Offsets and lengths are multiples of
/// [`BLOCK`], within the size, never zero, and reads and writes at most [`TRANSFER_MAX`]: the exporter checks.
///
/// An error reaches whoever reads or writes; block devices know `EIO`, `ENOSPC` and few others.
pub trait Disk: Send + Sync + 'static {
    /// Bytes: a multiple of [`BLOCK`], not zero, never less than before.
    fn size(&self) -> u64;

    /// The bytes of `[offset, offset + length)`. They may lie anywhere in `buffer`, whose capacity is at least
    /// `length / 4096 * 4112 + 8192` and which holds anything before.
    ///
    /// # Errors
    /// `EIO` where the bytes are not there or do not verify.
    fn read<'b>(&self, offset: u64, length: usize, buffer: &'b mut AlignedBuffer) -> Result<&'b [u8], Errno>;

    /// Takes new bytes, and replies: `ENOSPC` where the store is full, `EIO` where that fails otherwise. `data` begins at a
    /// page boundary. With a write cache the bytes need not be on the store before [`Self::flush`]; without one, the reply is
    /// given when they are, by any thread.
    fn write(&self, offset: u64, data: &[u8], reply: Reply);

    /// Called by each thread when it has done a request, which was to write so many bytes, or none. `more` is whether this
    /// will be called again soon: another thread has a request, or one waits to be taken.
    /// Answers whether it is to be called again before anything else.
    fn between(&self, _written: usize, _more: &dyn Fn() -> bool) -> bool {
        false
    }

    /// Brings all writes and discards that had returned before to the store, and then replies: `EIO` where that fails, to
    /// every later call too. It need not wait for what other threads are doing: any of them may reply.
    fn flush(&self, reply: Reply);

    /// Forgets a range, which reads as zeros from then on, and replies as [`Self::write`] does. `length` may be all of the
    /// disk.
    fn discard(&self, offset: u64, length: u64, reply: Reply);
}

/// A way to show a disk to the kernel.
pub trait Exporter {
    /// Makes a block device of `disk`. It is there, and answers, when this returns.
    ///
    /// # Errors
    /// [`ExportError`]; nothing is left behind.
    fn attach(&self, disk: Arc<dyn Disk>) -> Result<Attached, ExportError>;
}

/// A device that could not be made or detached.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {source}; {remedy}")]
pub struct ExportError {
    doing: &'static str,
    remedy: &'static str,
    source: io::Error,
}

impl ExportError {
    /// For `map_err`: what was being done, and what to do next where it fails.
    fn when<E: Into<io::Error>>(doing: &'static str, remedy: &'static str) -> impl FnOnce(E) -> Self {
        move |source| ExportError {
            doing,
            remedy,
            source: source.into(),
        }
    }

    /// The system's error.
    #[must_use]
    pub fn cause(&self) -> &io::Error {
        &self.source
    }
}
