//! Reading what was acknowledged: the last records, all of it, proofs.

use super::backwards::Backwards;
use super::{Ledger, Published};
use crate::checkpoint::Checkpoint;
use crate::line::{Lines, Piece};
use crate::problem;
use crate::proof::{Extension, Proof};
use crate::record::Record;
use crate::tree::{Frontier, Prover, leaf_hash};
use cofferdam_model::{Problem, Result, Sha256};
use std::io::{self, Read, Write};

impl Ledger {
    /// The last `count` records, or all where there are fewer, in the ledger's order. Reads no more than that of the
    /// file, and verifies that each is what the one behind it says.
    ///
    /// # Errors
    /// `corrupt` where they are not what was written; `internal`, as the system says.
    pub fn tail(&self, count: usize) -> Result<Vec<Record>> {
        let Published {
            checkpoint,
            offset,
            mut last,
        } = self.published();
        let mut lines = Backwards::new(self.files.log(), offset);
        let mut index = checkpoint.size();
        let mut records = Vec::new();
        while records.len() < count && index > 0 {
            let line = lines
                .next()
                .map_err(|error| problem("cannot read the ledger", error))?
                .ok_or_else(changed)?;
            if Checkpoint::is_line(&line) {
                continue;
            }
            index -= 1;
            if leaf_hash(&line) != last {
                return Err(changed());
            }
            let record = Record::parse(&line)?;
            if record.index != index {
                return Err(changed());
            }
            last = record.previous;
            records.push(record);
        }
        records.reverse();
        Ok(records)
    }

    /// Writes all that was acknowledged to `out`, byte for byte, and answers the checkpoint with which it ends. It can
    /// be verified there ([`verify`](crate::verify)); here it is only copied. `progress` is told how many bytes are
    /// done, and of how many.
    ///
    /// # Errors
    /// `unavailable` or `internal`, as the system says.
    pub fn export(&self, out: &mut dyn Write, progress: &mut dyn FnMut(u64, u64)) -> Result<Checkpoint> {
        let published = self.published();
        let mut section = self.files.section(0, published.offset);
        let mut piece = vec![0; 64 << 10];
        let mut done = 0;
        loop {
            let read = match section.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(problem("cannot read the ledger", error)),
            };
            out.write_all(piece.get(..read).unwrap_or_default())
                .map_err(|error| problem("cannot write the export", error))?;
            done += read as u64;
            progress(done, published.offset);
        }
        if done != published.offset {
            return Err(changed());
        }
        out.flush()
            .map_err(|error| problem("cannot write the export", error))?;
        Ok(published.checkpoint)
    }

    /// The proof that record `index` is in the ledger. Reads all of it; `progress` is told how many records are done,
    /// and of how many.
    ///
    /// # Errors
    /// `missing` where there is no such record; `corrupt` where the ledger is not what was signed; `internal`, as the
    /// system says.
    pub fn prove(&self, index: u64, progress: &mut dyn FnMut(u64, u64)) -> Result<Proof> {
        let published = self.published();
        let size = published.checkpoint.size();
        let prover = Prover::inclusion(index, size).ok_or_else(|| {
            Problem::missing(format!("the ledger has no record {index}"))
                .remedy(format!("it has {size}; the first is 0"))
        })?;
        let mut found = Vec::new();
        let path = self.pass(&published, prover, &mut |at, line| {
            if at == index {
                found.extend(line);
            }
            progress(at + 1, size);
        })?;
        Ok(Proof {
            index,
            record: String::from_utf8(found).map_err(|_| changed())?,
            path,
            checkpoint: published.checkpoint.note().to_owned(),
        })
    }

    /// The proof that the ledger begins with its first `older` records, for a witness that has seen those. Reads all of
    /// it; `progress` is told how many records are done, and of how many.
    ///
    /// # Errors
    /// As [`Self::prove`]; `missing` where there are not so many.
    pub fn prove_extension(&self, older: u64, progress: &mut dyn FnMut(u64, u64)) -> Result<Extension> {
        let published = self.published();
        let size = published.checkpoint.size();
        let prover = Prover::extension(older, size).ok_or_else(|| {
            Problem::missing(format!("the ledger has only {size} records"))
                .remedy("compare that checkpoint with the ledger's: one of them is not this ledger's")
        })?;
        let path = self.pass(&published, prover, &mut |at, _| progress(at + 1, size))?;
        Ok(Extension {
            older,
            path,
            checkpoint: published.checkpoint.note().to_owned(),
        })
    }

    /// Lets every record pass by `prover`, and by `seen` with its index.
    fn pass(
        &self,
        published: &Published,
        mut prover: Prover,
        seen: &mut dyn FnMut(u64, &[u8]),
    ) -> Result<Vec<Sha256>> {
        let mut lines = Lines::new(self.files.section(0, published.offset), 0);
        let mut tree = Frontier::default();
        loop {
            let (_, piece) = lines
                .next()
                .map_err(|error| problem("cannot read the ledger", error))?;
            match piece {
                Piece::Line(line) if Checkpoint::is_line(line) => {}
                Piece::Line(line) => {
                    let leaf = leaf_hash(line);
                    seen(tree.size(), line);
                    prover.push(leaf);
                    tree.push(leaf);
                }
                Piece::TooLong | Piece::Unfinished => return Err(changed()),
                Piece::End => break,
            }
        }
        if tree.root() != published.checkpoint.root() {
            return Err(changed());
        }
        prover.proof().ok_or_else(changed)
    }
}

fn changed() -> Problem {
    Problem::corrupt("the ledger's file is not what was written")
        .remedy("verify it to learn where it was changed")
}
