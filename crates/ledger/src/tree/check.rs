//! Verifying proofs. Whoever made them, a path that is too long, too short or of other hashes proves nothing.

use super::{Frontier, node_hash};
use cofferdam_model::Sha256;

/// The way from a leaf, or from an older tree's last node, up to the root.
struct Climb {
    /// Where we are on this level, and where the level ends.
    index: u64,
    last: u64,
}

impl Climb {
    /// Whether the next hash of the path is our left neighbour. Then goes up; none where the root was reached before.
    fn up(&mut self) -> Option<bool> {
        if self.last == 0 {
            return None;
        }
        let neighbour_is_left = self.index & 1 == 1 || self.index == self.last;
        if neighbour_is_left {
            // On the right edge there are levels on which we have no neighbour.
            while self.index & 1 == 0 && self.index != 0 {
                self.shift();
            }
        }
        self.shift();
        Some(neighbour_is_left)
    }

    fn shift(&mut self) {
        self.index >>= 1;
        self.last >>= 1;
    }
}

/// Whether `path` proves that the tree of `size` leaves with this root has `leaf` at `index` (RFC 9162, section
/// 2.1.3.2).
#[must_use]
pub fn includes(root: &Sha256, size: u64, index: u64, leaf: &Sha256, path: &[Sha256]) -> bool {
    if index >= size {
        return false;
    }
    let mut climb = Climb {
        index,
        last: size - 1,
    };
    let mut hash = *leaf;
    for neighbour in path {
        hash = match climb.up() {
            Some(true) => node_hash(neighbour, &hash),
            Some(false) => node_hash(&hash, neighbour),
            None => return false,
        };
    }
    climb.last == 0 && hash == *root
}

/// Whether `path` proves that the tree of `newer` (its size and root) begins with the tree of `older` (RFC 9162,
/// section 2.1.4.2). Every tree begins with the empty one, and with itself, by an empty path.
#[must_use]
pub fn extends(older: (u64, &Sha256), newer: (u64, &Sha256), path: &[Sha256]) -> bool {
    let ((older_size, older_root), (newer_size, newer_root)) = (older, newer);
    if older_size > newer_size {
        return false;
    }
    if older_size == 0 {
        return path.is_empty() && *older_root == Frontier::default().root();
    }
    if older_size == newer_size {
        return path.is_empty() && older_root == newer_root;
    }
    let mut climb = Climb {
        index: older_size - 1,
        last: newer_size - 1,
    };
    while climb.index & 1 == 1 {
        climb.shift();
    }
    // A complete older tree is itself a node of the newer one; else the path begins with the node to start from.
    let (first, path) = match (older_size.is_power_of_two(), path.split_first()) {
        (true, Some(_)) => (older_root, path),
        (false, Some((first, rest))) => (first, rest),
        (_, None) => return false,
    };
    let (mut old, mut new) = (*first, *first);
    for neighbour in path {
        match climb.up() {
            Some(true) => {
                old = node_hash(neighbour, &old);
                new = node_hash(neighbour, &new);
            }
            Some(false) => new = node_hash(&new, neighbour),
            None => return false,
        }
    }
    climb.last == 0 && old == *older_root && new == *newer_root
}
