//! A FUSE mount that is in no mount namespace, and the right to end its connection.

use super::Channel;
use rustix::fs::{AtFlags, Mode, OFlags, StatxFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// A mount of a FUSE connection. Nobody finds it: it is gone with this value, and its filesystem with the last
/// file that was opened through it.
#[derive(Debug)]
pub struct Mount(OwnedFd);

/// Ends one connection (`/sys/fs/fuse/connections/N/abort`): every request that waits or comes later fails.
/// Works when the server hangs, and from any process that holds it.
#[derive(Debug)]
pub struct Abort(OwnedFd);

impl Mount {
    /// Makes the channel's connection. Its first request, INIT, waits in the channel then, and every file operation
    /// waits until it is answered. `kind` is shown as the filesystem's type, after `fuse.`.
    ///
    /// # Errors
    /// As fsopen(2), fsconfig(2), fsmount(2): `EPERM` without CAP_SYS_ADMIN, `EINVAL` where the channel has a connection.
    pub fn new(channel: &Channel, kind: &str) -> io::Result<Self> {
        let context = rustix::mount::fsopen(c"fuse", FsOpenFlags::FSOPEN_CLOEXEC)?;
        let device = channel.as_fd().as_raw_fd().to_string();
        for (key, value) in [
            (c"source", kind),
            (c"subtype", kind),
            (c"fd", device.as_str()),
            (c"rootmode", "40000"),
            (c"user_id", "0"),
            (c"group_id", "0"),
        ] {
            rustix::mount::fsconfig_set_string(&context, key, value)?;
        }
        rustix::mount::fsconfig_create(&context)?;
        Ok(Mount(detached(context.as_fd())?))
    }

    /// Opens the file `name` in the root directory. The channel's requests must be answered meanwhile, by another thread.
    ///
    /// # Errors
    /// As open(2), and as the connection's server answers.
    pub fn open(&self, name: &CStr, flags: OFlags) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(rustix::fs::openat(&self.0, name, flags, Mode::empty())?)
    }

    /// Has the kernel ask for a file's size anew, and believe that. The channel's requests must be answered meanwhile.
    ///
    /// # Errors
    /// As statx(2), and as the connection's server answers.
    pub fn look_at_size(&self, name: &CStr) -> io::Result<u64> {
        let file = self.open(name, OFlags::PATH)?;
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_FORCE_SYNC;
        Ok(rustix::fs::statx(file, c"", flags, StatxFlags::SIZE)?.stx_size)
    }

    /// The right to end the connection. Take it early: asks the server nothing.
    ///
    /// # Errors
    /// As statx(2), fsmount(2) and open(2): `EPERM` without CAP_SYS_ADMIN.
    pub fn abort_handle(&self) -> io::Result<Abort> {
        // What fusectl names a connection by is its filesystem's device number, which is known without asking the server.
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        let facts = rustix::fs::statx(&self.0, c"", flags, StatxFlags::empty())?;
        let context = rustix::mount::fsopen(c"fusectl", FsOpenFlags::FSOPEN_CLOEXEC)?;
        rustix::mount::fsconfig_create(&context)?;
        let control = detached(context.as_fd())?;
        let name = format!("{}/abort", facts.stx_dev_minor);
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        Ok(Abort(rustix::fs::openat(control, name, flags, Mode::empty())?))
    }
}

impl Abort {
    /// Ends the connection. Doing it twice does nothing more.
    ///
    /// # Errors
    /// As write(2).
    pub fn abort(&self) -> io::Result<()> {
        rustix::io::write(&self.0, b"1")?;
        Ok(())
    }

    /// The same right once more.
    ///
    /// # Errors
    /// As dup(2).
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Abort(self.0.try_clone()?))
    }
}

impl AsFd for Abort {
    /// To be sent to another process.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Abort {
    /// Takes the right that was received from another process.
    fn from(handle: OwnedFd) -> Self {
        Abort(handle)
    }
}

fn detached(context: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    Ok(rustix::mount::fsmount(
        context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        attributes,
    )?)
}
