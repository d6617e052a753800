//! A volume on a real directory: what was written is read, also after closing, after a crash, and while cleaning.

use cofferdam_disk::{
    Access, BLOCK, Directory, Fault, Geometry, Store, Volume,
    geometry::SegmentName,
    volume::{Options, check::check, memory_for},
};
use cofferdam_linux::aligned::AlignedBuffer;
use cofferdam_vault::VolumeKey;
use std::{
    collections::BTreeSet,
    io,
    path::Path,
    sync::{Arc, Mutex},
};

fn key() -> VolumeKey {
    VolumeKey::take(&mut [7; 32]).unwrap()
}

fn geometry(blocks: u64) -> Geometry {
    Geometry::new(blocks, 256 << 10, 512).unwrap()
}

fn read(volume: &Volume<Directory>, block: u64, count: usize) -> Vec<u8> {
    let length = count * BLOCK;
    let mut memory = AlignedBuffer::new(memory_for(length));
    volume
        .read(block * BLOCK as u64, length, &mut memory)
        .unwrap()
        .to_vec()
}

fn pattern(block: u64, life: u64) -> Vec<u8> {
    let mut bytes = vec![0; BLOCK];
    bytes[..8].copy_from_slice(&block.to_le_bytes());
    bytes[8..16].copy_from_slice(&life.to_le_bytes());
    bytes[BLOCK - 8..].copy_from_slice(&(block ^ life).to_le_bytes());
    bytes
}

fn open(path: &Path) -> Volume<Directory> {
    let store = Directory::open(path, Access::default()).unwrap();
    Volume::open(store, key(), &Options::default()).unwrap()
}

#[test]
fn what_was_written_is_read_after_closing_and_after_a_crash() {
    for access in [Access::Cached, Access::Direct, Access::Buffered] {
        written_is_read(access);
    }
}

fn written_is_read(access: Access) {
    let open = |path: &Path| {
        let store = Directory::open(path, access).unwrap();
        Volume::open(store, key(), &Options::default()).unwrap()
    };
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = scratch.path().join("v");
    let store = Directory::create(&path, access).unwrap();
    let volume = Volume::create(store, key(), geometry(4096), &Options::default()).unwrap();
    assert_eq!(read(&volume, 0, 3), vec![0; 3 * BLOCK]);
    for block in 0..600 {
        volume.write(block * BLOCK as u64, &pattern(block, 1)).unwrap();
    }
    assert_eq!(read(&volume, 599, 1), pattern(599, 1));
    volume.close().unwrap();
    assert!(matches!(volume.flush(), Err(Fault::Failed)));
    drop(volume);

    let volume = open(&path);
    for block in 0..600 {
        assert_eq!(read(&volume, block, 1), pattern(block, 1), "block {block}");
    }
    volume.write(5 * BLOCK as u64, &pattern(5, 2)).unwrap();
    volume.discard(6 * BLOCK as u64, 10 * BLOCK as u64).unwrap();
    volume.flush().unwrap();
    drop(volume); // no close: as after a crash

    let volume = open(&path);
    assert_eq!(read(&volume, 5, 1), pattern(5, 2));
    assert_eq!(read(&volume, 6, 10), vec![0; 10 * BLOCK]);
    assert_eq!(read(&volume, 16, 1), pattern(16, 1));
    volume.close().unwrap();
    drop(volume);
    let store = Directory::open_to_read(&path, Access::Buffered).unwrap();
    let found = check(&store, key(), &Options::default(), |_, _| {}).unwrap();
    assert!(found.is_sound(), "{found:?}");
}

#[test]
fn overwriting_for_long_stays_within_the_space_allowed() {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = scratch.path().join("v");
    let store = Directory::create(&path, Access::default()).unwrap();
    let blocks = 16384; // 64 MiB
    let volume = Volume::create(store, key(), geometry(blocks), &Options::default()).unwrap();
    let used = blocks * 8 / 10;
    let mut lives = vec![0_u64; used as usize];
    let mut random = 1_u64;
    for round in 0..used * 4 {
        random = random
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let block = if round < used {
            round
        } else {
            (random >> 33) % used
        };
        lives[block as usize] += 1;
        volume
            .write(block * BLOCK as u64, &pattern(block, lives[block as usize]))
            .unwrap();
        let usage = volume.usage();
        let space = u64::from(usage.segments) * u64::from(usage.segment_bytes);
        let live = usage.live_cells * BLOCK as u64;
        assert!(
            space as f64 <= 1.4 * live as f64 + 12.0 * f64::from(usage.segment_bytes),
            "{usage:?}"
        );
    }
    let usage = volume.usage();
    println!(
        "{usage:?} ratio {}",
        f64::from(usage.segments) * f64::from(usage.segment_bytes) / (usage.live_cells as f64 * 4096.0)
    );
    volume.flush().unwrap();
    drop(volume);
    let volume = open(&path);
    for block in 0..used {
        let held = read(&volume, block, 1) == pattern(block, lives[block as usize]);
        assert!(held, "block {block}");
    }
}

