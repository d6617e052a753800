//! Making proofs from leaves that pass by once.
//!
//! Every hash in a proof is that of a run of neighbouring leaves, and no two of these runs overlap. So one frontier
//! at a time is enough, and a proof about millions of leaves needs the memory of some hundred hashes.

use super::{Frontier, left_half};
use cofferdam_model::Sha256;
use std::ops::Range;

/// Makes one proof. Give it every leaf of the tree, in order.
#[derive(Debug)]
pub struct Prover {
    size: u64,
    passed: u64,
    /// The runs to come, the nearest last, each with its place in the proof.
    waiting: Vec<(usize, Range<u64>)>,
    /// The leaves of the nearest run that have passed.
    run: Frontier,
    found: Vec<(usize, Sha256)>,
}

impl Prover {
    /// For the proof that leaf `index` is in the tree of `size` leaves (RFC 9162, section 2.1.3.1); none where it
    /// cannot be.
    #[must_use]
    pub fn inclusion(index: u64, size: u64) -> Option<Self> {
        if index >= size {
            return None;
        }
        let (mut from, mut to) = (0, size);
        let mut runs = Vec::new();
        while to - from > 1 {
            let middle = from + left_half(to - from);
            if index < middle {
                runs.push(middle..to);
                to = middle;
            } else {
                runs.push(from..middle);
                from = middle;
            }
        }
        Some(Self::of(size, runs))
    }

    /// For the proof that the tree of `size` leaves begins with the tree of `older` (RFC 9162, section 2.1.4.1); none
    /// where it cannot. Nothing has to be proved for `older` 0: the proof is then empty.
    #[must_use]
    pub fn extension(older: u64, size: u64) -> Option<Self> {
        if older > size {
            return None;
        }
        let (mut from, mut to) = (0, size);
        let mut runs = Vec::new();
        while 0 < older && older < to {
            let middle = from + left_half(to - from);
            if older <= middle {
                runs.push(middle..to);
                to = middle;
            } else {
                runs.push(from..middle);
                from = middle;
            }
        }
        // Where nothing lies to the left, the run is the older tree, whose hash the verifier has.
        if from > 0 {
            runs.push(from..to);
        }
        Some(Self::of(size, runs))
    }

    /// `runs` from the root's down to the leaf's; proofs go the other way.
    fn of(size: u64, runs: Vec<Range<u64>>) -> Self {
        let mut waiting: Vec<_> = runs.into_iter().rev().enumerate().collect();
        waiting.sort_unstable_by_key(|(_, run)| std::cmp::Reverse(run.start));
        Prover {
            size,
            passed: 0,
            waiting,
            run: Frontier::default(),
            found: Vec::new(),
        }
    }

    /// Takes the next leaf, by its hash.
    pub fn push(&mut self, leaf: Sha256) {
        let index = self.passed;
        self.passed += 1;
        let Some((place, run)) = self.waiting.last() else {
            return;
        };
        if !run.contains(&index) {
            return;
        }
        self.run.push(leaf);
        if self.passed == run.end {
            self.found.push((*place, self.run.root()));
            self.run = Frontier::default();
            self.waiting.pop();
        }
    }

    /// The proof; none unless exactly the tree's leaves have passed.
    #[must_use]
    pub fn proof(mut self) -> Option<Vec<Sha256>> {
        if self.passed != self.size {
            return None;
        }
        self.found.sort_unstable_by_key(|(place, _)| *place);
        Some(self.found.into_iter().map(|(_, hash)| hash).collect())
    }
}
