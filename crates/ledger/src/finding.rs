//! What is wrong with a ledger, and where.

use cofferdam_model::Problem;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the damage looks like, as far as the file alone can tell. Whoever damages a file can make one thing look like
/// another, but not like nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Looks {
    /// A record is not as it was written.
    Changed,
    /// Records are not there.
    Removed,
    /// A record is there, but further down.
    Moved,
    /// A record is there that was never written.
    Inserted,
    /// A record or a checkpoint is there a second time.
    Duplicated,
    /// A checkpoint is not signed with the ledger's key.
    Unsigned,
    /// Signed, but not the ledger that signed the older checkpoint.
    Rewritten,
    /// The end is not there.
    Cut,
}

/// The first thing that is wrong with a ledger. What comes behind it proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// What it looks like.
    pub looks: Looks,
    /// The record it is about, by its index.
    pub record: u64,
    /// The byte of the file at which that record's line begins, or the line in its place.
    pub offset: u64,
    /// What was found, in one sentence.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Finding {
            record,
            offset,
            message,
            ..
        } = self;
        write!(f, "{message} (record {record}, byte {offset})")
    }
}

impl From<Finding> for Problem {
    fn from(finding: Finding) -> Problem {
        Problem::corrupt(format!("the ledger is not what was signed: {finding}")).remedy(
            "keep the file as it is, for it is evidence, and find out who could write it; then go on with a copy that verifies, or with a new ledger",
        )
    }
}

/// Why a ledger does not verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It could not be read to its end. That says nothing about what it holds.
    Unreadable(Problem),
    /// It was read, and something is wrong with it.
    Found(Finding),
}

impl Fault {
    pub(crate) fn unreadable(error: std::io::Error) -> Self {
        Fault::Unreadable(crate::problem("cannot read the ledger", error))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Unreadable(problem) => problem.fmt(f),
            Fault::Found(finding) => finding.fmt(f),
        }
    }
}

impl std::error::Error for Fault {}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Problem {
        match fault {
            Fault::Unreadable(problem) => problem,
            Fault::Found(finding) => finding.into(),
        }
    }
}
