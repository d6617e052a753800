//! The kernel's side of the exporter: the FUSE connection, its channels, and the loop device on its file.
//!
//! The FUSE mount is in no mount namespace. Nothing but the loop device has the file open, and no path leads there.
//!
//! INVARIANT: a request that is being answered is bound to its channel. While the channels are kept open here, the end of
//! a serving process fails no request: a successor has the kernel ask again ([`Channel::resend`]).

use super::answer::NAME;
use super::{Abort, AlignedBuffer, BLOCK, ExportError};
use cofferdam_linux::aligned::ALIGNMENT;
use cofferdam_linux::fuse::{
    Body, Channel, InitFlags, Limits, Mount, Operation, Received, Request, TRANSFER_MAX,
};
use cofferdam_linux::loop_device::LoopDevice;
use rustix::fs::OFlags;
use std::io;
use std::os::fd::AsFd;

/// How far the kernel reads ahead of sequential reads, in bytes.
pub const READ_AHEAD: u32 = 4 << 20;

/// What is taken of what the kernel can do.
const WANTED: InitFlags = InitFlags::ASYNC_READ
    .with(InitFlags::BIG_WRITES)
    .with(InitFlags::ASYNC_DIRECT_IO)
    .with(InitFlags::MAX_PAGES)
    .with(InitFlags::HAS_RESEND)
    .with(InitFlags::REQUEST_TIMEOUT);

/// Requests that the kernel hands out at the same time; what a loop device has by itself.
const IN_FLIGHT: u16 = 128;

/// Seconds after which the kernel itself makes an end of a request that nobody answers: when everybody is gone or hangs who
/// could. Long enough for two successors of a server that hangs.
const ANSWER_WITHIN: u16 = 120;

/// A FUSE connection that nobody serves yet, or that somebody else serves.
#[derive(Debug)]
pub struct Connection {
    mount: Mount,
    channels: Vec<Channel>,
    abort: Abort,
    resends: bool,
}

impl Connection {
    /// Makes one with a channel for each thread that will serve.
    ///
    /// # Errors
    /// [`ExportError`]; nothing is left behind.
    pub fn new(threads: usize) -> Result<Self, ExportError> {
        let channel = Channel::open().map_err(ExportError::when(
            "opening /dev/fuse",
            "load the module: modprobe fuse",
        ))?;
        let mount = Mount::new(&channel, "cofferdam").map_err(ExportError::when(
            "mounting the disk's file",
            "run as root, with CAP_SYS_ADMIN",
        ))?;
        let abort = mount.abort_handle().map_err(ExportError::when(
            "taking the right to end the connection",
            "run as root, on a kernel with fusectl",
        ))?;
        let flags = greet(&channel).map_err(ExportError::when(
            "agreeing with the kernel on FUSE",
            "use Linux 5.12 or later",
        ))?;
        let mut channels = Vec::new();
        for _ in 1..threads {
            let channel = channel.another(true).map_err(ExportError::when(
                "opening one more /dev/fuse",
                "raise the limit on open files",
            ))?;
            channels.push(channel);
        }
        channels.push(channel);
        Ok(Connection {
            mount,
            channels,
            abort,
            resends: flags.contains(InitFlags::HAS_RESEND),
        })
    }

    /// The channels, to be lent to whoever serves.
    #[must_use]
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// The right to end the connection.
    #[must_use]
    pub fn abort_handle(&self) -> &Abort {
        &self.abort
    }

    /// Whether the kernel can ask again what a server left unanswered (Linux 6.9 and later).
    #[must_use]
    pub fn can_ask_again(&self) -> bool {
        self.resends
    }

    /// Lays a loop device on the file. Somebody must be serving.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn export(&self) -> Result<LoopDevice, ExportError> {
        export(&self.mount)
    }

    /// Has the kernel see that the file, and so the device on it, has become larger, to so many bytes.
    ///
    /// # Errors
    /// [`ExportError`].
    pub fn take_size(&self, device: &LoopDevice, bytes: u64) -> Result<(), ExportError> {
        let size = self.mount.look_at_size(NAME);
        size.and_then(|size| match size == bytes {
            true => device.take_size(),
            false => Err(io::ErrorKind::InvalidData.into()),
        })
        .map_err(ExportError::when(
            "making the loop device larger",
            "close the volume and open it again",
        ))
    }

    pub(super) fn into_parts(self) -> (Mount, Vec<Channel>, Abort) {
        (self.mount, self.channels, self.abort)
    }
}

/// Opens the file and lays a loop device on it.
pub(super) fn export(mount: &Mount) -> Result<LoopDevice, ExportError> {
    let file = mount
        .open(NAME, OFlags::RDWR | OFlags::DIRECT)
        .map_err(ExportError::when("opening the disk's file", "start again"))?;
    let block = u32::try_from(BLOCK).unwrap_or(u32::MAX);
    let device = LoopDevice::attach(file.as_fd(), block).map_err(ExportError::when(
        "attaching a loop device",
        "load the module (modprobe loop), and detach devices that nobody uses (losetup -D)",
    ))?;
    device.set_read_ahead(READ_AHEAD).map_err(ExportError::when(
        "setting the loop device's read-ahead",
        "run as root",
    ))?;
    Ok(device)
}

/// Answers the kernel's first request; says what was agreed on.
fn greet(channel: &Channel) -> io::Result<InitFlags> {
    let mut buffer = AlignedBuffer::new(ALIGNMENT + TRANSFER_MAX);
    let Received::Request(length) = channel.receive(&mut buffer)? else {
        return Err(io::ErrorKind::ConnectionAborted.into());
    };
    let bytes = buffer.get(..length).unwrap_or_default();
    let request = Request::parse(bytes).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    match request.operation {
        Operation::Init { major: 7, flags, .. } if flags.contains(InitFlags::MAX_PAGES) => {
            let limits = Limits {
                background: IN_FLIGHT,
                answer_within: ANSWER_WITHIN,
            };
            let agreed = flags.both(WANTED);
            let body = Body::init(agreed, limits);
            channel.answer(request.unique, body.as_bytes())?;
            Ok(agreed)
        }
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}
