//! Another key, and a larger disk, while the volume is in use: what is under which key, what an interruption leaves, and
//! what somebody with the key before can put back.

use crate::world::{
    BLOCKS, Content, Image, InMemory, create_with, key, options, says_what_is_wrong, scratch,
};
use cofferdam_disk::{BLOCK, Directory, Fault, Keys, Store, Volume, judge, volume::check::check};
use cofferdam_vault::VolumeKey;
use std::{path::Path, sync::Mutex};

/// The key that the volume has before.
fn before() -> VolumeKey {
    VolumeKey::take(&mut [6; 32]).unwrap()
}

fn both(begun: bool) -> Keys {
    Keys::rotating(key(), before(), begun)
}

/// A volume under the key before, worn a little.
fn worn(path: &Path) -> (Volume<Directory>, Content) {
    let volume = create_with(path, before(), &options());
    let mut content = Content::empty();
    for round in 0..30 {
        content.write(&volume, round * 27 % 800, 20, round);
        if round % 7 == 3 {
            content.discard(&volume, round * 11, 15);
            volume.flush().unwrap();
        }
    }
    while volume.tend().unwrap() {}
    (volume, content)
}

fn judged(image: &Image, keys: Keys, content: &Content) -> Result<(), Fault> {
    let store = InMemory(Mutex::new(image.clone()));
    content.compare(&Volume::open(store, keys, &options())?)
}

/// How many of the segments are under this key.
fn under(image: &Image, key: &VolumeKey) -> usize {
    let segments = image.segments.values();
    segments.filter(|bytes| judge::segment_header(bytes, key)).count()
}

fn finish<S: Store>(volume: &Volume<S>) {
    for _ in 0..1000 {
        volume.flush().unwrap();
        if volume.rotation().is_none() {
            return;
        }
        volume.tend().unwrap();
    }
    panic!("it does not come to its end: {:?}", volume.rotation());
}

#[test]
fn after_a_rotation_nothing_is_under_the_key_before() {
    let scratch = scratch();
    let path = scratch.path().join("v");
    let (volume, mut content) = worn(&path);
    let whole = under(&Image::of(&path), &before());
    volume.rotate(key()).unwrap();
    let started = volume.rotation().unwrap();
    assert!(started.left > 100 && started.left == started.all, "{started:?}");
    // It goes on being written to, and read.
    content.write(&volume, 400, 9, 77);
    content.compare(&volume).unwrap();
    finish(&volume);
    content.compare(&volume).unwrap();
    let image = Image::of(&path);
    assert!(whole > 10);
    assert_eq!(
        (under(&image, &before()), under(&image, &key())),
        (0, image.segments.len())
    );
    assert_eq!(
        std::fs::read_dir(path.join("spare")).unwrap().count(),
        0,
        "ciphertext is left in spare files"
    );
    volume.close().unwrap();
    let image = Image::of(&path);
    judged(&image, key().into(), &content).unwrap();
    // Whoever still has both may give both.
    judged(&image, both(false), &content).unwrap();
    assert!(matches!(
        judged(&image, before().into(), &content),
        Err(Fault::WrongKey)
    ));
    let found = check(&InMemory(Mutex::new(image)), key(), &options(), |_, _| {}).unwrap();
    assert!(found.is_sound(), "{found:?}");
}

#[test]
fn wherever_a_rotation_is_interrupted_it_goes_on_with_both_keys_and_not_with_one() {
    let scratch = scratch();
    let path = scratch.path().join("v");
    let (volume, content) = worn(&path);
    volume.flush().unwrap();
    let announced = Image::of(&path);
    volume.rotate(key()).unwrap();
    let mut images = vec![Image::of(&path)];
    while volume.rotation().is_some() {
        volume.tend().unwrap();
        volume.flush().unwrap();
        images.push(Image::of(&path));
    }
    let done = images.pop().unwrap();
    assert!(images.len() > 5, "{}", images.len());
    for (at, image) in images.iter().enumerate() {
        assert!(
            matches!(judged(image, key().into(), &content), Err(Fault::PreviousKey)),
            "at {at}"
        );
        assert!(
            matches!(judged(image, before().into(), &content), Err(Fault::WrongKey)),
            "at {at}"
        );
        for begun in [false, true] {
            judged(image, both(begun), &content).unwrap_or_else(|fault| panic!("at {at}: {fault}"));
        }
        let store = InMemory(Mutex::new(image.clone()));
        let volume = Volume::open(store, both(true), &options()).unwrap();
        finish(&volume);
        content.compare(&volume).unwrap();
        volume.close().unwrap();
        let image = volume.store().0.lock().unwrap().clone();
        assert_eq!(under(&image, &before()), 0, "at {at}");
        judged(&image, key().into(), &content).unwrap();
    }
    judged(&done, key().into(), &content).unwrap();
    for at in 0..256 {
        let mut image = images[0].clone();
        image.head.as_mut().unwrap()[at] ^= 1;
        let refused = judged(&image, both(true), &content).unwrap_err();
        assert!(says_what_is_wrong(&refused), "byte {at} of the head: {refused}");
    }
    // Announced, and not begun when the process ended: the next opening begins it.
    let volume = Volume::open(InMemory(Mutex::new(announced)), both(false), &options()).unwrap();
    assert!(volume.rotation().is_some());
    finish(&volume);
    content.compare(&volume).unwrap();
}

