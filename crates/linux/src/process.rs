//! Processes that cannot be confused with later ones of the same number (pidfd_open(2), proc_pid_stat(5)).

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A process and the moment it started, in clock ticks since boot.
#[derive(Debug)]
pub struct Process {
    pidfd: OwnedFd,
    pid: u32,
    started: u64,
}

impl Process {
    /// The process that has the number `pid` now.
    ///
    /// # Errors
    /// `ESRCH` where there is none; `NotFound` where it ended meanwhile.
    pub fn open(pid: u32) -> io::Result<Self> {
        let number = i32::try_from(pid)
            .ok()
            .and_then(Pid::from_raw)
            .ok_or(io::ErrorKind::InvalidInput)?;
        let pidfd = rustix::process::pidfd_open(number, PidfdFlags::NONBLOCK)?;
        let started = start_time(pid)?;
        let process = Process { pidfd, pid, started };
        // Read before this check, the start time can only be that of the process behind the pidfd.
        if process.has_ended()? {
            Err(io::ErrorKind::NotFound.into())
        } else {
            Ok(process)
        }
    }

    /// The process that had the number `pid` and started at `started`.
    ///
    /// # Errors
    /// `NotFound` where it has ended, also where another one has its number now.
    pub fn find(pid: u32, started: u64) -> io::Result<Self> {
        let process = Self::open(pid).map_err(|error| match error.raw_os_error() {
            // No such process, or the number is that of a thread by now.
            Some(libc::ESRCH | libc::EINVAL) => io::ErrorKind::NotFound.into(),
            _ => error,
        })?;
        if process.started == started {
            Ok(process)
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    /// Its number.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// When it started, in clock ticks since boot.
    pub fn started(&self) -> u64 {
        self.started
    }

    /// The number of its parent, which may be another one by the time it is used.
    ///
    /// # Errors
    /// As reading proc_pid_stat(5); `NotFound` where the process has ended.
    pub fn parent(&self) -> io::Result<u32> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.pid))?;
        // Behind the name, which may hold anything: state, parent.
        let parent = text
            .rsplit_once(')')
            .and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        if self.has_ended()? {
            return Err(io::ErrorKind::NotFound.into());
        }
        parent.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Kills it (`SIGKILL`). The first process of a pid namespace takes all others in it along (pid_namespaces(7)). One that
    /// has ended is no error.
    ///
    /// # Errors
    /// As pidfd_send_signal(2).
    pub fn kill(&self) -> io::Result<()> {
        match rustix::process::pidfd_send_signal(&self.pidfd, Signal::KILL) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether it has ended.
    ///
    /// # Errors
    /// As poll(2).
    pub fn has_ended(&self) -> io::Result<bool> {
        match has_ended(self.pidfd.as_fd()) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Succeeds once the process behind a pidfd has ended; before that it would block.
///
/// # Errors
/// `WouldBlock`, or as poll(2).
pub fn has_ended(pidfd: BorrowedFd<'_>) -> io::Result<()> {
    let mut poll = [PollFd::new(&pidfd, PollFlags::IN)];
    let ended = rustix::event::poll(
        &mut poll,
        Some(&Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        }),
    )? > 0;
    if ended {
        Ok(())
    } else {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl From<Process> for OwnedFd {
    /// The pidfd: readable once the process has ended.
    fn from(process: Process) -> OwnedFd {
        process.pidfd
    }
}

impl AsFd for Process {
    /// The pidfd: readable once the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// Field 22 of `/proc/<pid>/stat`, in clock ticks since boot.
fn start_time(pid: u32) -> io::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the process's own name, in brackets, and may hold anything, brackets too.
    let after_name = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest)
        .ok_or(io::ErrorKind::InvalidData)?;
    let field = after_name
        .split_ascii_whitespace()
        .nth(19)
        .ok_or(io::ErrorKind::InvalidData)?;
    field.parse().map_err(|_| io::ErrorKind::InvalidData.into())
}

/// From now on this process, and all threads that it starts, gets memory without waiting for writing back that may in turn
/// wait for it: it stands behind a disk that the kernel writes to (`PR_SET_IO_FLUSHER` in prctl(2), Linux 5.6).
///
/// # Errors
/// `PermissionDenied` without CAP_SYS_RESOURCE; `EINVAL` on older kernels.
pub fn io_flusher() -> io::Result<()> {
    rustix::process::configure_io_flusher_behavior(true).map_err(|error| match error {
        Errno::PERM => io::Error::new(io::ErrorKind::PermissionDenied, "give CAP_SYS_RESOURCE"),
        other => other.into(),
    })
}

/// From now on no program that is executed gets any descriptor that is open now, but the standard three, or what it is
/// given on purpose (close_range(2), Linux 5.11): whoever started this process may have left some open.
///
/// # Errors
/// As close_range(2).
pub fn keep_descriptors() -> io::Result<()> {
    // SAFETY: marks descriptors and closes none; no memory is passed.
    let done = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// This boot's id: it changes with every boot, and with it every process number loses its meaning.
///
/// # Errors
/// As reading `/proc/sys/kernel/random/boot_id`.
pub fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::FdFlags;

    #[test]
    fn what_was_left_open_is_not_handed_on() {
        let (left, _) = rustix::pipe::pipe().unwrap();
        let is_kept = || rustix::io::fcntl_getfd(&left).unwrap().contains(FdFlags::CLOEXEC);
        assert!(!is_kept());
        keep_descriptors().unwrap();
        assert!(is_kept());
    }

    #[test]
    fn a_process_is_its_number_and_its_start() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::open(child.id()).unwrap();
        assert!(!process.has_ended().unwrap());
        assert!(Process::find(child.id(), process.started()).is_ok());
        let other = Process::find(child.id(), process.started() + 1).unwrap_err();
        assert_eq!(other.kind(), io::ErrorKind::NotFound);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(process.has_ended().unwrap());
        assert_eq!(
            Process::find(child.id(), process.started()).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
