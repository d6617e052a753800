//! Who is at the other end of a unix socket, by the kernel's word.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The process that connected, as it was then (unix(7), `SO_PEERCRED` and `SO_PEERGROUPS`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Process id in our pid namespace; 0 where it is in none that we see.
    pub pid: u32,
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
}

impl Peer {
    /// Whether the peer's effective group or one of its supplementary ones is `gid`.
    pub fn in_group(&self, gid: u32) -> bool {
        self.gid == gid || self.groups.contains(&gid)
    }
}

/// The peer of a connected socket.
///
/// # Errors
/// As getsockopt(2).
pub fn of(socket: BorrowedFd<'_>) -> io::Result<Peer> {
    let mut raw = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut length =
        libc::socklen_t::try_from(size_of::<libc::ucred>()).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: `raw` is a live ucred and `length` its size; the kernel writes no more than that.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut raw).cast(),
            &raw mut length,
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Peer {
        pid: u32::try_from(raw.pid).unwrap_or(0),
        uid: raw.uid,
        gid: raw.gid,
        groups: groups(socket)?,
    })
}

/// The supplementary groups of a connected socket's peer.
fn groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    /// As many as a process can have (`NGROUPS_MAX`).
    const GROUPS_MAX: usize = 65_536;
    let mut room = 64;
    loop {
        let mut groups: Vec<u32> = vec![0; room];
        let size = room.saturating_mul(size_of::<u32>());
        let mut length = libc::socklen_t::try_from(size).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: `groups` is a live buffer of `length` bytes; the kernel writes no more than that and says how much.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut length,
            )
        };
        if result == 0 {
            groups.truncate(usize::try_from(length).unwrap_or(0) / size_of::<u32>());
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::ERANGE) || room >= GROUPS_MAX {
            return Err(error);
        }
        room = GROUPS_MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn we_are_our_own_peer() {
        let (one, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let peer = of(one.as_fd()).unwrap();
        assert_eq!(peer.pid, std::process::id());
        assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
        assert!(peer.in_group(rustix::process::getegid().as_raw()));
        assert!(!peer.in_group(4_000_000_000));
    }
}
