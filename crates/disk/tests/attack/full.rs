//! A store that is full, slow, or much larger than the memory for its map.

use crate::{
    failing::{Failing, Request, Weather},
    world::{BLOCKS, Content, geometry, key, options, scratch},
};
use cofferdam_disk::{Access, BLOCK, Directory, Fault, Geometry, Memory, Store, Volume, volume::Options};
use std::{
    fs, io,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

/// Fills a volume until it is full, makes room by discarding and overwriting, and fills it again. Its store has room for
/// less than the disk.
fn fill<S: Store>(volume: &Volume<S>) -> Content {
    let mut content = Content::empty();
    let mut next = 0;
    let full = loop {
        match content.try_write(volume, next, 1, 1) {
            Ok(()) => next += 1,
            Err(fault) => break fault,
        }
        assert!(next < BLOCKS, "it never was full");
    };
    assert!(matches!(full, Fault::Full), "{full}");
    assert!(next > 60, "full after {next} blocks");
    // The block that did not fit holds what it held.
    volume.flush().unwrap();
    content.forget(next, 1);
    content.compare(volume).unwrap();
    // What makes room is still possible, and then there is room.
    content.discard(volume, 0, next / 2);
    volume.flush().unwrap();
    for block in 0..next / 4 {
        content.write(volume, block, 1, 2);
    }
    // Overwriting for long: far more than the store has room for.
    for life in 3..10 {
        for step in 0..next / 2 {
            content.write(volume, (step * 13) % (next / 4), 1, life);
        }
        volume.flush().unwrap();
    }
    content.compare(volume).unwrap();
    content
}

/// Until it is full, on what the closure opens, which it does several times.
fn fill_and_reopen<S: Store>(first: Volume<S>, open: impl Fn() -> Volume<S>) {
    let content = fill(&first);
    first.close().unwrap();
    drop(first);
    let volume = open();
    content.compare(&volume).unwrap();
    volume.discard(0, BLOCKS * BLOCK as u64).unwrap();
    volume.flush().unwrap();
    let content = fill(&volume);
    // No close: as after a crash, on a store that is nearly full.
    drop(volume);
    content.compare(&open()).unwrap();
}

#[test]
fn a_store_with_room_for_a_few_segments_slows_cleans_refuses_and_recovers() {
    let scratch = scratch();
    let path = scratch.path().join("v");
    let weather = Weather::fair();
    let segments = path.join("segments");
    weather.turns(move |request| {
        let there = fs::read_dir(&segments).unwrap().count();
        match request {
            Request::Make if there >= 24 => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    });
    let on = |below| Failing {
        below,
        weather: weather.clone(),
    };
    let store = on(Directory::create(&path, Access::Buffered).unwrap());
    let volume = Volume::create(store, key(), geometry(), &options()).unwrap();
    fill_and_reopen(volume, || {
        let store = on(Directory::open(&path, Access::Buffered).unwrap());
        Volume::open(store, key(), &options()).unwrap()
    });
}

/// Fills a volume on a filesystem that is mounted at `path`.
fn fill_filesystem(path: &Path) {
    let path = path.join("v");
    let store = Directory::create(&path, Access::Direct).unwrap();
    let volume = Volume::create(store, key(), geometry(), &options()).unwrap();
    fill_and_reopen(volume, || {
        let store = Directory::open(&path, Access::Direct).unwrap();
        Volume::open(store, key(), &options()).unwrap()
    });
}

/// Runs the command, which must succeed.
fn run(program: &str, arguments: &[&std::ffi::OsStr]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}");
}

#[test]
fn a_full_tmpfs_slows_cleans_refuses_and_recovers() {
    let scratch = scratch();
    // What this thread mounts is nobody else's, and goes with it.
    cofferdam_linux::mount::enter_private_namespace().unwrap();
    let options = ["-t", "tmpfs", "-o", "size=1700k", "none"].map(std::ffi::OsStr::new);
    run("mount", &[&options[..], &[scratch.path().as_os_str()]].concat());
    fill_filesystem(scratch.path());
    run("umount", &[scratch.path().as_os_str()]);
}

#[test]
fn a_full_ext4_slows_cleans_refuses_and_recovers() {
    let scratch = scratch();
    let (image, mount) = (scratch.path().join("image"), scratch.path().join("mount"));
    fs::File::create(&image).unwrap().set_len(4 << 20).unwrap();
    fs::create_dir(&mount).unwrap();
    let make = ["-q", "-O", "^has_journal", "-m", "0"].map(std::ffi::OsStr::new);
    run("mkfs.ext4", &[&make[..], &[image.as_os_str()]].concat());
    cofferdam_linux::mount::enter_private_namespace().unwrap();
    let options = ["-o", "loop"].map(std::ffi::OsStr::new);
    run(
        "mount",
        &[&options[..], &[image.as_os_str(), mount.as_os_str()]].concat(),
    );
    fs::remove_dir(mount.join("lost+found")).unwrap();
    // Leaves room for less than the disk.
    let filler = fs::File::create(mount.join("filler")).unwrap();
    rustix::fs::fallocate(&filler, rustix::fs::FallocateFlags::empty(), 0, 1 << 20).unwrap();
    drop(filler);
    fill_filesystem(&mount);
    run("umount", &[mount.as_os_str()]);
}

#[test]
fn on_a_slow_store_what_waits_for_it_is_bounded() {
    let scratch = scratch();
    let path = scratch.path().join("v");
    let (weather, waiting) = (Weather::fair(), Arc::new(AtomicI64::new(0)));
    let store = Failing {
        below: Directory::create(&path, Access::Buffered).unwrap(),
        weather: weather.clone(),
    };
    let volume = Volume::create(store, key(), geometry(), &options()).unwrap();
    let below = Arc::clone(&waiting);
    weather.turns(move |request| {
        std::thread::sleep(Duration::from_millis(2));
        if let Request::Append { bytes } = request {
            below.fetch_sub(i64::try_from(bytes).unwrap(), Ordering::SeqCst);
        }
        Ok(())
    });
    // Two buffers of 1 MiB, and what four writers hold in their hands.
    let most = i64::try_from((options().memory.buffers << 20) + 4 * BLOCK).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (volume, waiting) = (&volume, &waiting);
            scope.spawn(move || {
                for step in 0..200 {
                    let block = writer * 200 + (step * 7) % 200;
                    volume
                        .write(block * BLOCK as u64, &[writer as u8 + 1; BLOCK])
                        .unwrap();
                    let now = waiting.fetch_add(BLOCK as i64, Ordering::SeqCst);
                    assert!(now <= most, "{now} bytes wait");
                }
                volume.flush().unwrap();
            });
        }
    });
    weather.turns(|_| Ok(()));
    let content = Content::of(&volume).unwrap();
    for writer in 0..4 {
        assert!(content.is_filled(writer * 200, 200, writer as u8 + 1));
    }
    volume.close().unwrap();
}

