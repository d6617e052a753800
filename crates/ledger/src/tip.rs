//! Where a ledger ends: all that is needed to go on from a checkpoint.

use crate::checkpoint::Checkpoint;
use crate::tree::Frontier;
use cofferdam_model::Sha256;

/// A checkpoint, with what it covers.
#[derive(Debug, Clone)]
pub(crate) struct Tip {
    /// The byte behind the checkpoint's line.
    pub(crate) offset: u64,
    pub(crate) checkpoint: Checkpoint,
    /// The tree of all records.
    pub(crate) frontier: Frontier,
    /// The leaf hash of the last record.
    pub(crate) last: Sha256,
}
