//! What the daemon wants of a worker, on its way there through the minder.

use cofferdam_model::Result;
use cofferdam_vault::VolumeKey;
use std::sync::mpsc::Sender;

/// A wish.
#[derive(Debug)]
pub(crate) enum Wish {
    /// Everything is to be encrypted anew under this key.
    Rotate(VolumeKey),
    /// The disk is to have so many bytes.
    Grow(u64),
}

/// A wish, and whom to answer. Dropped without an answer where the disk is no longer served.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) wish: Wish,
    pub(crate) answer: Sender<Result<()>>,
}

/// A wish that a worker was told of.
#[derive(Debug)]
pub(crate) enum Told {
    /// Whoever follows the worker is briefed with both keys, and begins where it had not.
    Rotation,
    /// Whoever follows the worker is told again.
    Growth(u64),
}
