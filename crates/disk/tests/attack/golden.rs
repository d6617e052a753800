//! Stores that were written once and are kept: every later version must read them, and this one must write the newest
//! of them byte for byte.
//!
//! In `tests/golden` each directory is a store: `head`, `segments`, and `blocks`, which says what must be read. Zeros at
//! the end of a segment's file are left out there. The key is 32 bytes of 7; that before it, where there is one, of 6.

use crate::world::{Content, Image, create_with, key, options, scratch};
use cofferdam_disk::{Access, BLOCK, Directory, Keys, Volume, volume::Options};
use cofferdam_vault::VolumeKey;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

/// Writes a store into a directory.
type Write = fn(&Path) -> Content;

/// The stores that this version writes byte for byte, in this order. Others were written by versions before.
const NEWEST: [(&str, Write); 2] = [("v1-2", write), ("v1-rotating", write_rotating)];

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Numbers that are the same in every run: 32 bytes of 1, of 2, and so on. Only one test uses them.
fn counting(bytes: &mut [u8; 32]) -> io::Result<()> {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    bytes.fill(NEXT.fetch_add(1, Ordering::SeqCst));
    Ok(())
}

/// A life that is closed, one that is not: data, discards, both pages of the map, checkpoints, what replay must add.
fn write(path: &Path) -> Content {
    let options = Options {
        entropy: counting,
        ..options()
    };
    let mut content = Content::empty();
    let volume = create_with(path, key(), &options);
    content.write(&volume, 2, 2, 1);
    content.write(&volume, 818, 2, 1);
    content.discard(&volume, 3, 1);
    volume.close().unwrap();
    drop(volume);
    let store = Directory::open(path, Access::Buffered).unwrap();
    let volume = Volume::open(store, key(), &options).unwrap();
    content.write(&volume, 2, 1, 2);
    volume.flush().unwrap();
    content.write(&volume, 830, 1, 2);
    content.discard(&volume, 818, 1);
    volume.flush().unwrap();
    content
}

/// What a store is opened with.
pub(crate) fn keys() -> Keys {
    Keys::rotating(key(), before(), false)
}

fn before() -> VolumeKey {
    VolumeKey::take(&mut [6; 32]).unwrap()
}

/// A life under the key before, a rotation that has come half-way, on a disk that has grown since its checkpoint.
fn write_rotating(path: &Path) -> Content {
    let options = Options {
        entropy: counting,
        ..options()
    };
    let mut content = Content::empty();
    let volume = create_with(path, before(), &options);
    for round in 0..3 {
        content.write(&volume, round * 20, 20, 1);
        volume.flush().unwrap();
    }
    volume.rotate(key()).unwrap();
    content.write(&volume, 5, 2, 2);
    volume.tend().unwrap();
    let rotation = volume.rotation().unwrap();
    assert!(rotation.left > 0 && rotation.left < rotation.all, "{rotation:?}");
    volume.grow(900 * BLOCK as u64).unwrap();
    content.write(&volume, 700, 1, 2);
    volume.flush().unwrap();
    content
}

/// A store as it is kept.
fn kept_image(path: &Path) -> Image {
    let mut image = Image::of(path);
    let length = usize::try_from(crate::world::geometry().segment).unwrap();
    for bytes in image.segments.values_mut() {
        Arc::make_mut(bytes).resize(length, 0);
    }
    image
}

/// Writes a store as it is kept.
fn keep(image: &Image, content: &Content, path: &Path) {
    fs::create_dir_all(path.join("segments")).unwrap();
    fs::write(path.join("head"), image.head.as_ref().unwrap()).unwrap();
    for (name, bytes) in &image.segments {
        fs::write(
            path.join("segments").join(name.to_string()),
            &bytes[..image.used(*name)],
        )
        .unwrap();
    }
    fs::write(path.join("blocks"), content.hashes()).unwrap();
}

/// All stores that are kept.
pub(crate) fn all() -> Vec<(String, Image, String)> {
    let mut found: Vec<_> = fs::read_dir(kept())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let blocks = fs::read_to_string(path.join("blocks")).unwrap();
            (name, kept_image(&path), blocks)
        })
        .collect();
    found.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    found
}

#[test]
fn the_same_writes_with_the_same_key_and_numbers_make_the_store_that_is_kept() {
    for (newest, write) in NEWEST {
        makes(newest, write);
    }
}

fn makes(newest: &str, write: Write) {
    let scratch = scratch();
    let path = scratch.path().join("v");
    let content = write(&path);
    let image = Image::of(&path);
    let differs = !all().iter().any(|(name, kept, blocks)| {
        name == newest
            && kept.head == image.head
            && kept.segments == image.segments
            && *blocks == content.hashes()
    });
    if differs {
        let made = Path::new(env!("CARGO_TARGET_TMPDIR")).join("golden");
        if made.exists() {
            fs::remove_dir_all(&made).unwrap();
        }
        keep(&image, &content, &made);
        panic!(
            "the store is not that of tests/golden/{newest}. If that is meant, and versions before can still read it, copy \
             {} to a new directory there and name it in NEWEST; what is there stays, and must be read for ever",
            made.display()
        );
    }
}

#[test]
fn every_store_that_is_kept_is_read_as_it_was_written() {
    let all = all();
    for (newest, _) in NEWEST {
        assert!(all.iter().any(|(name, ..)| name == newest));
    }
    for (name, image, blocks) in all {
        let scratch = scratch();
        let path = scratch.path().join("v");
        image.put(&path);
        let store = Directory::open(&path, Access::Buffered).unwrap();
        let volume = Volume::open(store, keys(), &options()).unwrap();
        assert_eq!(Content::of(&volume).unwrap().hashes(), blocks, "{name}");
        volume.close().unwrap();
    }
}