#[test]
fn a_successor_finds_what_was_acknowledged_and_not_written() {
    use cofferdam_disk::{Arena, Rescue, volume::Succession};
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = scratch.path().join("v");
    let store = Directory::create(&path, Access::default()).unwrap();
    Volume::create(store, key(), geometry(4096), &Options::default())
        .unwrap()
        .close()
        .unwrap();
    let live = |rescue: Option<Rescue>, work: &dyn Fn(&Volume<Directory>)| {
        let (file, arena) = Arena::new(4).unwrap();
        let store = Directory::open(&path, Access::default()).unwrap();
        let succession = Succession {
            arena: Some(arena),
            rescue: rescue.into_iter().collect(),
        };
        let volume = Volume::succeed(store, key(), &Options::default(), succession).unwrap();
        work(&volume);
        drop(volume); // as kill -9 does: no flush, no close
        Rescue::new(file)
    };
    let write = |life: u64| {
        move |volume: &Volume<Directory>| {
            for block in 0..300 {
                volume.write(block * BLOCK as u64, &pattern(block, life)).unwrap();
            }
            volume.discard(0, 7 * BLOCK as u64).unwrap();
        }
    };
    let holds = |life: u64| {
        move |volume: &Volume<Directory>| {
            for block in 0..300 {
                let expected = if block < 7 {
                    vec![0; BLOCK]
                } else {
                    pattern(block, life)
                };
                assert!(read(volume, block, 1) == expected, "life {life}, block {block}");
            }
        }
    };
    let rescue = live(None, &write(1));
    let rescue = live(Some(rescue), &|volume| {
        holds(1)(volume);
        write(2)(volume);
    });
    let rescue = live(Some(rescue), &holds(2));
    drop(rescue);
    // Without what was left, the last writes of a life are gone: the test can fail.
    live(None, &write(3));
    live(None, &|volume| assert!(read(volume, 299, 1) == pattern(299, 2)));
}

#[test]
fn upkeep_comes_to_an_end_after_many_short_lives() {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = scratch.path().join("v");
    let store = Directory::create(&path, Access::default()).unwrap();
    Volume::create(store, key(), geometry(64 << 10), &Options::default())
        .unwrap()
        .close()
        .unwrap();
    for life in 0..12 {
        let volume = open(&path);
        // One block of each page of the map, in turns: what is alive of old segments are pages.
        for block in (0..64 << 10).step_by(700).skip(life).step_by(7) {
            volume
                .write(block * BLOCK as u64, &pattern(block, life as u64))
                .unwrap();
        }
        volume.flush().unwrap();
        let busy = (0..200).all(|_| volume.tend().unwrap());
        assert!(!busy, "life {life}: upkeep goes on and on");
        if life % 2 == 0 {
            volume.close().unwrap();
        }
    }
}

/// A directory that knows which segments were written to and not synced since.
#[derive(Debug)]
struct Noting {
    directory: Directory,
    unsynced: Arc<Mutex<BTreeSet<SegmentName>>>,
}

