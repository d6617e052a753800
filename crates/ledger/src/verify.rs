//! Verifying an exported ledger, anywhere, with nothing but the verifier key.
//!
//! What it proves: each record is as it was written, in its place, and under a checkpoint that the ledger's key signed;
//! and, where an older checkpoint is given, that nothing before it was changed since and nothing of it is gone.
//!
//! What it cannot prove: that the file is not an older copy, or another history that whoever holds the key has signed.
//! Only a checkpoint that was kept elsewhere tells. Nor does it show that a checkpoint was taken out of the middle:
//! the records that it covered are covered by the next one.

use crate::breakage::Break;
use crate::chain::Chain;
use crate::checkpoint::Checkpoint;
use crate::finding::Fault;
use crate::line::Lines;
use crate::verifier_key::VerifierKey;
use crate::walk::{Ending, walk};
use std::io::Read;

/// What a ledger that verifies holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many records.
    pub records: u64,
    /// How many checkpoints: how often records were added.
    pub frames: u64,
    /// The last checkpoint, to be kept and given as the older one next time; none where there are no records.
    pub checkpoint: Option<Checkpoint>,
}

/// Verifies a ledger: its file, or what was exported of it. `progress` is told how many bytes have been read.
///
/// Needs memory for a few lines, however long the ledger is.
///
/// # Errors
/// [`Fault::Found`] with the first thing that is wrong; [`Fault::Unreadable`] where reading failed.
pub fn verify(
    input: impl Read,
    key: &VerifierKey,
    older: Option<&Checkpoint>,
    progress: &mut dyn FnMut(u64),
) -> Result<Verified, Fault> {
    let mut chain = Chain::new(key, older);
    let ending = walk(&mut Lines::new(input, 0), &mut chain, progress)?;
    let whole = match ending {
        Ending::Whole => chain.rewound(),
        Ending::Torn => Err(Break::Unfinished),
    };
    whole.map_err(|broken| Fault::Found(broken.finding(&chain, chain.end(), false)))?;
    Ok(Verified {
        records: chain.covered(),
        frames: chain.frames,
        checkpoint: chain.tip.map(|tip| tip.checkpoint),
    })
}
