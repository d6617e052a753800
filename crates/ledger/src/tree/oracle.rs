//! The tree against another one, `ct-merkle`, which was written by others: the same roots and the same proofs, which
//! both sides accept, and no others.

use super::*;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof};
use proptest::prelude::*;

type Oracle = MemoryBackedTree<sha2::Sha256, Vec<u8>>;

fn leaves(count: u64) -> impl Iterator<Item = Vec<u8>> {
    (0..count).map(|leaf| leaf.to_le_bytes().to_vec())
}

fn oracle(count: u64) -> Oracle {
    let mut tree = Oracle::new();
    leaves(count).for_each(|leaf| tree.push(leaf));
    tree
}

fn frontier(count: u64) -> Frontier {
    let mut frontier = Frontier::default();
    leaves(count).for_each(|leaf| frontier.push(leaf_hash(&leaf)));
    frontier
}

fn pass(mut prover: Prover, count: u64) -> Vec<Sha256> {
    leaves(count).for_each(|leaf| prover.push(leaf_hash(&leaf)));
    prover.proof().unwrap()
}

fn bytes(path: &[Sha256]) -> Vec<u8> {
    path.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

/// Paths that differ from `path` a little.
fn spoiled(path: &[Sha256], bit: usize) -> Vec<Vec<Sha256>> {
    let longer = [path, &[leaf_hash(b"one more")]].concat();
    let Some(last) = path.last() else {
        return vec![longer];
    };
    let mut flipped = path.to_vec();
    let place = bit / 256 % path.len();
    let mut hash = *path[place].as_bytes();
    hash[bit / 8 % 32] ^= 1 << (bit % 8);
    flipped[place] = Sha256::from_bytes(hash);
    let doubled = [path, &[*last]].concat();
    vec![
        longer,
        flipped,
        doubled,
        path[1..].to_vec(),
        path[..path.len() - 1].to_vec(),
    ]
}

proptest! {
    #[test]
    fn roots_agree(size in 0_u64..300) {
        let frontier = frontier(size);
        if size > 0 {
            let theirs = oracle(size).root();
            prop_assert_eq!(theirs.as_bytes().to_vec(), frontier.root().as_bytes().to_vec());
        }
        let again = Frontier::from_parts(size, frontier.peaks().to_vec());
        prop_assert_eq!(again, Some(frontier.clone()));
        let fewer = frontier.peaks().iter().skip(1).copied().collect();
        prop_assert!(size == 0 || Frontier::from_parts(size, fewer).is_none());
    }

    #[test]
    fn inclusions_agree(size in 1_u64..300, index: prop::sample::Index, bit: usize) {
        let index = index.index(usize::try_from(size).unwrap());
        let path = pass(Prover::inclusion(index as u64, size).unwrap(), size);
        let tree = oracle(size);
        prop_assert_eq!(tree.prove_inclusion(index).as_bytes().to_vec(), bytes(&path));
        let theirs = InclusionProof::<sha2::Sha256>::try_from_bytes(bytes(&path)).unwrap();
        let content = (index as u64).to_le_bytes().to_vec();
        prop_assert!(tree.root().verify_inclusion(&content, index as u64, &theirs).is_ok());

        let (root, leaf) = (frontier(size).root(), leaf_hash(&content));
        prop_assert!(includes(&root, size, index as u64, &leaf, &path));
        for path in spoiled(&path, bit) {
            prop_assert!(!includes(&root, size, index as u64, &leaf, &path));
        }
        prop_assert!(!includes(&root, size, index as u64, &leaf_hash(b"another"), &path));
        prop_assert!(!includes(&leaf_hash(b"another"), size, index as u64, &leaf, &path));
        for other in (0..size).filter(|other| *other != index as u64) {
            prop_assert!(!includes(&root, size, other, &leaf, &path));
        }
    }

    #[test]
    fn extensions_agree(size in 2_u64..300, older: prop::sample::Index, bit: usize) {
        let older = 1 + older.index(usize::try_from(size).unwrap() - 1) as u64;
        let path = pass(Prover::extension(older, size).unwrap(), size);
        let (tree, before) = (oracle(size), oracle(older));
        let theirs = tree.prove_consistency(usize::try_from(size - older).unwrap());
        prop_assert_eq!(theirs.as_bytes().to_vec(), bytes(&path));
        let theirs = ConsistencyProof::<sha2::Sha256>::try_from_bytes(bytes(&path)).unwrap();
        prop_assert!(tree.root().verify_consistency(&before.root(), &theirs).is_ok());

        let (old, new) = (frontier(older).root(), frontier(size).root());
        prop_assert!(extends((older, &old), (size, &new), &path));
        for path in spoiled(&path, bit) {
            prop_assert!(!extends((older, &old), (size, &new), &path));
        }
        let another = leaf_hash(b"another");
        prop_assert!(!extends((older, &another), (size, &new), &path));
        prop_assert!(!extends((older, &old), (size, &another), &path));
    }
}
