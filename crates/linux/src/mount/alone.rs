//! A superblock that nobody else can mount.
//!
//! Whoever mounts a block device on which a filesystem is mounted already gets another mount of the same superblock: with
//! CAP_SYS_ADMIN, or through an engine that has it, an open volume could be looked at so. The kernel shares a superblock only
//! within the user namespace that it was made for (`EBUSY` else), so ours is made for one that has no members and in which every
//! id is itself. The device's bytes are another matter: root can read those.

use crate::user_namespace::{self, Line};
use rustix::mount::FsOpenFlags;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitId, WaitIdOptions};
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Every id, as itself.
const EVERY_ID: [Line; 1] = [Line {
    inside: 0,
    outside: 0,
    count: u32::MAX,
}];

/// The first kernel that maps the ids of such a superblock's mounts once more (mount_setattr(2), `MOUNT_ATTR_IDMAP`).
const MAPS_ALONE: (u32, u32) = (5, 17);

/// As fsopen(2), for a superblock that nobody else can mount. Before Linux 5.17 it is one like any other: its mounts' ids could
/// not be mapped else.
///
/// # Errors
/// As fsopen(2), clone(2) and writing uid_map (user_namespaces(7)).
pub(super) fn fsopen(kind: &CStr) -> io::Result<OwnedFd> {
    if kernel() < MAPS_ALONE {
        return Ok(rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?);
    }
    in_a_namespace_of_its_own(kind).map_err(|error| {
        let told =
            format!("{error} (it gets a user namespace of its own: see sysctl user.max_user_namespaces)");
        io::Error::new(error.kind(), told)
    })
}

fn in_a_namespace_of_its_own(kind: &CStr) -> io::Result<OwnedFd> {
    let _turn = user_namespace::hold_back();
    let (told, tell) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    let child = clone_child_that_opens(kind, tell.as_raw_fd())?;
    let opened = wait(child).and_then(|()| {
        let context = context(&told)?;
        // The child has ended, and is known until it is reaped.
        user_namespace::fill(child, &EVERY_ID, &EVERY_ID)?;
        Ok(context)
    });
    user_namespace::reap(child)?;
    opened
}

/// Until it has ended, and no further: its namespace is needed.
fn wait(child: Pid) -> io::Result<()> {
    let how = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    loop {
        match rustix::process::waitid(WaitId::Pid(child), how) {
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// What the child has opened.
fn context(told: &OwnedFd) -> io::Result<OwnedFd> {
    let mut bytes = [0; 4];
    if rustix::io::read(told, &mut bytes)? != bytes.len() {
        return Err(io::Error::other("the child did not say what it opened"));
    }
    let descriptor = RawFd::from_ne_bytes(bytes);
    if descriptor < 0 {
        return Err(io::Error::from_raw_os_error(-descriptor));
    }
    // SAFETY: the child, which is gone, opened it in the table of descriptors that it shared with this process, and told nobody
    // else; so it is open, and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// A child in a user namespace of its own that shares this process's descriptors, opens the context, tells its number, or the
/// error's below zero, and ends.
fn clone_child_that_opens(kind: &CStr, tell: RawFd) -> io::Result<Pid> {
    // fsopen(2) wants rights over the mount namespace too.
    let flags = libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_FILES | libc::SIGCHLD;
    let cloexec = FsOpenFlags::FSOPEN_CLOEXEC.bits();
    // SAFETY: without CLONE_VM and with a null stack this is fork(2), but for the descriptors: the child runs on its own copy of
    // this stack. Other threads of the parent are not copied, so the child must not allocate or lock, and it does not: it only
    // makes the system calls below and ends.
    let result = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    if result == 0 {
        // SAFETY: plain system calls; `kind` is a string of the parent's, copied with all its memory; `told` is four readable
        // bytes; _exit runs no destructor of the parent's.
        unsafe {
            let opened = libc::syscall(libc::SYS_fsopen, kind.as_ptr(), cloexec);
            let told = if opened < 0 {
                -*libc::__errno_location()
            } else {
                opened as RawFd
            };
            libc::write(tell, (&raw const told).cast(), size_of::<RawFd>());
            libc::_exit(0);
        }
    }
    user_namespace::child_of(result)
}

/// Major and minor version of the running kernel; zeros where it does not tell.
fn kernel() -> (u32, u32) {
    let names = rustix::system::uname();
    version(&names.release().to_string_lossy())
}

fn version(release: &str) -> (u32, u32) {
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert_eq!(version("6.18.3-cloud"), (6, 18));
        assert_eq!(version("5.4"), (5, 4));
        assert_eq!(version("nonsense"), (0, 0));
        assert!(version("5.15.0-91-generic") < MAPS_ALONE && version("6.1.0") > MAPS_ALONE);
    }

    #[test]
    fn an_unknown_filesystem_is_the_kernels_error() {
        let refused = fsopen(c"no such filesystem").unwrap_err();
        assert!(refused.to_string().contains("No such device"), "{refused}");
    }
}
