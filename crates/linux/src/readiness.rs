//! Descriptors in tokio's event loop. Only with the feature `tokio`, which small programs go without.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A descriptor that can be waited for until it is readable.
#[derive(Debug)]
pub struct Readable(AsyncFd<OwnedFd>);

impl Readable {
    /// Registers `descriptor` with the event loop that this is called in.
    ///
    /// # Errors
    /// As epoll_ctl(2): `EPERM` for a descriptor that cannot be waited for.
    pub fn new(descriptor: OwnedFd) -> io::Result<Self> {
        // SAFETY: tokio wants the descriptor to stay the same open file for as long as it is registered. An OwnedFd
        // that nobody else can take out does, and it is closed only after it was taken off the event loop.
        Ok(Readable(
            unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }
                .map_err(io::Error::from)?,
        ))
    }

    /// Waits until `attempt` does not say `WouldBlock` any more; it is tried whenever the descriptor may be readable.
    ///
    /// # Errors
    /// The attempt's own.
    pub async fn when_readable<T>(
        &self,
        mut attempt: impl FnMut(BorrowedFd<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            let mut ready = self.0.readable().await?;
            if let Ok(result) = ready.try_io(|descriptor| attempt(descriptor.as_fd())) {
                return result;
            }
        }
    }
}
