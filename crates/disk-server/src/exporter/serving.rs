//! The serving side of the exporter: a thread for each channel.

use super::reply::{Line, Unanswered};
use super::worker::{Busy, Memory, Worker};
use super::{Abort, Disk};
use cofferdam_linux::fuse::Channel;
use rustix::pipe::PipeFlags;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;
use std::time::Duration;

/// What a thread serves from: a channel, and locked memory.
pub struct Place {
    channel: Channel,
    memory: Memory,
}

impl Place {
    /// Takes the memory: 2 MiB.
    ///
    /// # Errors
    /// As mlock(2).
    pub fn new(channel: Channel) -> io::Result<Self> {
        let memory = Memory::new()?;
        Ok(Place { channel, memory })
    }

    /// Has the kernel ask again whatever a server before left unanswered, on this channel and all others of the
    /// connection.
    ///
    /// # Errors
    /// As write(2); `EINVAL` on kernels that cannot.
    pub fn ask_again(&self) -> io::Result<()> {
        self.channel.resend()
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place")
            .field("channel", &self.channel)
            .finish_non_exhaustive()
    }
}

/// The threads behind a device. They end with this value, but for one that hangs in the disk.
#[derive(Debug)]
pub struct Serving {
    abort: Abort,
    ended: OwnedFd,
    busy: Vec<Arc<Busy>>,
    lines: Vec<Arc<Line>>,
    threads: Vec<JoinHandle<io::Result<()>>>,
}

impl Serving {
    /// Starts a thread for each channel.
    ///
    /// # Errors
    /// As starting threads, pipe(2) and dup(2).
    pub fn start(places: Vec<Place>, abort: Abort, disk: &Arc<dyn Disk>) -> io::Result<Self> {
        let (ended, alive) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        let alive = Arc::new(alive);
        let mut serving = Serving {
            abort,
            ended,
            busy: Vec::new(),
            lines: Vec::new(),
            threads: Vec::new(),
        };
        let at_work = Arc::new(AtomicUsize::new(0));
        for Place { channel, memory } in places {
            let busy = Arc::new(Busy::default());
            let line = Arc::new(Line {
                channel,
                abort: serving.abort.try_clone()?,
                unanswered: Unanswered::default(),
            });
            let worker = Worker {
                line: Arc::clone(&line),
                disk: Arc::clone(disk),
                alive: Arc::clone(&alive),
                memory,
                busy: Arc::clone(&busy),
                at_work: Arc::clone(&at_work),
            };
            let builder = std::thread::Builder::new().name(format!("disk-{}", serving.threads.len()));
            serving.busy.push(busy);
            serving.lines.push(line);
            serving.threads.push(builder.spawn(move || worker.run())?);
        }
        Ok(serving)
    }

    /// How long the request that has waited longest for the disk has been waiting; zero where none is.
    #[must_use]
    pub fn longest(&self) -> Duration {
        let working = self.busy.iter().map(|busy| busy.since());
        let waiting = self.lines.iter().map(|line| line.unanswered.longest());
        working.chain(waiting).max().unwrap_or_default()
    }

    /// The right to end the disk at once.
    ///
    /// # Errors
    /// As dup(2).
    pub fn abort_handle(&self) -> io::Result<Abort> {
        self.abort.try_clone()
    }

    /// Hangs up (`POLLHUP`, poll(2)) when no thread is left.
    #[must_use]
    pub fn ended(&self) -> BorrowedFd<'_> {
        self.ended.as_fd()
    }

    /// Ends the connection and waits for the threads.
    ///
    /// # Errors
    /// The first error that ended a thread.
    pub fn join(&mut self) -> io::Result<()> {
        self.abort.abort()?;
        let mut result = Ok(());
        for thread in self.threads.drain(..) {
            let ended = thread
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("a thread panicked")));
            result = result.and(ended);
        }
        result
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // Nothing is left to be done where this fails: the connection ends with the process at the latest.
        drop(self.abort.abort());
    }
}
