//! `/dev/fuse`: requests in, answers out (fuse(4)).

use super::body::header;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::io::{Errno, IoSlice};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// `FUSE_DEV_IOC_CLONE`: `_IOR(229, 0, uint32_t)`.
pub(crate) const CLONE: u32 = 0x8004_e500;

/// `FUSE_NOTIFY_RESEND`.
const NOTIFY_RESEND: i32 = 7;

/// One open `/dev/fuse`. An answer goes out through the channel that its request came in through.
///
/// The connection ends when the last channel of it is closed: whoever waits for an answer gets `ENOTCONN` or `ECONNABORTED`.
#[derive(Debug)]
pub struct Channel(OwnedFd);

/// What [`Channel::receive`] brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// A request lies in the first so many bytes of the buffer.
    Request(usize),
    /// Nothing is there now; only of channels that do not wait.
    Nothing,
    /// The connection has ended: unmounted or aborted.
    End,
}

impl Channel {
    /// A new channel, of no connection yet: [`super::Mount::new`] makes one.
    ///
    /// # Errors
    /// As open(2): `ENOENT` and `ENODEV` where the kernel has no FUSE, `EACCES` without the right to use it.
    pub fn open() -> io::Result<Self> {
        open_device(OFlags::empty())
    }

    /// One more channel of the same connection (`FUSE_DEV_IOC_CLONE`): its requests are its own.
    /// `wait` says whether [`Self::receive`] waits for a request.
    ///
    /// # Errors
    /// As open(2); `EINVAL` where this channel has no connection.
    pub fn another(&self, wait: bool) -> io::Result<Self> {
        let new = open_device(if wait { OFlags::empty() } else { OFlags::NONBLOCK })?;
        let source = self.0.as_raw_fd().cast_unsigned();
        // SAFETY: the ioctl reads one u32, which outlives the call; both descriptors are open.
        let done = unsafe { libc::ioctl(new.0.as_raw_fd(), CLONE as libc::Ioctl, &raw const source) };
        if done == 0 {
            Ok(new)
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Takes the next request. `buffer` must have room for the largest: [`super::WRITE_HEADER_LENGTH`] and
    /// [`super::TRANSFER_MAX`].
    ///
    /// # Errors
    /// As read(2), but for the end of the connection, which is no error, and for calls that merely must be repeated.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        loop {
            match rustix::io::read(&self.0, &mut *buffer) {
                Ok(0) | Err(Errno::NODEV | Errno::CONNABORTED) => return Ok(Received::End),
                Ok(length) => return Ok(Received::Request(length)),
                Err(Errno::AGAIN) => return Ok(Received::Nothing),
                // NOENT: the request was interrupted while it was handed over. There may be another.
                Err(Errno::INTR | Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Whether a request waits to be received: by whoever is first.
    #[must_use]
    pub fn has_more(&self) -> bool {
        let mut watched = [PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN)];
        let ready = rustix::event::poll(&mut watched, Some(&Timespec::default()));
        ready.is_ok_and(|ready| ready > 0) && watched.iter().all(|it| it.revents() == PollFlags::IN)
    }

    /// Answers request `unique` with `body`.
    ///
    /// # Errors
    /// As writev(2). An answer that nobody waits for any more is no error.
    pub fn answer(&self, unique: u64, body: &[u8]) -> io::Result<()> {
        self.send(&header(unique, 0, body.len()), body)
    }

    /// Answers request `unique` with an error.
    ///
    /// # Errors
    /// As [`Self::answer`].
    pub fn refuse(&self, unique: u64, error: Errno) -> io::Result<()> {
        self.send(&header(unique, error.raw_os_error(), 0), &[])
    }

    /// Has the kernel ask again whatever was received and not answered (`FUSE_NOTIFY_RESEND`, Linux 6.9).
    ///
    /// # Errors
    /// As write(2); `EINVAL` where the kernel cannot.
    pub fn resend(&self) -> io::Result<()> {
        // A notification is an answer to no request, with its code in the place of the error.
        self.send(&header(0, -NOTIFY_RESEND, 0), &[])
    }

    fn send(&self, header: &[u8], body: &[u8]) -> io::Result<()> {
        let length = header.len().saturating_add(body.len());
        match rustix::io::writev(&self.0, &[IoSlice::new(header), IoSlice::new(body)]) {
            Ok(sent) if sent == length => Ok(()),
            Ok(_) => Err(io::ErrorKind::WriteZero.into()),
            // NOENT: the request was interrupted or aborted. NODEV: so was the connection, which `receive` reports.
            Err(Errno::NOENT | Errno::NODEV | Errno::CONNABORTED) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Channel {
    /// Takes a channel that was received from another process, or kept over a restart.
    fn from(device: OwnedFd) -> Self {
        Channel(device)
    }
}

fn open_device(flags: OFlags) -> io::Result<Channel> {
    let flags = flags | OFlags::RDWR | OFlags::CLOEXEC;
    Ok(Channel(rustix::fs::open("/dev/fuse", flags, Mode::empty())?))
}
