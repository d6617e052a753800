//! A filesystem on a block device as a detached mount.

use super::DetachedMount;
use rustix::fs::{Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

impl DetachedMount {
    /// Mounts the filesystem of this kind that `device` holds, without set-uid and devices, and attaches it nowhere.
    /// `flags` are the filesystem's own options that have no value.
    ///
    /// # Errors
    /// As fsopen(2), fsconfig(2) and fsmount(2): `EINVAL` where the device holds no such filesystem.
    pub fn of_device(kind: &CStr, device: &Path, flags: &[&CStr]) -> io::Result<Self> {
        let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        rustix::mount::fsconfig_set_string(&context, c"source", device.as_os_str().as_bytes())?;
        for flag in flags {
            rustix::mount::fsconfig_set_flag(&context, *flag)?;
        }
        rustix::mount::fsconfig_create(&context)?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        let mount = rustix::mount::fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
        Ok(DetachedMount(mount))
    }
}

/// `EXT4_IOC_SHUTDOWN` (also `XFS_IOC_GOINGDOWN`): `_IOR('X', 125, __u32)`.
const SHUT_DOWN: libc::Ioctl = 0x8004_587d_u32 as libc::Ioctl;

/// What is committed to the journal is written out first (`EXT4_GOING_FLAGS_LOGFLUSH`).
const FLUSH_JOURNAL: u32 = 1;

/// Ends the filesystem that `root` is in, whoever has files of it open: from now on reading and writing it fails with `EIO`,
/// through every mount and in every mount namespace. Pages that are mapped stay readable to who has them mapped.
///
/// # Errors
/// As ioctl(2): `ENOTTY` for filesystems that cannot, `EPERM` without CAP_SYS_ADMIN.
pub fn shut_down(root: BorrowedFd<'_>) -> io::Result<()> {
    let directory = opened(root)?;
    let how = FLUSH_JOURNAL;
    // SAFETY: the ioctl reads one u32 through the pointer, which is valid for the call.
    done(unsafe { libc::ioctl(directory.as_raw_fd(), SHUT_DOWN, &raw const how) })
}

/// `EXT4_IOC_RESIZE_FS`: `_IOW('f', 16, __u64)`.
const RESIZE: libc::Ioctl = 0x4008_6610;

/// Makes the ext4 that `root` is in larger, to so many of its blocks, while it is in use. Its device must have them.
///
/// # Errors
/// As ioctl(2): `EPERM` without CAP_SYS_RESOURCE, `ENOTTY` for other filesystems, `EINVAL` for a smaller size.
pub fn resize_ext4(root: BorrowedFd<'_>, blocks: u64) -> io::Result<()> {
    let directory = opened(root)?;
    // SAFETY: the ioctl reads one u64 through the pointer, which is valid for the call.
    done(unsafe { libc::ioctl(directory.as_raw_fd(), RESIZE, &raw const blocks) })
}

/// A directory that may be known by its path alone, opened: ioctls need that.
fn opened(root: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(root, c".", flags, Mode::empty())?)
}

fn done(result: libc::c_int) -> io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
