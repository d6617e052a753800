//! The state file, `ledger.state`: what spares reading all of the log when it is opened. One JSON object:
//!
//! | field | what it is |
//! |---|---|
//! | `offset` | the byte of the log behind the checkpoint's line |
//! | `checkpoint` | the signed note |
//! | `frontier` | the hashes of the complete subtrees, the largest first |
//! | `last` | the leaf hash of the last record |
//!
//! It is believed only where the ledger's key signed the checkpoint, the frontier has its root, and the log has that
//! very checkpoint and that very record before `offset`. A state that is not signed so is as good as none. One that is
//! signed, but not in the log, shows that the log was cut or replaced.

use super::backwards::Backwards;
use super::files::Files;
use crate::checkpoint::Checkpoint;
use crate::record::Record;
use crate::tip::Tip;
use crate::tree::{Frontier, leaf_hash};
use crate::verifier_key::VerifierKey;
use cofferdam_model::{Problem, Result, Sha256};
use serde::{Deserialize, Serialize};
use std::io;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    offset: u64,
    checkpoint: String,
    frontier: Vec<Sha256>,
    last: Sha256,
}

/// The state on disk; none where there is none that `key` signed.
///
/// # Errors
/// As reading.
pub(super) fn read(files: &Files, key: &VerifierKey) -> io::Result<Option<Tip>> {
    match files.state() {
        Ok(bytes) => Ok(bytes.and_then(|bytes| parse(&bytes, key))),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Ok(None),
        Err(error) => Err(error),
    }
}

fn parse(bytes: &[u8], key: &VerifierKey) -> Option<Tip> {
    let written: Written = serde_json::from_slice(bytes).ok()?;
    let checkpoint = Checkpoint::parse(&written.checkpoint, key).ok()?;
    let frontier = Frontier::from_parts(checkpoint.size(), written.frontier)?;
    (frontier.root() == checkpoint.root()).then_some(Tip {
        offset: written.offset,
        checkpoint,
        frontier,
        last: written.last,
    })
}

/// Replaces the state on disk.
///
/// # Errors
/// As the system says.
pub(super) fn write(tip: &Tip, files: &Files) -> Result<()> {
    let written = Written {
        offset: tip.offset,
        checkpoint: tip.checkpoint.note().to_owned(),
        frontier: tip.frontier.peaks().to_vec(),
        last: tip.last,
    };
    let bytes = serde_json::to_vec(&written)
        .map_err(|error| Problem::internal(format!("cannot write the ledger's state: {error}")))?;
    files
        .write_state(&bytes)
        .map_err(|error| crate::problem("cannot write the ledger's state", error))
}

/// Whether the log has the state's checkpoint, and its last record before it, where the state says.
///
/// # Errors
/// As reading.
pub(super) fn fits(tip: &Tip, files: &Files) -> io::Result<bool> {
    if tip.offset > files.length()? {
        return Ok(false);
    }
    let mut lines = Backwards::new(files.log(), tip.offset);
    let mut next = || match lines.next() {
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Ok(None),
        line => line,
    };
    let (checkpoint, record) = (next()?, next()?);
    let known = checkpoint.is_some() && checkpoint == tip.checkpoint.line().ok();
    Ok(known && record.is_some_and(|line| is_last(&line, tip)))
}

fn is_last(line: &[u8], tip: &Tip) -> bool {
    let next = tip.checkpoint.size();
    leaf_hash(line) == tip.last && Record::parse(line).is_ok_and(|record| record.index + 1 == next)
}
