//! The Merkle tree of RFC 6962 and RFC 9162 (section 2.1), over SHA-256. No I/O.
//!
//! | hash of | is SHA-256 of |
//! |---|---|
//! | a leaf | `0x00`, the leaf's bytes |
//! | a node | `0x01`, the hash of its left half, the hash of its right half |
//! | nothing | nothing |
//!
//! The left half of `n` leaves is the largest power of two below `n`. Leaves come one at a time; what is kept of
//! them is a [`Frontier`], at most 64 hashes.
//!
//! What this does not do: keep leaves, or find them again.

mod check;
#[cfg(test)]
mod oracle;
mod prover;
#[cfg(test)]
mod published;

pub use check::{extends, includes};
pub use prover::Prover;

use cofferdam_model::Sha256;
use sha2::Digest;

/// The hash of a leaf.
#[must_use]
pub fn leaf_hash(bytes: &[u8]) -> Sha256 {
    hash(&[&[0x00], bytes])
}

/// The hash of a node above `left` and `right`.
fn node_hash(left: &Sha256, right: &Sha256) -> Sha256 {
    hash(&[&[0x01], left.as_bytes(), right.as_bytes()])
}

fn hash(parts: &[&[u8]]) -> Sha256 {
    let mut hasher = sha2::Sha256::new();
    for part in parts {
        hasher.update(part);
    }
    Sha256::from_bytes(hasher.finalize().into())
}

/// The hashes of a tree's complete subtrees, the largest first: enough to add leaves and to know the root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    // INVARIANT: one for each bit that is set in `size`.
    peaks: Vec<Sha256>,
}

impl Frontier {
    /// The frontier of `size` leaves with these hashes; none where their number does not fit.
    #[must_use]
    pub fn from_parts(size: u64, peaks: Vec<Sha256>) -> Option<Self> {
        let fits = u32::try_from(peaks.len()).is_ok_and(|count| count == size.count_ones());
        fits.then_some(Frontier { size, peaks })
    }

    /// The number of leaves.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of the complete subtrees, the largest first.
    #[must_use]
    pub fn peaks(&self) -> &[Sha256] {
        &self.peaks
    }

    /// Adds a leaf, by its hash.
    pub fn push(&mut self, leaf: Sha256) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            if let Some(left) = self.peaks.pop() {
                hash = node_hash(&left, &hash);
            }
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The hash of the whole tree.
    #[must_use]
    pub fn root(&self) -> Sha256 {
        let peaks = self.peaks.iter().rev().copied();
        peaks
            .reduce(|right, left| node_hash(&left, &right))
            .unwrap_or_else(|| hash(&[]))
    }
}

/// How many of `leaves` leaves, at least two, are in the left half.
fn left_half(leaves: u64) -> u64 {
    1 << leaves.saturating_sub(1).checked_ilog2().unwrap_or(0)
}
