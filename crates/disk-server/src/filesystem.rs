//! ext4 on the device: made once, on a disk that was just created; mounted; unmounted.

use crate::{notice::notice, problem::doing, write_cache::WriteCache};
use cofferdam_linux::{
    mount::{DetachedMount, attach_over},
    nowhere::{self, Nowhere},
};
use cofferdam_model::{Problem, Result};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::UnmountFlags;
use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    path::Path,
    process::Command,
    thread,
    time::Duration,
};

/// How often, and how long in between, unmounting is tried while somebody still uses the mount.
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(50);

/// Makes an ext4. Only for a device that is new: `mkfs` asks nobody.
///
/// Its tables are zeroed at once: zeros cost a sealed disk nothing, and zeroing them later would be written.
///
/// # Errors
/// What mkfs.ext4 said.
pub(crate) fn make(device: &Path) -> Result<()> {
    let made = Command::new("/sbin/mkfs.ext4")
        .args(["-q", "-F", "-b", "4096", "-m", "0"])
        .args(["-E", "lazy_itable_init=0,lazy_journal_init=0"])
        .arg(device)
        .output()
        .map_err(|error| {
            doing("running /sbin/mkfs.ext4")(error).remedy("install e2fsprogs, or use --no-filesystem")
        })?;
    if made.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&made.stderr);
    Err(Problem::unavailable(format!("mkfs.ext4 failed: {}", said.trim())))
}

/// An ext4 that is mounted.
#[derive(Debug)]
pub(crate) struct Mounted<'a> {
    at: &'a Path,
    /// Its root directory, open. A mount namespace that ends with this process (in a container, in a unit with private
    /// mounts) is taken apart before the process's descriptors are closed, the connection's among them, and unmounting
    /// would wait for those for ever. With this the mount goes with the descriptors.
    root: Option<OwnedFd>,
}

impl<'a> Mounted<'a> {
    /// Mounts it in a mount namespace that the calling thread makes for it and moves to: no other has it, and nothing else
    /// is in it. Blocks that files no longer need are given back at once.
    ///
    /// # Errors
    /// As mount(2) and unshare(2).
    pub(crate) fn hidden(device: &Path, cache: WriteCache) -> Result<Mounted<'static>> {
        let mount = of_device(device, cache)?;
        Nowhere::make().map_err(doing("making a mount namespace for the disk"))?;
        place(mount)
    }

    /// Mounts it once more where [`Self::hidden`] had, after it was unmounted there. No path leads to the device from there,
    /// so it is named by its descriptor.
    ///
    /// # Errors
    /// As mount(2).
    pub(crate) fn hidden_again(device: BorrowedFd<'_>, cache: WriteCache) -> Result<Mounted<'static>> {
        let path = format!("/proc/self/fd/{}", device.as_raw_fd());
        place(of_device(Path::new(&path), cache)?)
    }

    /// The filesystem's root directory.
    ///
    /// # Errors
    /// `internal` where it could not be opened.
    pub(crate) fn root(&self) -> Result<BorrowedFd<'_>> {
        let root = self.root.as_ref().map(AsFd::as_fd);
        root.ok_or_else(|| Problem::internal("the disk's root directory is not open"))
    }

    /// Mounts it. Blocks that files no longer need are given back at once.
    ///
    /// # Errors
    /// As mount(2).
    pub(crate) fn new(device: &Path, at: &'a Path, cache: WriteCache) -> Result<Self> {
        // Whether the place is there is told first: what is wrong with the disk would hide it. It may be a link.
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let place = rustix::fs::openat(CWD, at, flags, Mode::empty()).map_err(io::Error::from);
        let mounted = place.and_then(|place| {
            let mount = DetachedMount::of_device(c"ext4", device, cache.mount_options())?;
            attach_over(mount, place.as_fd())
        });
        mounted.map_err(|error| {
            doing(format_args!("mounting the disk at {}", at.display()))(error)
                .remedy("the disk must hold an ext4, and the directory must be there")
        })?;
        let mut mounted = Mounted { at, root: None };
        mounted.hold();
        Ok(mounted)
    }

    fn hold(&mut self) {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        self.root = rustix::fs::openat(CWD, self.at, flags, Mode::empty()).ok();
    }

    /// Unmounts it, waiting a little for whoever still uses it.
    ///
    /// # Errors
    /// `busy` where somebody still does; as umount(2).
    pub(crate) fn unmount(&mut self) -> Result<()> {
        // Whoever waited for it has had the error too. Staying would not bring anything back.
        if let Err(problem) = sync(self.at) {
            notice(problem);
        }
        self.root = None;
        let unmounted = unmount(self.at);
        if unmounted.is_err() {
            self.hold();
        }
        unmounted
    }
}

fn of_device(device: &Path, cache: WriteCache) -> Result<DetachedMount> {
    DetachedMount::of_device(c"ext4", device, cache.mount_options()).map_err(|error| {
        doing("mounting the disk")(error).remedy("look at it with: cofferdam-disk check, then e2fsck")
    })
}

fn place(mount: DetachedMount) -> Result<Mounted<'static>> {
    let at = Path::new(nowhere::PLACE);
    mount.attach_at(at).map_err(doing("mounting the disk"))?;
    let mut mounted = Mounted { at, root: None };
    mounted.hold();
    Ok(mounted)
}

fn unmount(at: &Path) -> Result<()> {
    let mut attempt = 1;
    loop {
        match rustix::mount::unmount(at, UnmountFlags::NOFOLLOW) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::BUSY) if attempt < ATTEMPTS => thread::sleep(PAUSE),
            Err(rustix::io::Errno::BUSY) => {
                return Err(Problem::busy(format!("{} is still in use", at.display()))
                    .remedy("end whoever uses it (fuser -m), then send the signal again"));
            }
            Err(error) => {
                return Err(doing(format_args!("unmounting {}", at.display()))(error.into()));
            }
        }
        attempt += 1;
    }
}

/// Brings everything in the filesystem to the disk: unmounting does that only where it takes away the last mount, and
/// another mount namespace may have a copy.
fn sync(at: &Path) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(CWD, at, flags, Mode::empty())
        .and_then(rustix::fs::syncfs)
        .map_err(|error| doing(format_args!("syncing {}", at.display()))(error.into()))
}
