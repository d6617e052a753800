//! A thread that receives requests, has them done and answers.

use super::answer::{Answer, answer};
use super::reply::{Line, Reply};
use super::{AlignedBuffer, Disk, READ_ROOM, TRANSFER_MAX};
use cofferdam_linux::aligned::ALIGNMENT;
use cofferdam_linux::fuse::{Abort, Operation, Received, Request, WRITE_HEADER_LENGTH};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Where requests are read to, so that a WRITE's data begins at a page boundary.
const REQUEST_AT: usize = ALIGNMENT - WRITE_HEADER_LENGTH;

/// All that one thread needs, made before it starts.
pub(super) struct Worker {
    pub(super) line: Arc<Line>,
    pub(super) disk: Arc<dyn Disk>,
    #[expect(
        dead_code,
        reason = "it is there to be closed with the thread: whoever has the other end knows then"
    )]
    pub(super) alive: Arc<OwnedFd>,
    pub(super) memory: Memory,
    pub(super) busy: Arc<Busy>,
    /// How many threads of the disk have a request.
    pub(super) at_work: Arc<AtomicUsize>,
}

/// Since when a thread has been waiting for the disk.
#[derive(Debug, Default)]
pub(super) struct Busy(Mutex<Option<Instant>>);

impl Busy {
    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// For how long; zero where it does not wait.
    pub(super) fn since(&self) -> Duration {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        since.map(|since| since.elapsed()).unwrap_or_default()
    }
}

/// A thread's buffers.
pub(super) struct Memory {
    requests: AlignedBuffer,
    answers: AlignedBuffer,
}

impl Memory {
    /// Locked: a kill while the kernel waits for a page of it would fail a request that a successor could answer.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Memory {
            requests: AlignedBuffer::locked(ALIGNMENT + TRANSFER_MAX)?,
            answers: AlignedBuffer::locked(READ_ROOM)?,
        })
    }
}

impl Worker {
    /// Serves until the connection ends.
    ///
    /// # Errors
    /// Where the kernel's requests cannot be read or answered; the connection is ended then.
    pub(super) fn run(mut self) -> io::Result<()> {
        let guard = EndTogether(&self.line.abort);
        loop {
            match serve_one(
                &self.line,
                self.disk.as_ref(),
                &mut self.memory,
                &self.busy,
                &self.at_work,
            )? {
                Received::End => break,
                Received::Request(_) | Received::Nothing => {}
            }
        }
        drop(guard);
        Ok(())
    }
}

/// Ends the connection with the thread, however that ends. Does nothing where the connection has ended before.
struct EndTogether<'a>(&'a Abort);

impl Drop for EndTogether<'_> {
    fn drop(&mut self) {
        // Nobody is left to be told; without this right the last channel's closing ends the connection as well.
        drop(self.0.abort());
    }
}

/// Receives one request and answers it.
fn serve_one(
    line: &Arc<Line>,
    disk: &dyn Disk,
    memory: &mut Memory,
    busy: &Busy,
    at_work: &AtomicUsize,
) -> io::Result<Received> {
    let channel = &line.channel;
    let room = memory.requests.get_mut(REQUEST_AT..).unwrap_or_default();
    let received = channel.receive(room)?;
    let Received::Request(length) = received else {
        return Ok(received);
    };
    at_work.fetch_add(1, Ordering::SeqCst);
    let bytes = room.get(..length).unwrap_or_default();
    match Request::parse(bytes) {
        Ok(request) => {
            let reply = |success| Reply::new(line, request.unique, success);
            match timed(busy, || answer(disk, request, reply, &mut memory.answers)) {
                Ok(Answer::None) => {}
                Ok(Answer::Body(body)) => channel.answer(request.unique, body.as_bytes())?,
                Ok(Answer::Bytes(bytes)) => channel.answer(request.unique, bytes)?,
                Err(error) => channel.refuse(request.unique, error)?,
            }
            let written = match request.operation {
                Operation::Write { data, .. } => data.len(),
                _ => 0,
            };
            at_work.fetch_sub(1, Ordering::SeqCst);
            let more = || at_work.load(Ordering::SeqCst) > 0 || channel.has_more();
            // Each time anew: so it is seen to get on.
            while timed(busy, || disk.between(written, &more)) {}
        }
        Err(malformed) => match malformed.unique {
            Some(unique) => {
                channel.refuse(unique, super::Errno::IO)?;
                at_work.fetch_sub(1, Ordering::SeqCst);
                while timed(busy, || disk.between(0, &|| false)) {}
            }
            None => return Err(io::ErrorKind::InvalidData.into()),
        },
    }
    Ok(received)
}

/// Does something, and lets others see for how long.
fn timed<T>(busy: &Busy, work: impl FnOnce() -> T) -> T {
    busy.set(Some(Instant::now()));
    let done = work();
    busy.set(None);
    done
}
