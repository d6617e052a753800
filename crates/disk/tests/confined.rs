//! A process that has confined itself can do all that a volume in a directory asks for: open, recover, read, write,
//! flush, discard, clean, close, from several threads.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that fails ends")]

use cofferdam_disk::{
    Access, BLOCK, Directory, Geometry, Volume,
    store::Claim,
    volume::{Keeper, Options, check::check, memory_for, reserve_keys},
};
use cofferdam_linux::{
    aligned::AlignedBuffer,
    sandbox::{Calls, Confinement, Strictness},
};
use cofferdam_vault::VolumeKey;
use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// What the child is told first.
const CHILD: &str = "confined-child";

const BLOCKS: u64 = 8192;
/// Blocks that are used: ext4 leaves some free.
const USED: u64 = BLOCKS * 3 / 4;
const THREADS: u64 = 4;
const ROUNDS: u64 = 4;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.as_slice() {
        [_, role, directory, access] if role == CHILD => child(Path::new(directory), access),
        _ => {
            a_volume_is_served(Access::Cached);
            a_volume_is_served(Access::Direct);
            a_volume_is_served(Access::Buffered);
            println!("confined: ok");
        }
    }
}

fn a_volume_is_served(access: Access) {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let key = VolumeKey::generate().unwrap();
    key.write(File::create(scratch.path().join("key")).unwrap())
        .unwrap();
    let path = scratch.path().join("store");
    let geometry = Geometry::new(BLOCKS, 256 << 10, 512).unwrap();
    let store = Directory::create(&path, access).unwrap();
    let volume = Volume::create(store, key, geometry, &Options::default()).unwrap();
    volume.write(0, &pattern(0, 0)).unwrap();
    volume.flush().unwrap();
    drop(volume); // no close: the child must recover

    let child = Command::new(std::env::current_exe().unwrap())
        .args([CHILD, scratch.path().to_str().unwrap(), &format!("{access:?}")])
        .status()
        .unwrap();
    assert!(child.success(), "{access:?}: {child}");

    let key = VolumeKey::read(File::open(scratch.path().join("key")).unwrap()).unwrap();
    let store = Directory::open_to_read(&path, access).unwrap();
    let found = check(&store, key, &Options::default(), |_, _| {}).unwrap();
    assert!(found.is_sound(), "{found:?}");
}

fn child(directory: &Path, access: &str) {
    let access = match access {
        "Cached" => Access::Cached,
        "Direct" => Access::Direct,
        "Buffered" => Access::Buffered,
        other => panic!("{other} is no access"),
    };
    let claim = Claim::to_write(&directory.join("store")).unwrap();
    let key = File::open(directory.join("key")).unwrap();
    reserve_keys().unwrap();
    let confinement = Confinement {
        beneath: &claim.descriptors()[..1],
        calls: Calls::of_a_file_server(),
        files: Strictness::Required,
    };
    confinement.apply().unwrap();
    assert!(File::open(directory.join("key")).is_err());
    serve(claim, &key, access);
}

fn serve(claim: Claim, key: &File, access: Access) {
    let store = Directory::on(claim, access).unwrap();
    let volume = Volume::open(store, VolumeKey::read(key).unwrap(), &Options::default()).unwrap();
    let volume = Arc::new(volume);
    let keeper = Keeper::start(Arc::clone(&volume), Box::new(|_| {})).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let volume = &volume;
            scope.spawn(move || use_all(volume, thread));
        }
    });
    assert!(volume.take_damage().is_empty());
    keeper.stop();
    volume.close().unwrap();
}

/// Every fourth block several times over, so that segments are cleaned.
fn use_all(volume: &Volume<Directory>, thread: u64) {
    let block_size = BLOCK as u64;
    for round in 1..=ROUNDS {
        for block in (thread..USED).step_by(THREADS as usize) {
            volume.write(block * block_size, &pattern(block, round)).unwrap();
            if block % 512 == thread {
                volume.flush().unwrap();
            }
        }
        let mut memory = AlignedBuffer::new(memory_for(BLOCK));
        for block in (thread..USED).step_by(THREADS as usize) {
            let read = volume.read(block * block_size, BLOCK, &mut memory).unwrap();
            assert_eq!(read, pattern(block, round), "block {block}");
        }
        volume.discard(thread * block_size, block_size).unwrap();
    }
}

fn pattern(block: u64, life: u64) -> Vec<u8> {
    let mut bytes = vec![0; BLOCK];
    for word in bytes.chunks_exact_mut(16) {
        word.copy_from_slice(&(u128::from(block) << 64 | u128::from(life)).to_le_bytes());
    }
    bytes
}
