//! Where the daemon's orders come in: a socket for root alone, and whoever has connected to it.

use crate::{notice::notice, problem::doing, signals::Signals, wire};
use cofferdam_linux::packet;
use cofferdam_model::{
    Problem, Result,
    disk::{Answer, Order},
};
use rustix::{
    event::{PollFd, PollFlags},
    fs::{AtFlags, CWD, Mode, OFlags},
};
use std::{
    ffi::OsString,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    time::Duration,
};

/// How long a peer may take to take its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What came first.
#[derive(Debug)]
pub(crate) enum Came {
    /// A signal that means: close in peace.
    Signal,
    /// Nothing serves the disk any more.
    End,
    /// An order, what came with it, and whom to answer.
    Order(Order, Option<OwnedFd>, OwnedFd),
}

/// The socket, and its peers.
#[derive(Debug)]
pub(crate) struct Control {
    listener: OwnedFd,
    peers: Vec<OwnedFd>,
    watchers: Vec<OwnedFd>,
    /// The minder's packets, for the watchers.
    faults: OwnedFd,
    directory: OwnedFd,
    name: OsString,
}

impl Control {
    /// Listens at `path`; a socket that an earlier server left there is removed. `faults` brings what watchers hear.
    ///
    /// # Errors
    /// `unavailable` where it cannot be made.
    pub(crate) fn listen(path: &Path, faults: OwnedFd) -> Result<Self> {
        let fail = |error: io::Error| doing(format_args!("listening at {}", path.display()))(error);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(Problem::invalid(format!("{} names no socket", path.display())));
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory =
            rustix::fs::openat(CWD, parent, flags, Mode::empty()).map_err(|error| fail(error.into()))?;
        match rustix::fs::unlinkat(&directory, name, AtFlags::empty()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(fail(error.into())),
        }
        let mask = rustix::process::umask(Mode::from_raw_mode(0o177));
        let listener = packet::listen(path);
        rustix::process::umask(mask);
        Ok(Control {
            listener: listener.map_err(fail)?,
            peers: Vec::new(),
            watchers: Vec::new(),
            faults,
            directory,
            name: name.to_owned(),
        })
    }

    /// Waits for an order, a signal, or the end; passes faults on meanwhile.
    ///
    /// # Errors
    /// As poll(2).
    pub(crate) fn wait(&mut self, signals: &mut Signals, ended: BorrowedFd<'_>) -> Result<Came> {
        loop {
            let ready = self.poll(signals.as_fd(), ended)?;
            if ready.ended {
                return Ok(Came::End);
            }
            if ready.signal {
                return Ok(Came::Signal);
            }
            if ready.fault {
                self.pass_on();
            }
            if ready.connection
                && let Ok(peer) = packet::accept(self.listener.as_fd(), PATIENCE)
            {
                self.peers.push(peer);
            }
            if let Some(index) = ready.peer {
                let peer = self.peers.remove(index);
                // A peer that is gone, or speaks otherwise, is let go.
                if let Ok(Some((order, descriptors))) = wire::receive::<Order>(peer.as_fd()) {
                    return Ok(Came::Order(order, descriptors.into_iter().next(), peer));
                }
            }
        }
    }

    /// Answers an order, and listens to its peer again.
    pub(crate) fn answer(&mut self, peer: OwnedFd, answer: &Answer, descriptor: Option<BorrowedFd<'_>>) {
        let descriptors: Vec<_> = descriptor.into_iter().collect();
        if matches!(wire::send(peer.as_fd(), answer, &descriptors), Ok(true)) {
            match answer {
                Answer::Watched => self.watchers.push(peer),
                _ => self.peers.push(peer),
            }
        }
    }

    fn pass_on(&mut self) {
        let Ok(Some((fault, _))) = wire::receive::<Answer>(self.faults.as_fd()) else {
            return;
        };
        self.watchers
            .retain(|watcher| matches!(wire::send(watcher.as_fd(), &fault, &[]), Ok(true)));
    }

    fn poll(&self, signals: BorrowedFd<'_>, ended: BorrowedFd<'_>) -> Result<Ready> {
        let fixed = [signals, ended, self.listener.as_fd(), self.faults.as_fd()];
        let all = fixed.into_iter().chain(self.peers.iter().map(AsFd::as_fd));
        let mut all: Vec<_> = all
            .map(|which| PollFd::from_borrowed_fd(which, PollFlags::IN))
            .collect();
        match rustix::event::poll(&mut all, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(doing("waiting for orders")(error.into())),
        }
        let came: Vec<bool> = all.iter().map(|which| !which.revents().is_empty()).collect();
        let is = |index: usize| came.get(index).copied().unwrap_or_default();
        Ok(Ready {
            signal: is(0),
            ended: is(1),
            connection: is(2),
            fault: is(3),
            peer: came.iter().skip(fixed.len()).position(|came| *came),
        })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        // Where it is left, the next one removes it.
        if let Err(error) = rustix::fs::unlinkat(&self.directory, &self.name, AtFlags::empty()) {
            notice(format_args!("the socket for orders is left: {error}"));
        }
    }
}

/// What can be read from without waiting.
struct Ready {
    signal: bool,
    ended: bool,
    connection: bool,
    fault: bool,
    peer: Option<usize>,
}
