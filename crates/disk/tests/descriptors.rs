//! Fewer descriptors than segments. The limit is the process's, so this is a test file with one test.

use cofferdam_disk::{
    Access, BLOCK, Directory, Fault, Geometry, Volume,
    geometry::MIN_SEGMENT,
    volume::{Options, memory_for},
};
use cofferdam_linux::aligned::AlignedBuffer;
use cofferdam_vault::VolumeKey;
use rustix::process::{Resource, Rlimit};
use std::fs::File;

const BLOCKS: u64 = 800;
const LIMIT: u64 = 28;

#[test]
fn with_fewer_descriptors_than_segments_reads_and_writes_are_right_or_refused() {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = scratch.path().join("v");
    let key = || VolumeKey::take(&mut [7; 32]).unwrap();
    let limit = Rlimit {
        current: Some(LIMIT),
        maximum: Some(LIMIT),
    };
    rustix::process::setrlimit(Resource::Nofile, limit).unwrap();
    let geometry = Geometry::new(BLOCKS, MIN_SEGMENT, 512).unwrap();
    let store = Directory::create(&path, Access::Buffered).unwrap();
    let volume = Volume::create(store, key(), geometry, &Options::default()).unwrap();
    let mut memory = AlignedBuffer::new(memory_for(BLOCK));
    for block in 0..BLOCKS {
        volume.write(block * BLOCK as u64, &pattern(block, 1)).unwrap();
    }
    volume.flush().unwrap();
    assert!(u64::from(volume.usage().segments) > 2 * LIMIT);
    // Back and forth, so that files are closed and opened again.
    for block in (0..BLOCKS).step_by(37).chain((0..BLOCKS).rev().step_by(11)) {
        let bytes = volume.read(block * BLOCK as u64, BLOCK, &mut memory).unwrap();
        assert!(*bytes == pattern(block, 1), "block {block}");
    }

    // Not one left but those of the store itself: it closes one file to open the next.
    let mut taken = Vec::new();
    for block in (0..BLOCKS).step_by(17) {
        while let Ok(file) = File::open("/dev/null") {
            taken.push(file);
        }
        let bytes = volume.read(block * BLOCK as u64, BLOCK, &mut memory).unwrap();
        assert!(*bytes == pattern(block, 1), "block {block}");
    }
    // Writes go on, or end with an error; what was flushed is kept.
    let mut flushed = 0;
    for block in 0..BLOCKS {
        let done = volume.write(block * BLOCK as u64, &pattern(block, 2));
        match done.and_then(|()| volume.flush()) {
            Ok(()) => flushed = block + 1,
            Err(Fault::Store { .. } | Fault::Full | Fault::Failed) => break,
            Err(fault) => panic!("{fault}"),
        }
    }
    assert!(flushed > 0);
    drop(taken);
    drop(volume);

    let store = Directory::open(&path, Access::Buffered).unwrap();
    let volume = Volume::open(store, key(), &Options::default()).unwrap();
    for block in 0..BLOCKS {
        let bytes = volume.read(block * BLOCK as u64, BLOCK, &mut memory).unwrap();
        let newest = *bytes == pattern(block, 2);
        let known = newest || *bytes == pattern(block, 1);
        assert!(known && (newest || block >= flushed), "block {block}");
    }
    volume.close().unwrap();
}

fn pattern(block: u64, life: u64) -> Vec<u8> {
    (block << 8 | life).to_le_bytes().repeat(BLOCK / 8)
}
