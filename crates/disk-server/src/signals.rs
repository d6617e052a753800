//! Waiting for the end: a signal, or the exporter's.

use crate::problem::doing;
use cofferdam_model::Result;
use rustix::event::{PollFd, PollFlags, Timespec};
use std::{
    io::{self, Read},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    sync::Arc,
};

/// Those that mean: close in peace.
const ENDING: [i32; 3] = [
    signal_hook::consts::SIGTERM,
    signal_hook::consts::SIGINT,
    signal_hook::consts::SIGHUP,
];

/// They no longer end this process, and nothing else happens: they are for its supervisor, which closes in peace. At the
/// end of a service or a machine every process gets them.
///
/// # Errors
/// As sigaction(2).
pub(crate) fn leave_to_supervisor() -> Result<()> {
    for signal in ENDING {
        signal_hook::flag::register(signal, Arc::default()).map_err(doing("catching signals"))?;
    }
    Ok(())
}

/// The signals that mean: close in peace.
#[derive(Debug)]
pub(crate) struct Signals(UnixStream);

/// What came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Came {
    /// SIGTERM, SIGINT or SIGHUP.
    Signal,
    /// Nothing serves the disk any more.
    End,
}

impl AsFd for Signals {
    /// Readable when a signal has come.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Signals {
    /// From here on those signals no longer end the process.
    ///
    /// # Errors
    /// As sigaction(2).
    pub(crate) fn catch() -> Result<Self> {
        Self::register().map_err(doing("catching signals"))
    }

    fn register() -> io::Result<Self> {
        let (read, write) = UnixStream::pair()?;
        for signal in ENDING {
            signal_hook::low_level::pipe::register(signal, write.try_clone()?)?;
        }
        Ok(Signals(read))
    }

    /// Takes a signal that has come.
    ///
    /// # Errors
    /// As read(2).
    pub(crate) fn take(&mut self) -> Result<()> {
        let mut byte = [0];
        self.0.read_exact(&mut byte).map_err(doing("taking a signal"))
    }

    /// Waits for a signal, or until `ended` hangs up.
    ///
    /// # Errors
    /// As poll(2).
    pub(crate) fn wait(&mut self, ended: BorrowedFd<'_>) -> Result<Came> {
        loop {
            if let Some(came) = self.wait_for(ended, None)? {
                return Ok(came);
            }
        }
    }

    /// The same, but not for ever: none where nothing came in that time.
    ///
    /// # Errors
    /// As poll(2).
    pub(crate) fn wait_for(
        &mut self,
        ended: BorrowedFd<'_>,
        time: Option<&Timespec>,
    ) -> Result<Option<Came>> {
        let mut both = [
            PollFd::from_borrowed_fd(self.0.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(ended, PollFlags::IN),
        ];
        match rustix::event::poll(&mut both, time) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(doing("waiting for a signal")(error.into())),
        }
        let [signal, end] = both.map(|which| !which.revents().is_empty());
        if signal {
            self.take()?;
            return Ok(Some(Came::Signal));
        }
        Ok(end.then_some(Came::End))
    }
}
