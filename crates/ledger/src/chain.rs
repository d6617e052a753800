//! The rules that bind one line of a ledger to the next. Pure: lines in, the first break out.
//!
//! 1. A record has the index that comes next, and the leaf hash of the record before.
//! 2. A checkpoint is signed by the ledger's key, has exactly the records before it, and is the first since the last
//!    of them.
//! 3. Where an older checkpoint is known, the tree had its root when it had its size.

use crate::breakage::Break;
use crate::checkpoint::Checkpoint;
use crate::record::{NOTHING_BEFORE, Record};
use crate::tip::Tip;
use crate::tree::{Frontier, leaf_hash};
use crate::verifier_key::VerifierKey;
use cofferdam_model::Sha256;

/// What of a ledger has been read.
#[derive(Debug)]
pub(crate) struct Chain<'k> {
    key: &'k VerifierKey,
    older: Option<&'k Checkpoint>,
    /// The tree of all records read.
    pub(crate) frontier: Frontier,
    /// The leaf hash of the last record read, and the byte at which it begins.
    last: Sha256,
    pub(crate) last_offset: u64,
    /// The last checkpoint read; none before the first. What lies before it is verified.
    pub(crate) tip: Option<Tip>,
    /// How many checkpoints were read.
    pub(crate) frames: u64,
}

impl<'k> Chain<'k> {
    /// Of a ledger from its beginning on.
    pub(crate) fn new(key: &'k VerifierKey, older: Option<&'k Checkpoint>) -> Self {
        Chain {
            key,
            older,
            frontier: Frontier::default(),
            last: NOTHING_BEFORE,
            last_offset: 0,
            tip: None,
            frames: 0,
        }
    }

    /// Of a ledger from `tip` on, which was verified before.
    pub(crate) fn resume(key: &'k VerifierKey, tip: Tip) -> Self {
        Chain {
            frontier: tip.frontier.clone(),
            last: tip.last,
            tip: Some(tip),
            ..Self::new(key, None)
        }
    }

    /// The number of records under the last checkpoint.
    pub(crate) fn covered(&self) -> u64 {
        self.tip.as_ref().map_or(0, |tip| tip.checkpoint.size())
    }

    /// The byte behind the last checkpoint.
    pub(crate) fn end(&self) -> u64 {
        self.tip.as_ref().map_or(0, |tip| tip.offset)
    }

    /// Whether there are records since the last checkpoint.
    pub(crate) fn is_open(&self) -> bool {
        self.frontier.size() > self.covered()
    }

    /// Takes a line, without its newline, that begins at the byte `offset`.
    pub(crate) fn take(&mut self, offset: u64, line: &[u8]) -> Result<(), Break> {
        if Checkpoint::is_line(line) {
            self.checkpoint(offset, line)
        } else {
            self.record(line)?;
            self.last_offset = offset;
            Ok(())
        }
    }

    fn record(&mut self, line: &[u8]) -> Result<(), Break> {
        let record = Record::parse(line).map_err(|problem| Break::NoRecord(problem.message))?;
        let (index, next, leaf) = (record.index, self.frontier.size(), leaf_hash(line));
        if index > next {
            return Err(Break::Ahead(index));
        }
        if index < next {
            // Of records before the last one no hash is kept: one of their indexes is taken for a copy.
            let copy = leaf == self.last || index + 1 < next;
            return Err(if copy {
                Break::Again(index)
            } else {
                Break::Second(index)
            });
        }
        if record.previous != self.last {
            return Err(Break::Link);
        }
        self.frontier.push(leaf);
        self.last = leaf;
        match self.older {
            Some(older) if older.size() == index + 1 && older.root() != self.frontier.root() => {
                Err(Break::Another(older.size()))
            }
            _ => Ok(()),
        }
    }

    fn checkpoint(&mut self, offset: u64, line: &[u8]) -> Result<(), Break> {
        let checkpoint = Checkpoint::from_line(line, self.key).map_err(Break::Unsigned)?;
        let (size, records, covered) = (checkpoint.size(), self.frontier.size(), self.covered());
        if size > records {
            return Err(Break::Short(size));
        }
        if size <= covered {
            return Err(Break::Stale(size));
        }
        if size < records {
            return Err(Break::Long(size));
        }
        if checkpoint.root() != self.frontier.root() {
            return Err(Break::Root);
        }
        self.tip = Some(Tip {
            offset: offset + line.len() as u64 + 1,
            checkpoint,
            frontier: self.frontier.clone(),
            last: self.last,
        });
        self.frames += 1;
        Ok(())
    }

    /// To be asked at the end: whether the older checkpoint had more records than are verified now.
    pub(crate) fn rewound(&self) -> Result<(), Break> {
        match self.older {
            Some(older) if older.size() > self.covered() => Err(Break::Rewound(older.size())),
            _ => Ok(()),
        }
    }
}
