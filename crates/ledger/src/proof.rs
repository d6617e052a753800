//! Proofs that travel alone, as JSON documents: that a record is in the ledger, and that a ledger grew from an older
//! one by nothing but new records.
//!
//! | field of a [`Proof`] | what it is |
//! |---|---|
//! | `index` | the record's index |
//! | `record` | the record's line, without its newline |
//! | `path` | the inclusion path, from the leaf's neighbour up (RFC 9162, section 2.1.3) |
//! | `checkpoint` | the signed note |
//!
//! | field of an [`Extension`] | what it is |
//! |---|---|
//! | `older` | the size of the older tree |
//! | `path` | the consistency path (RFC 9162, section 2.1.4) |
//! | `checkpoint` | the signed note of the newer tree |

use crate::checkpoint::Checkpoint;
use crate::record::Record;
use crate::tree::{extends, includes, leaf_hash};
use crate::verifier_key::VerifierKey;
use cofferdam_model::{Problem, Result, Sha256};
use serde::{Deserialize, Serialize};

/// That a record is in the ledger. A claim, until [`verify_proof`] has looked at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The record's index.
    pub index: u64,
    /// The record's line, without its newline.
    pub record: String,
    /// The inclusion path.
    pub path: Vec<Sha256>,
    /// The signed note of the tree that it leads to.
    pub checkpoint: String,
}

/// That a ledger begins with an older one, for witnesses. A claim, until [`verify_extension`] has looked at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Extension {
    /// The size of the older tree.
    pub older: u64,
    /// The consistency path.
    pub path: Vec<Sha256>,
    /// The signed note of the newer tree.
    pub checkpoint: String,
}

/// What a proof proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The record.
    pub record: Record,
    /// The checkpoint that covers it.
    pub checkpoint: Checkpoint,
}

/// Verifies a proof that a record is in the ledger of `key`.
///
/// # Errors
/// `corrupt` where it proves nothing.
pub fn verify_proof(proof: &Proof, key: &VerifierKey) -> Result<Proven> {
    let checkpoint = Checkpoint::parse(&proof.checkpoint, key)?;
    let (line, index) = (proof.record.as_bytes(), proof.index);
    let (root, size) = (checkpoint.root(), checkpoint.size());
    if !includes(&root, size, index, &leaf_hash(line), &proof.path) {
        return Err(nothing(
            "its path does not lead from the record to the checkpoint",
        ));
    }
    let record = Record::parse(line).map_err(|problem| nothing(&problem.message))?;
    if record.index != index {
        return Err(nothing("the record has another index"));
    }
    Ok(Proven { record, checkpoint })
}

/// Verifies a proof that the ledger of `key` grew from `older`, and answers its newer checkpoint.
///
/// # Errors
/// `corrupt` where it proves nothing.
pub fn verify_extension(extension: &Extension, older: &Checkpoint, key: &VerifierKey) -> Result<Checkpoint> {
    let newer = Checkpoint::parse(&extension.checkpoint, key)?;
    let (old, new) = (older.root(), newer.root());
    let proves = extension.older == older.size()
        && extends((older.size(), &old), (newer.size(), &new), &extension.path);
    if !proves || older.origin() != newer.origin() {
        return Err(nothing(
            "its path does not lead from the older checkpoint to the newer",
        ));
    }
    Ok(newer)
}

fn nothing(why: &str) -> Problem {
    Problem::corrupt(format!("the proof proves nothing: {why}"))
        .remedy("ask the ledger's host for it again; if it stays so, verify an export of the ledger")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Actor, Event};
    use crate::record::NOTHING_BEFORE;
    use crate::tree::Frontier;
    use cofferdam_vault::SigningKey;
    use jiff::Timestamp;

    #[test]
    fn even_signed_a_record_is_proved_in_its_own_place_alone() {
        let key = SigningKey::take(&mut [1; 32]).unwrap();
        let verifier = VerifierKey::new("example.com/l".parse().unwrap(), key.verifying());
        let proves = |index| {
            let event = Event::Act {
                verb: "v".into(),
                subject: "s".into(),
                detail: Vec::new(),
                by: Actor::Daemon,
            };
            let record = Record::new(index, Timestamp::UNIX_EPOCH, NOTHING_BEFORE, event);
            let line = record.line().unwrap();
            let mut tree = Frontier::default();
            tree.push(leaf_hash(&line));
            let proof = Proof {
                index: 0,
                record: String::from_utf8(line).unwrap(),
                path: Vec::new(),
                checkpoint: Checkpoint::sign(&tree, &verifier, &key).note().to_owned(),
            };
            verify_proof(&proof, &verifier).is_ok()
        };
        assert!(proves(0));
        assert!(!proves(1));
    }
}
