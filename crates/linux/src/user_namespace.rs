//! User namespaces that exist only to carry an id map for a mount (mount_setattr(2), "ID-mapped mounts").

use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions};
use std::fmt::Write as _;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One line of uid_map or gid_map (user_namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Line {
    /// First id inside: for a mount, the id on disk.
    pub inside: u32,
    /// First id outside: for a mount, the id that processes see.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// Two threads that clone at once would each inherit, and hold open, the other's pipe.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// While this lives, no child is cloned: a child holds a copy of every descriptor, files open for writing included, and a
/// filesystem with one of those cannot be made read-only.
#[derive(Debug)]
pub struct HoldBack(#[expect(dead_code, reason = "held, not looked at")] MutexGuard<'static, ()>);

/// Holds clones back, after the one under way.
#[must_use]
pub fn hold_back() -> HoldBack {
    HoldBack(ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A user namespace with these maps, which nobody is a member of.
///
/// # Errors
/// As clone(2) and writing uid_map (user_namespaces(7)): `EPERM` without CAP_SYS_ADMIN, CAP_SETUID and CAP_SETGID,
/// `EINVAL` for lines that overlap or more than 340 of them, `ENOSPC` where user namespaces are limited away.
pub fn create(uids: &[Line], gids: &[Line]) -> io::Result<OwnedFd> {
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (wait_end, hold_end) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    let child = clone_waiting_child(&wait_end, &hold_end)?;
    let namespace = fill(child, uids, gids);
    drop(hold_end);
    reap(child)?;
    namespace
}

/// Writes the maps of `child`'s namespace and opens it.
fn fill(child: Pid, uids: &[Line], gids: &[Line]) -> io::Result<OwnedFd> {
    let proc = format!("/proc/{}", child.as_raw_nonzero());
    std::fs::write(format!("{proc}/uid_map"), text(uids))?;
    std::fs::write(format!("{proc}/gid_map"), text(gids))?;
    Ok(std::fs::File::open(format!("{proc}/ns/user"))?.into())
}

/// The lines as the kernel reads them.
fn text(lines: &[Line]) -> String {
    lines.iter().fold(String::new(), |mut all, line| {
        if writeln!(all, "{} {} {}", line.inside, line.outside, line.count).is_err() {
            all.clear(); // Cannot fail on a String; an empty map is refused by the kernel.
        }
        all
    })
}

/// A child in a new user namespace that does nothing until the other end of the pipe is closed.
fn clone_waiting_child(wait_end: &OwnedFd, hold_end: &OwnedFd) -> io::Result<Pid> {
    let flags = libc::CLONE_NEWUSER | libc::SIGCHLD;
    // SAFETY: without CLONE_VM and with a null stack this is fork(2): the child runs on its own copy of
    // this stack. Other threads of the parent are not copied, so the child must not allocate or lock, and it
    // does not: it only makes the three system calls below and ends.
    let result = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    if result == 0 {
        let mut byte = 0_u8;
        // SAFETY: plain system calls on descriptors that the child inherited; `byte` is one writable byte;
        // _exit runs no destructor of the parent's.
        unsafe {
            libc::close(hold_end.as_raw_fd());
            libc::read(wait_end.as_raw_fd(), (&raw mut byte).cast(), 1);
            libc::_exit(0);
        }
    }
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    i32::try_from(result)
        .ok()
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::other("clone gave no process id"))
}

/// Waits until the child has ended.
fn reap(child: Pid) -> io::Result<()> {
    loop {
        match rustix::process::waitpid(Some(child), WaitOptions::empty()) {
            Ok(_) | Err(Errno::CHILD) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_at_once_do_not_wait_for_each_other() {
        let line = [Line {
            inside: 0,
            outside: 0,
            count: 10,
        }];
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| (0..5).for_each(|_| drop(create(&line, &line).unwrap())));
            }
        });
    }

    #[test]
    fn overlapping_lines_are_refused() {
        let lines = [
            Line {
                inside: 0,
                outside: 0,
                count: 10,
            },
            Line {
                inside: 5,
                outside: 50,
                count: 10,
            },
        ];
        assert!(create(&lines, &lines).is_err());
    }
}
