//! The exporter that works on every kernel: a FUSE filesystem of one file, and a loop device with direct I/O on it.
//!
//! The FUSE mount is in no mount namespace. Nothing but the loop device has the file open, and no path leads there.

use super::answer::NAME;
use super::attached::{Attached, Serving};
use super::worker::{Memory, Worker};
use super::{AlignedBuffer, BLOCK, Disk, ExportError, Exporter};
use cofferdam_linux::aligned::ALIGNMENT;
use cofferdam_linux::fuse::{
    Abort, Body, Channel, InitFlags, Limits, Mount, Operation, Received, Request, TRANSFER_MAX,
};
use cofferdam_linux::loop_device::LoopDevice;
use rustix::fs::OFlags;
use rustix::pipe::PipeFlags;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

/// How far the kernel reads ahead of sequential reads, in bytes.
pub const READ_AHEAD: u32 = 4 << 20;

/// What is taken of what the kernel can do.
const WANTED: InitFlags = InitFlags::ASYNC_READ
    .with(InitFlags::BIG_WRITES)
    .with(InitFlags::ASYNC_DIRECT_IO)
    .with(InitFlags::MAX_PAGES)
    .with(InitFlags::HAS_RESEND);

/// Requests that the kernel hands out at the same time; what a loop device has by itself.
const IN_FLIGHT: u16 = 128;

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
        greet(&channel).map_err(ExportError::when(
            "agreeing with the kernel on FUSE",
            "use Linux 5.12 or later",
        ))?;
        let serving = self.serve(channel, &abort, &disk).map_err(ExportError::when(
            "starting the disk's threads",
            "raise the limits on threads and open files",
        ))?;
        let device = export(&mount)?;
        Ok(Attached::new(serving, device))
    }
}

impl FuseLoop {
    /// Starts the threads; the last has `channel` itself.
    fn serve(&self, channel: Channel, abort: &Abort, disk: &Arc<dyn Disk>) -> io::Result<Serving> {
        let (ended, alive) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        let alive = Arc::new(alive);
        let mut channels = Vec::new();
        for _ in 1..self.threads {
            channels.push(channel.another(true)?);
        }
        channels.push(channel);
        let mut serving = Serving::new(abort.try_clone()?, ended);
        for channel in channels {
            serving.start(Worker {
                channel,
                disk: Arc::clone(disk),
                abort: abort.try_clone()?,
                alive: Arc::clone(&alive),
                memory: Memory::new(),
            })?;
        }
        Ok(serving)
    }
}

/// Opens the file and lays a loop device on it.
fn export(mount: &Mount) -> Result<LoopDevice, ExportError> {
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

/// Answers the kernel's first request.
fn greet(channel: &Channel) -> io::Result<()> {
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
            };
            let body = Body::init(flags.both(WANTED), limits);
            channel.answer(request.unique, body.as_bytes())
        }
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}