impl Store for Noting {
    fn make(&self, name: SegmentName, bytes: u32, header: &[u8]) -> io::Result<()> {
        self.directory.make(name, bytes, header)
    }
    fn append(&self, name: SegmentName, offset: u32, bytes: &[u8]) -> io::Result<()> {
        self.unsynced.lock().unwrap().insert(name);
        self.directory.append(name, offset, bytes)
    }
    fn sync(&self, name: SegmentName) -> io::Result<()> {
        self.directory.sync(name)?;
        self.unsynced.lock().unwrap().remove(&name);
        Ok(())
    }
    fn read(&self, name: SegmentName, offset: u32, length: usize, memory: &mut [u8]) -> io::Result<usize> {
        self.directory.read(name, offset, length, memory)
    }
    fn delete(&self, name: SegmentName, spares: usize) -> io::Result<()> {
        self.directory.delete(name, spares)
    }
    fn list(&self) -> io::Result<Vec<SegmentName>> {
        self.directory.list()
    }
    fn head(&self) -> io::Result<Option<Vec<u8>>> {
        self.directory.head()
    }
    fn replace_head(&self, expected: Option<&[u8]>, new: &[u8]) -> io::Result<bool> {
        self.directory.replace_head(expected, new)
    }
    fn head_is_ours(&self) -> io::Result<bool> {
        self.directory.head_is_ours()
    }
}

#[test]
fn what_is_found_after_a_kill_is_on_stable_storage_before_anything_builds_upon_it() {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = scratch.path().join("v");
    let store = Directory::create(&path, Access::default()).unwrap();
    Volume::create(store, key(), geometry(4096), &Options::default())
        .unwrap()
        .close()
        .unwrap();
    let unsynced = Arc::default();
    let open = || {
        let directory = Directory::open(&path, Access::default()).unwrap();
        let unsynced = Arc::clone(&unsynced);
        Volume::open(Noting { directory, unsynced }, key(), &Options::default()).unwrap()
    };
    let volume = open();
    for block in 0..600 {
        volume.write(block * BLOCK as u64, &pattern(block, 1)).unwrap();
    }
    drop(volume); // killed: what was written stays in the caches
    assert!(!unsynced.lock().unwrap().is_empty(), "nothing to be lost");
    let volume = open();
    volume.flush().unwrap();
    assert!(unsynced.lock().unwrap().is_empty(), "{unsynced:?}");
    let mut memory = AlignedBuffer::new(memory_for(BLOCK));
    assert_eq!(volume.read(0, BLOCK, &mut memory).unwrap(), pattern(0, 1));
}

#[test]
fn files_that_are_used_again_are_read_as_they_are_now() {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = scratch.path().join("v");
    let store = Directory::create(&path, Access::Cached).unwrap();
    let name = |sequence| SegmentName { epoch: 1, sequence };
    let bytes = 1 << 20;
    let unit = store.alignment();
    let mut memory = AlignedBuffer::new(bytes as usize + 8192);
    for sequence in 1..40_u64 {
        let now = name(sequence);
        store.make(now, bytes, &[0; 512]).unwrap();
        let mark = u8::try_from(sequence).unwrap();
        // Small pieces, each read at once, so that the page cache has read ahead of all that follow.
        for offset in (unit..bytes / 4).step_by(unit as usize) {
            let mut piece = AlignedBuffer::new(unit as usize);
            piece.fill(mark);
            let piece = piece.get(..unit as usize).unwrap();
            store.append(now, offset, piece).unwrap();
            let start = store.read(now, offset, unit as usize, &mut memory).unwrap();
            assert_eq!(memory[start..start + unit as usize], *piece, "{now} at {offset}");
        }
        store.sync(now).unwrap();
        store.delete(now, 4).unwrap();
    }
}

#[test]
fn as_many_spare_files_wait_as_are_asked_for() {
    let place = tempfile::tempdir().unwrap();
    let store = Directory::create(&place.path().join("store"), Access::Buffered).unwrap();
    let waiting = || {
        std::fs::read_dir(place.path().join("store/spare"))
            .unwrap()
            .count()
    };
    let bytes = 64 << 10;
    let name = |sequence| SegmentName { epoch: 1, sequence };
    for sequence in 1..8 {
        store.make(name(sequence), bytes, &[0; 512]).unwrap();
    }
    for (sequence, spares, left) in [(1, 3, 1), (2, 3, 2), (3, 3, 3), (4, 3, 3), (5, 0, 3), (6, 4, 4)] {
        store.delete(name(sequence), spares).unwrap();
        assert_eq!(waiting(), left, "segment {sequence}");
    }
    store.shrink(9);
    assert_eq!(waiting(), 4);
    store.shrink(2);
    assert_eq!(waiting(), 2);
    store.make(name(9), bytes, &[0; 512]).unwrap();
    assert_eq!(waiting(), 1, "a new segment takes one");
    assert_eq!(store.list().unwrap().len(), 2);
}
