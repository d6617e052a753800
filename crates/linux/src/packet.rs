//! Packets with file descriptors: `SOCK_SEQPACKET` unix sockets and `SCM_RIGHTS` (unix(7)).
//!
//! A packet arrives whole or not at all, with the descriptors that were sent with it.

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, sockopt,
};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

/// The most descriptors in one packet (unix(7), `SCM_MAX_FD`).
pub const DESCRIPTORS_MAX: usize = 253;

/// Room for [`DESCRIPTORS_MAX`] descriptors.
const ANCILLARY: usize = rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX));

/// One packet: its bytes and its descriptors.
#[derive(Debug)]
pub struct Packet {
    /// What was sent.
    pub bytes: Vec<u8>,
    /// What was sent with it; every one is close-on-exec.
    pub descriptors: Vec<OwnedFd>,
}

/// Connects to the socket at `path`; every later call on it ends with `EAGAIN` after `timeout`.
///
/// # Errors
/// As connect(2): `ENOENT` and `ECONNREFUSED` where nobody listens.
pub fn connect(path: &Path, timeout: Duration) -> io::Result<OwnedFd> {
    let socket = socket(SocketFlags::CLOEXEC)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(timeout))?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(timeout))?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// Listens at `path`, which must not exist. The socket does not block.
///
/// # Errors
/// As bind(2) and listen(2).
pub fn listen(path: &Path) -> io::Result<OwnedFd> {
    let socket = socket(SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    rustix::net::listen(&socket, 128)?;
    Ok(socket)
}

/// Takes the next connection of a listening socket. The connection blocks, at most for `timeout` at a time.
///
/// # Errors
/// As accept(2): `EAGAIN` where there is none.
pub fn accept(listener: BorrowedFd<'_>, timeout: Duration) -> io::Result<OwnedFd> {
    let socket = rustix::net::accept_with(listener, SocketFlags::CLOEXEC)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(timeout))?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(timeout))?;
    Ok(socket)
}

fn socket(flags: SocketFlags) -> io::Result<OwnedFd> {
    Ok(rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        flags,
        None,
    )?)
}

/// Sends one packet.
///
/// # Errors
/// As sendmsg(2): `EPIPE` where the other end is gone, `EMSGSIZE` where it is too long, `EAGAIN` at the timeout.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); ANCILLARY];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(Errno::TOOBIG.into());
    }
    let sent = retry(|| {
        rustix::net::sendmsg(
            socket,
            &[IoSlice::new(bytes)],
            &mut ancillary,
            SendFlags::NOSIGNAL,
        )
    })?;
    if sent == bytes.len() {
        Ok(())
    } else {
        Err(Errno::MSGSIZE.into())
    }
}

/// Receives one packet of at most `limit` bytes.
///
/// # Errors
/// As recvmsg(2): `EAGAIN` at the timeout; `UnexpectedEof` where the other end closed; `EMSGSIZE` where the packet
/// or its descriptors were longer than the room for them.
pub fn receive(socket: BorrowedFd<'_>, limit: usize) -> io::Result<Packet> {
    take(socket, limit, RecvFlags::CMSG_CLOEXEC)
}

/// The same, without waiting.
///
/// # Errors
/// As [`receive`]; `EAGAIN` where no packet is there.
pub fn receive_now(socket: BorrowedFd<'_>, limit: usize) -> io::Result<Packet> {
    take(socket, limit, RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT)
}

fn take(socket: BorrowedFd<'_>, limit: usize, flags: RecvFlags) -> io::Result<Packet> {
    let mut bytes = vec![0; limit];
    let mut space = [MaybeUninit::uninit(); ANCILLARY];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received =
        retry(|| rustix::net::recvmsg(socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, flags))?;
    let descriptors: Vec<OwnedFd> = ancillary
        .drain()
        .filter_map(|message| {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                Some(rights)
            } else {
                None
            }
        })
        .flatten()
        .collect();
    if received
        .flags
        .intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC)
    {
        return Err(Errno::MSGSIZE.into());
    }
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    bytes.truncate(received.bytes);
    Ok(Packet { bytes, descriptors })
}

/// Whether the other end is gone. An error counts as gone: nobody could be answered.
pub fn is_abandoned(socket: BorrowedFd<'_>) -> bool {
    let mut poll = [PollFd::new(&socket, PollFlags::RDHUP)];
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    rustix::event::poll(&mut poll, Some(&now)).map_or(true, |ready| ready > 0)
}

/// Repeats a call that a signal interrupted.
fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
        Ok(rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )?)
    }

    #[test]
    fn descriptors_arrive_with_their_packet() {
        let (one, other) = pair().unwrap();
        let file = tempfile::tempfile().unwrap();
        send(one.as_fd(), b"first", &[file.as_fd(), file.as_fd()]).unwrap();
        send(one.as_fd(), b"second", &[]).unwrap();
        let first = receive(other.as_fd(), 64).unwrap();
        assert_eq!(
            (first.bytes.as_slice(), first.descriptors.len()),
            (&b"first"[..], 2)
        );
        let second = receive(other.as_fd(), 64).unwrap();
        assert_eq!(
            (second.bytes.as_slice(), second.descriptors.len()),
            (&b"second"[..], 0)
        );
        assert_eq!(
            receive_now(other.as_fd(), 64).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        assert!(!is_abandoned(other.as_fd()));
        drop(one);
        assert!(is_abandoned(other.as_fd()));
        assert_eq!(
            receive(other.as_fd(), 64).unwrap_err().kind(),
            io::ErrorKind::UnexpectedEof
        );
    }

    #[test]
    fn a_packet_that_is_too_long_is_an_error_not_a_part() {
        let (one, other) = pair().unwrap();
        send(one.as_fd(), &[7; 100], &[]).unwrap();
        assert!(receive(other.as_fd(), 64).is_err());
    }

    #[test]
    fn a_silent_peer_is_left_after_the_timeout() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let listener = listen(&path).unwrap();
        let client = connect(&path, Duration::from_millis(30)).unwrap();
        let _server = accept(listener.as_fd(), Duration::from_secs(1)).unwrap();
        assert_eq!(
            receive(client.as_fd(), 64).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
    }
}