#[test]
fn a_store_from_before_the_rotation_is_refused_once_it_has_begun() {
    let scratch = scratch();
    let path = scratch.path().join("v");
    let (volume, content) = worn(&path);
    volume.flush().unwrap();
    let old = Image::of(&path);
    volume.rotate(key()).unwrap();
    let now = Image::of(&path);
    let mixed = Image {
        head: old.head.clone(),
        segments: now.segments,
    };
    for image in [&old, &mixed] {
        let refused = judged(image, both(true), &content);
        assert!(matches!(refused, Err(Fault::Corrupt { .. })), "{refused:?}");
        assert!(matches!(
            judged(image, key().into(), &content),
            Err(Fault::WrongKey)
        ));
    }
}

#[test]
fn two_rotations_at_a_time_are_none() {
    let scratch = scratch();
    let path = scratch.path().join("v");
    let (volume, content) = worn(&path);
    volume.rotate(key()).unwrap();
    let third = VolumeKey::take(&mut [5; 32]).unwrap();
    assert!(matches!(volume.rotate(third), Err(Fault::Invalid(_))));
    finish(&volume);
    volume.rotate(VolumeKey::take(&mut [5; 32]).unwrap()).unwrap();
    finish(&volume);
    content.compare(&volume).unwrap();
    volume.close().unwrap();
    judged(
        &Image::of(&path),
        VolumeKey::take(&mut [5; 32]).unwrap().into(),
        &content,
    )
    .unwrap();
}

#[test]
fn a_damaged_segment_keeps_the_rotation_from_its_end_and_is_told() {
    let scratch = scratch();
    let path = scratch.path().join("v");
    let (volume, content) = worn(&path);
    volume.close().unwrap();
    let mut image = Image::of(&path);
    // A cell in the middle of the segment that has the most in it.
    let name = image
        .names()
        .into_iter()
        .max_by_key(|name| image.used(*name))
        .unwrap();
    let at = image.used(name) / 2;
    image.segment(name)[at] ^= 1;
    let volume = Volume::open(InMemory(Mutex::new(image)), both(false), &options()).unwrap();
    for _ in 0..100 {
        volume.tend().unwrap();
    }
    let Some(rotation) = volume.rotation() else {
        // Nothing needed it any more.
        content.compare(&volume).unwrap();
        panic!("the damage hit nothing that is alive");
    };
    assert_eq!(rotation.left, rotation.damaged, "{rotation:?}");
    assert!(rotation.damaged > 0);
    assert!(matches!(content.compare(&volume), Err(Fault::Corrupt { .. })));
    assert!(!volume.take_damage().is_empty());
}

#[test]
fn a_disk_grows_while_it_is_used_and_stays_so() {
    let scratch = scratch();
    let path = scratch.path().join("v");
    let volume = create_with(&path, key(), &options());
    let mut content = Content::empty();
    content.write(&volume, 830, 10, 1);
    let (old, new) = (BLOCKS * BLOCK as u64, 5000 * BLOCK as u64);
    assert!(volume.write(old, &[1; BLOCK]).is_err());
    for wrong in [old - BLOCK as u64, new + 1, 1 << 60] {
        assert!(matches!(volume.grow(wrong), Err(Fault::Invalid(_))), "{wrong}");
    }
    volume.grow(old).unwrap();
    assert_eq!(volume.size(), old);
    volume.grow(new).unwrap();
    assert_eq!(volume.size(), new);
    // Nothing but the head says so yet.
    let image = Image::of(&path);
    let grown = Volume::open(InMemory(Mutex::new(image)), key(), &options()).unwrap();
    assert_eq!(grown.size(), new);
    drop(grown);
    let last = new - BLOCK as u64;
    volume.write(last, &[9; BLOCK]).unwrap();
    volume.close().unwrap();
    drop(volume);
    let volume = crate::world::open(&path);
    let mut memory = cofferdam_linux::aligned::AlignedBuffer::new(cofferdam_disk::volume::memory_for(BLOCK));
    assert_eq!(volume.read(last, BLOCK, &mut memory).unwrap(), [9; BLOCK]);
    assert_eq!(volume.read(old, BLOCK, &mut memory).unwrap(), [0; BLOCK]);
    content.compare(&volume).unwrap();
}