#[test]
fn a_map_much_larger_than_its_memory_is_paged() {
    const PAGES: u64 = 300;
    let scratch = scratch();
    let path = scratch.path().join("v");
    let blocks = PAGES * 819;
    let geometry = Geometry::new(blocks, 256 << 10, 512).unwrap();
    let options = Options {
        memory: Memory { buffers: 2, pages: 4 },
        ..options()
    };
    let store = Directory::create(&path, Access::Buffered).unwrap();
    let mut volume = Volume::create(store, key(), geometry, &options).unwrap();
    let mut lives = std::collections::BTreeMap::new();
    let mut random = 1_u64;
    let mut memory =
        cofferdam_linux::aligned::AlignedBuffer::new(cofferdam_disk::volume::memory_for(2 * BLOCK));
    for step in 0..6000_u64 {
        random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        // The last block of a page and the first of the next, at one blow.
        let block = (random >> 33) % (PAGES - 1) * 819 + 818;
        if step % 3 == 2 {
            let bytes = volume.read(block * BLOCK as u64, 2 * BLOCK, &mut memory).unwrap();
            let life = lives.get(&block).copied().unwrap_or(0_u64);
            assert!(
                bytes.chunks(8).all(|word| word == life.to_le_bytes()),
                "block {block}"
            );
        } else {
            let bytes = (step + 1).to_le_bytes().repeat(2 * BLOCK / 8);
            volume.write(block * BLOCK as u64, &bytes).unwrap();
            lives.insert(block, step + 1);
        }
        if step % 16 == 0 {
            while volume.tend().unwrap() {}
            // Half a segment of dirty pages, what is kept clean whatever the limit, and little more.
            let resident = volume.usage().resident_pages;
            assert!(resident <= 64, "{resident} pages in memory");
        }
        if step % 2000 == 1999 {
            volume.flush().unwrap();
            drop(volume);
            let store = Directory::open(&path, Access::Buffered).unwrap();
            volume = Volume::open(store, key(), &options).unwrap();
        }
    }
    volume.close().unwrap();
}
