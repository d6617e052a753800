//! What supervisor and worker say to each other: packets of JSON, with descriptors.
//!
//! The supervisor has the rights (mounts, the loop device, `/dev/fuse`), the worker has the store and the key. The key
//! goes from one to the other through a pipe and is in no packet.

use crate::{arguments::Access, write_cache::WriteCache};
use cofferdam_linux::packet;
use cofferdam_model::{Problem, Result, disk::Rotation};
use serde::{Deserialize, Serialize};
use std::{
    io,
    os::fd::{BorrowedFd, OwnedFd},
};

/// The longest packet, in bytes.
const MOST: usize = 64 << 10;

/// From the supervisor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Order {
    /// Leave this mount namespace. Descriptor: the empty one, where it is known.
    Leave,
    /// Open the volume and serve it. Descriptors: the store's directory and lock, the key's pipe, the right to end the
    /// connection, the channels, and the arenas of the workers before, oldest first.
    Serve {
        /// How the store is read and written.
        access: Access,
        /// When writes are answered.
        cache: WriteCache,
        /// The volume's id that the store must hold, where it is known.
        volume: Option<String>,
        /// What was remembered of the store.
        witness: Option<String>,
        /// Whether it serves on where the supervisor has ended.
        outlives: bool,
        /// How many channels there are.
        channels: usize,
        /// How many arenas workers before have left.
        rescue: usize,
        /// Whether two keys come through the pipe, the volume's and that before it, and then whether it has begun to be under
        /// the former.
        rotation: Option<bool>,
        /// Seconds that a request may take, while all is still well.
        patience: u64,
    },
    /// Encrypt everything anew. Descriptor: the new key's pipe. Then [`Report::Rotation`], or [`Report::Refused`].
    Rotate,
    /// Make the disk larger, to so many bytes. Then [`Report::Grown`], or [`Report::Refused`].
    Grow(u64),
    /// Close the volume in peace and end.
    Close,
}

/// From the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Report {
    /// Nothing of the mount namespace is held any more. Descriptor: the empty one, where it was made.
    Left,
    /// What is acknowledged from here on lies in this arena until it is written. Descriptor: the arena.
    Arena,
    /// The disk is served.
    Ready {
        /// What could not be had of the confinement, for the log.
        missing: Vec<String>,
    },
    /// Requests are answered in time.
    Alive,
    /// Remember this.
    Witness(String),
    /// Something that people should hear of: damage, a store that fails.
    Fault {
        /// What, in one sentence.
        what: String,
        /// Whether bytes did not verify.
        tampering: bool,
    },
    /// The volume is under its new key, and so far with what is not; none: nothing is left of that.
    Rotation(Option<Rotation>),
    /// The disk has the size.
    Grown,
    /// The last order could not be carried out.
    Refused(Problem),
    /// The volume is closed; remember this.
    Closed(String),
    /// The volume cannot be opened, or not be closed.
    Failed(Problem),
}

/// Sends one; answers whether the other end is there. One that has ended is found out by [`receive`].
pub(crate) fn send<T: Serialize>(
    socket: BorrowedFd<'_>,
    message: &T,
    descriptors: &[BorrowedFd<'_>],
) -> Result<bool> {
    let bytes = serde_json::to_vec(message)
        .map_err(|error| Problem::internal(format!("a message has no JSON form: {error}")))?;
    match packet::send(socket, &bytes, descriptors) {
        Ok(()) => Ok(true),
        Err(error) if has_ended(&error) => Ok(false),
        Err(error) => Err(Problem::unavailable(format!(
            "the other process cannot be told: {error}"
        ))),
    }
}

/// Receives one; none where the other end is gone.
pub(crate) fn receive<T: for<'de> Deserialize<'de>>(
    socket: BorrowedFd<'_>,
) -> Result<Option<(T, Vec<OwnedFd>)>> {
    let packet = match packet::receive(socket, MOST) {
        Ok(packet) => packet,
        Err(error) if has_ended(&error) => return Ok(None),
        Err(error) => {
            return Err(Problem::unavailable(format!(
                "the other process cannot be heard: {error}"
            )));
        }
    };
    let message = serde_json::from_slice(&packet.bytes)
        .map_err(|error| Problem::internal(format!("the other process speaks otherwise: {error}")))?;
    Ok(Some((message, packet.descriptors)))
}

/// Whether an error means that the other end is gone.
fn has_ended(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}
