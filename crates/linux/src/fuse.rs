//! The kernel's side of a filesystem that a program answers for (fuse(4), `linux/fuse.h`, protocol 7.31 and
//! later): the device that requests come from, their bytes, the answers' bytes, the mount, and how to end it.
//!
//! | room | subject |
//! |---|---|
//! | [`Channel`] | `/dev/fuse`: receive a request, send an answer |
//! | [`Request`] | bytes from the kernel → a request; pure |
//! | [`Body`] | an answer's bytes; pure |
//! | [`Mount`] | a mount that nobody sees, and [`Abort`], which ends its connection |
//!
//! What is not here: what to answer. Only the requests are taken apart that a filesystem of a few files with
//! direct I/O sees; all others are [`Operation::Other`].

mod body;
mod channel;
mod mount;
mod request;

pub use body::{Attributes, Body, HEADER_LENGTH, Limits, OpenFlags, header};
pub(crate) use channel::CLONE;
pub use channel::{Channel, Received};
pub use mount::{Abort, Mount};
pub use request::{InitFlags, Malformed, Operation, Request, WRITE_HEADER_LENGTH};

/// The root directory's number.
pub const ROOT: u64 = 1;

/// The most bytes that one READ asks for or one WRITE brings: 256 pages (`FUSE_MAX_MAX_PAGES`).
pub const TRANSFER_MAX: usize = 1 << 20;
