//! Every fuzz target on what it begins with, on what is kept below `fuzz/corpus`, and on mutations of both that a seed
//! decides. `cargo xtask fuzz` goes on from there for as long as one likes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use cofferdam_disk_sim::{random::Random, targets::ALL};
use std::path::Path;

/// Mutations for each target; the store's are dear.
fn mutations(name: &str) -> usize {
    match name {
        "store" => 700,
        _ => 60_000,
    }
}

fn kept(name: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(name);
    // Git keeps no empty directories: nothing is kept where there is none.
    if !directory.exists() {
        return Vec::new();
    }
    let mut files: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// A few small changes, as fuzzers make them.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let at = random.index(bytes.len() + 1);
        let place = bytes.get_mut(at);
        match (random.below(7), place) {
            (0, Some(byte)) => *byte ^= 1 << random.below(8),
            (1, Some(byte)) => *byte = random.pick(&[0, 1, 0x7f, 0x80, 0xff]),
            (2, Some(byte)) => *byte = byte.wrapping_add(1),
            (3, Some(byte)) => *byte = byte.wrapping_sub(1),
            (4, Some(_)) => {
                let end = (at + random.pick(&[1, 2, 4, 8])).min(bytes.len());
                bytes.drain(at..end);
            }
            (5, _) => {
                let mut more = vec![0; random.pick(&[1, 2, 4, 8])];
                random.fill(&mut more);
                bytes.splice(at..at, more);
            }
            (_, Some(_)) => {
                let end = (at + random.pick(&[2, 4, 8])).min(bytes.len());
                let byte = random.pick(&[0, 0xff]);
                bytes.get_mut(at..end).unwrap_or_default().fill(byte);
            }
            (_, None) => bytes.push(random.pick(&[0, 1, 0xff])),
        }
    }
}

#[test]
fn no_target_is_surprised() {
    for target in ALL {
        let mut begin = (target.seeds)();
        begin.extend(kept(target.name));
        for bytes in &begin {
            (target.run)(bytes);
        }
        let mut random = Random::new(1);
        for _ in 0..mutations(target.name) {
            let mut bytes = begin[random.index(begin.len())].clone();
            mutate(&mut bytes, &mut random);
            (target.run)(&bytes);
        }
    }
}

/// The parsers' own beginnings are taken: else their mutations would all be refused at the door.
#[test]
fn what_a_target_begins_with_is_good() {
    use cofferdam_disk::{Geometry, judge};
    use cofferdam_disk_sim::{
        session::{KeyState, key},
        targets::target,
    };
    let seeds = |name| (target(name).unwrap().seeds)();
    let key = key().unwrap();
    let geometry = Geometry::new(1700, 64 << 10, 512).unwrap();
    assert!(
        seeds("segment_header")
            .iter()
            .all(|bytes| judge::segment_header(bytes, &key))
    );
    assert!(
        seeds("record_header")
            .iter()
            .all(|bytes| judge::record_header(bytes))
    );
    let keys = KeyState::default().keys().unwrap();
    assert!(seeds("head").iter().all(|bytes| judge::head(bytes, &keys)));
    assert!(
        seeds("checkpoint")
            .iter()
            .any(|bytes| judge::checkpoint(bytes, geometry))
    );
    assert!(
        seeds("witness")
            .iter()
            .all(|bytes| judge::witness(std::str::from_utf8(bytes).unwrap()))
    );
}
