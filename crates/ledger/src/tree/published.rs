//! The vectors of RFC 6962's reference implementation (certificate-transparency, `merkletree`): eight leaves, the
//! roots of their trees, and proofs in them.

use super::*;

const LEAVES: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];

/// By size.
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

/// Index, size, path.
const INCLUSIONS: [(u64, u64, &[&str]); 5] = [
    (0, 1, &[]),
    (
        0,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        &[
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        3,
        &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    ),
    (
        1,
        5,
        &[
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
];

/// Older size, newer size, path.
const EXTENSIONS: [(u64, u64, &[&str]); 4] = [
    (1, 1, &[]),
    (
        1,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        &[
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        &[
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
];

fn hashes(hex: &[&str]) -> Vec<Sha256> {
    hex.iter()
        .map(|hex| format!("sha256:{hex}").parse().unwrap())
        .collect()
}

fn root(size: u64) -> Sha256 {
    hashes(&ROOTS)[usize::try_from(size).unwrap()]
}

fn pass(mut prover: Prover, size: u64) -> Vec<Sha256> {
    for leaf in LEAVES.iter().take(usize::try_from(size).unwrap()) {
        prover.push(leaf_hash(leaf));
    }
    prover.proof().unwrap()
}

#[test]
fn roots_are_the_published_ones() {
    let mut frontier = Frontier::default();
    for (size, leaf) in LEAVES.iter().enumerate() {
        assert_eq!(frontier.root(), root(size as u64), "of {size}");
        frontier.push(leaf_hash(leaf));
    }
    assert_eq!(frontier.root(), root(8));
}

#[test]
fn inclusions_are_the_published_ones() {
    for (index, size, path) in INCLUSIONS {
        let path = hashes(path);
        let found = pass(Prover::inclusion(index, size).unwrap(), size);
        assert_eq!(found, path, "{index} in {size}");
        let leaf = leaf_hash(LEAVES[usize::try_from(index).unwrap()]);
        assert!(
            includes(&root(size), size, index, &leaf, &path),
            "{index} in {size}"
        );
    }
}

#[test]
fn extensions_are_the_published_ones() {
    for (older, newer, path) in EXTENSIONS {
        let path = hashes(path);
        let found = pass(Prover::extension(older, newer).unwrap(), newer);
        assert_eq!(found, path, "{older} to {newer}");
        let (old, new) = (root(older), root(newer));
        assert!(extends((older, &old), (newer, &new), &path), "{older} to {newer}");
    }
}

#[test]
fn what_is_not_in_a_tree_has_no_proof() {
    assert!(Prover::inclusion(0, 0).is_none());
    assert!(Prover::inclusion(8, 8).is_none());
    assert!(Prover::extension(9, 8).is_none());
    assert!(Prover::inclusion(0, 2).unwrap().proof().is_none());
    let leaf = leaf_hash(b"");
    assert!(!includes(&root(0), 0, 0, &leaf, &[]));
    assert!(!includes(&root(1), 1, 1, &leaf, &[]));
    assert!(extends((0, &root(0)), (8, &root(8)), &[]));
    assert!(!extends((0, &root(1)), (8, &root(8)), &[]));
    assert!(!extends((8, &root(8)), (7, &root(7)), &[]));
    assert!(!extends((8, &root(8)), (8, &root(7)), &[]));
    // The right hashes, for trees of other sizes.
    let path = pass(Prover::extension(1, 2).unwrap(), 2);
    assert!(extends((1, &root(1)), (2, &root(2)), &path));
    assert!(!extends((1, &root(1)), (8, &root(2)), &path));
    let path = pass(Prover::inclusion(0, 2).unwrap(), 2);
    assert!(includes(&root(2), 2, 0, &leaf, &path));
    assert!(!includes(&root(2), 8, 0, &leaf, &path));
}
