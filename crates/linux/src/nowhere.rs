//! A mount namespace with nothing in it but `/proc` and an empty directory: for a process that other mounts depend on,
//! and for a mount that nobody shall find.
//!
//! The last process of a mount namespace unmounts what is in it, as part of its own end. One that serves the disk below
//! such a mount would wait for itself then, for ever. In here there is nothing to unmount.

use crate::mount::DetachedMount;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// The one empty directory in the namespace, for what shall be mounted there.
pub const PLACE: &str = "/volume";

/// The namespace; others can be sent there.
#[derive(Debug)]
pub struct Nowhere(OwnedFd);

impl Nowhere {
    /// Makes one and moves the calling thread there; for `/proc` and for other processes a process is where its first
    /// thread is.
    ///
    /// Descriptors stay what they are. For a moment the new namespace has copies of all mounts of the old one; make it
    /// before there is a mount that must not wait for this process.
    ///
    /// # Errors
    /// As unshare(2), mount(2) and pivot_root(2): `EPERM` without CAP_SYS_ADMIN.
    pub fn make() -> io::Result<Self> {
        // SAFETY: neither flag touches the file descriptor table, the only thing unshare(2) can take away from
        // other code of the process.
        unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS) }?;
        let alone = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        rustix::mount::mount_change("/", alone)?;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let namespace = rustix::fs::openat(CWD, "/proc/thread-self/ns/mnt", flags, Mode::empty())?;
        // Any directory that is there will do: what lies on it is looked at from within.
        let root = Path::new("/proc");
        DetachedMount::tmpfs(4096, 8, 0o555)?.attach_at(root)?;
        rustix::process::chdir(root)?;
        for name in ["proc", "volume"] {
            rustix::fs::mkdirat(CWD, name, Mode::from_raw_mode(0o555))?;
        }
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        rustix::mount::mount("proc", "proc", "proc", flags, None)?;
        // Old and new root in one place: the old one lies on top, and is taken away.
        rustix::process::pivot_root(".", ".")?;
        rustix::mount::unmount(".", UnmountFlags::DETACH)?;
        rustix::process::chdir("/")?;
        rustix::mount::mount_remount("/", flags | MountFlags::RDONLY, c"")?;
        Ok(Nowhere(namespace))
    }

    /// Moves the calling thread there, which must be the process's only one (setns(2)).
    ///
    /// # Errors
    /// As setns(2).
    pub fn enter(&self) -> io::Result<()> {
        let kind = Some(LinkNameSpaceType::Mount);
        Ok(rustix::thread::move_into_link_name_space(self.0.as_fd(), kind)?)
    }
}

impl AsFd for Nowhere {
    /// To be sent to another process.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for Nowhere {
    /// What another process sent.
    fn from(namespace: OwnedFd) -> Self {
        Nowhere(namespace)
    }
}
