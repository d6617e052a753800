//! Opening a log: what is whole is verified, what was torn off a crash's last write is cut, and anything else that is
//! wrong is told and left as it is.
//!
//! A frame is written by one write, and nothing of it is acknowledged before all of it is durable; its last byte is the
//! newline of its checkpoint. So whatever a crash leaves unfinished has no checkpoint behind it, and every line before
//! it must be right. A line that is whole and wrong was not torn: it is never cut away.

use super::files::Files;
use super::state;
use crate::breakage::Break;
use crate::chain::Chain;
use crate::finding::Fault;
use crate::line::Lines;
use crate::problem;
use crate::tip::Tip;
use crate::verifier_key::VerifierKey;
use crate::walk::{Ending, walk};
use cofferdam_model::Result;

/// What was found.
#[derive(Debug)]
pub(super) struct Recovered {
    /// Where the log ends; none where there are no records.
    pub(super) tip: Option<Tip>,
    /// How many records the state on disk has; 0 where it has to be written anew.
    pub(super) saved: u64,
    /// How many bytes were cut.
    pub(super) cut: u64,
}

/// Reads the log, from where the state on disk says that it may begin.
///
/// # Errors
/// `corrupt` with the place; else as the system says.
pub(super) fn recover(files: &Files, key: &VerifierKey) -> Result<Recovered> {
    let fail = |error| problem("cannot read the ledger", error);
    let length = files.length().map_err(fail)?;
    let known = state::read(files, key).map_err(fail)?;
    let fits = match &known {
        Some(tip) => state::fits(tip, files).map_err(fail)?,
        None => false,
    };
    let mut chain = match &known {
        Some(tip) if fits => Chain::resume(key, tip.clone()),
        // The log is read from its beginning, and must still lead to what was signed.
        Some(tip) => Chain::new(key, Some(&tip.checkpoint)),
        None => Chain::new(key, None),
    };
    let saved = chain.covered();
    let from = chain.end();
    let ending = walk(
        &mut Lines::new(files.section(from, length), from),
        &mut chain,
        &mut |_| {},
    )?;
    let end = chain.end();
    let told = |broken: Break| Fault::Found(broken.finding(&chain, end, false));
    chain.rewound().map_err(told)?;
    let (durable, cut) = match ending {
        Ending::Whole => (files.sync(), 0),
        Ending::Torn => (files.cut(end), length.saturating_sub(end)),
    };
    durable.map_err(|error| problem("cannot make the ledger durable", error))?;
    Ok(Recovered {
        tip: chain.tip,
        saved,
        cut,
    })
}
