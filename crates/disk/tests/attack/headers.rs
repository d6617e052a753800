//! Fields of clear headers and heads exchanged for others that are genuine, and sealed by whoever has not the key.

use crate::world::{Content, Image, create_with, geometry, key, open, options, says_what_is_wrong, scratch};
use cofferdam_disk::{Fault, geometry::SegmentName, volume::Options};
use cofferdam_vault::VolumeKey;
use std::{ops::Range, path::Path, sync::Arc};

/// The fields of a segment's header, as the format's page has them.
const SEGMENT_HEADER: [(&str, Range<usize>); 10] = [
    ("magic", 0..8),
    ("suite", 8..9),
    ("alignment", 9..10),
    ("zero", 10..12),
    ("slot", 12..16),
    ("volume", 16..32),
    ("epoch", 32..40),
    ("sequence", 40..48),
    ("salt", 48..80),
    ("tag", 80..96),
];

/// The fields of the head, as the format's page has them.
const HEAD: [(&str, Range<usize>); 20] = [
    ("magic", 0..8),
    ("suite", 8..9),
    ("alignment", 9..10),
    ("state", 10..11),
    ("zero", 11..16),
    ("volume", 16..32),
    ("blocks", 32..40),
    ("segment", 40..44),
    ("bytes of the checkpoint", 44..48),
    ("epoch", 48..56),
    ("generation", 56..64),
    ("next sequence", 64..72),
    ("checkpoint's segment", 72..88),
    ("checkpoint's offset", 88..92),
    ("zero", 92..96),
    ("checkpoint's record", 96..120),
    ("end", 120..144),
    ("commitment", 144..176),
    ("zero", 176..224),
    ("authentication", 224..256),
];

/// Salts and ids that are the same in every volume made with it, as if somebody had chosen them.
fn chosen(bytes: &mut [u8; 32]) -> std::io::Result<()> {
    bytes.fill(0x5a);
    Ok(())
}

/// Two lives, closed, under a key; answers the image after each.
fn lives(path: &Path, key: impl Fn() -> VolumeKey, options: &Options) -> (Vec<Image>, Content) {
    let mut content = Content::empty();
    let volume = create_with(path, key(), options);
    content.write(&volume, 0, 30, 1);
    volume.close().unwrap();
    drop(volume);
    let first = Image::of(path);
    let store = cofferdam_disk::Directory::open(path, cofferdam_disk::Access::Buffered).unwrap();
    let volume = cofferdam_disk::Volume::open(store, key(), options).unwrap();
    content.write(&volume, 10, 5, 2);
    volume.close().unwrap();
    (vec![first, Image::of(path)], content)
}

fn ours() -> (Vec<Image>, Content) {
    let scratch = scratch();
    lives(&scratch.path().join("v"), key, &options())
}

/// The segment in which the last checkpoint begins: the last one that has records.
fn last_used(image: &Image) -> SegmentName {
    let mut names = image.names().into_iter();
    names.rfind(|name| image.used(*name) > 512).unwrap()
}

#[test]
fn every_field_of_a_segments_header_is_bound_to_the_others() {
    let (images, content) = ours();
    let image = images.last().unwrap();
    let target = last_used(image);
    for (field, range) in SEGMENT_HEADER {
        for donor in image.names() {
            for value in [
                image.segments[&donor][range.clone()].to_vec(),
                vec![0; range.len()],
                vec![0xff; range.len()],
            ] {
                if value == image.segments[&target][range.clone()] {
                    continue;
                }
                let mut changed = image.clone();
                changed.segment(target)[range.clone()].copy_from_slice(&value);
                let fault = changed.judge(&options(), &content).unwrap_err();
                assert!(
                    matches!(&fault, Fault::Corrupt { place, .. } if place.contains(&target.to_string())),
                    "{field}: {fault}"
                );
            }
        }
    }
}

#[test]
fn the_header_of_a_segment_that_is_only_read_from_is_not_trusted_at_all() {
    let (images, content) = ours();
    let image = images.last().unwrap();
    let target = image.names()[0];
    assert!(image.used(target) > 512 && target != last_used(image));
    for (_, range) in SEGMENT_HEADER {
        let mut changed = image.clone();
        changed.segment(target)[range].fill(0xff);
        changed.judge(&options(), &content).unwrap();
    }
}

#[test]
fn every_field_of_the_head_is_bound_to_the_others() {
    let (images, content) = ours();
    let [older, newest] = &images[..] else {
        panic!("two lives");
    };
    let (older, head) = (older.head.clone().unwrap(), newest.head.clone().unwrap());
    for (field, range) in HEAD {
        for value in [
            older[range.clone()].to_vec(),
            vec![0; range.len()],
            vec![1; range.len()],
            vec![0xff; range.len()],
        ] {
            if value == head[range.clone()] {
                continue;
            }
            let mut changed = newest.clone();
            changed.head.as_mut().unwrap()[range.clone()].copy_from_slice(&value);
            let fault = changed.judge(&options(), &content).unwrap_err();
            assert!(says_what_is_wrong(&fault), "{field}: {fault}");
        }
    }
}

#[test]
fn the_tables_of_fields_are_whole() {
    for (fields, bytes) in [(&SEGMENT_HEADER[..], 96), (&HEAD[..], 256)] {
        let end = fields.iter().fold(0, |end, (_, range)| {
            assert_eq!(range.start, end);
            range.end
        });
        assert_eq!(end, bytes);
    }
}

#[test]
fn who_has_not_the_key_cannot_seal_even_with_the_same_ids_and_salts() {
    let scratch = scratch();
    let same = || Options {
        entropy: chosen,
        ..options()
    };
    let other = || VolumeKey::take(&mut [9; 32]).unwrap();
    let (ours, content) = lives(&scratch.path().join("a"), key, &same());
    let (theirs, _) = lives(&scratch.path().join("b"), other, &same());
    let (ours, theirs) = (&ours[1], &theirs[1]);
    assert_eq!(ours.names(), theirs.names());
    let (head, their_head) = (ours.head.clone().unwrap(), theirs.head.clone().unwrap());
    assert_eq!(
        head[..48],
        their_head[..48],
        "the same volume, to whoever has no key"
    );

    let mut changed = ours.clone();
    changed.head = Some(their_head.clone());
    let refused = changed.judge(&options(), &content);
    assert!(matches!(refused, Err(Fault::WrongKey)), "{refused:?}");

    let mut with_our_commitment = their_head.clone();
    with_our_commitment[144..176].copy_from_slice(&head[144..176]);
    changed.head = Some(with_our_commitment);
    let refused = changed.judge(&options(), &content);
    assert!(matches!(refused, Err(Fault::Corrupt { .. })), "{refused:?}");

    changed = ours.clone();
    changed.segments = theirs.segments.clone();
    let refused = changed.judge(&options(), &content);
    assert!(matches!(refused, Err(Fault::Corrupt { .. })), "{refused:?}");

    let mut refused = 0;
    for name in ours.names().into_iter().filter(|name| ours.used(*name) > 512) {
        let mut changed = ours.clone();
        changed.segments.insert(name, Arc::clone(&theirs.segments[&name]));
        let fault = changed.judge(&options(), &content).unwrap_err();
        assert!(says_what_is_wrong(&fault), "{fault}");
        refused += 1;
    }
    assert!(refused >= 3);
}

#[test]
fn a_head_that_asks_for_much_memory_is_refused_before_it_gets_any() {
    let (images, content) = ours();
    let image = images.last().unwrap();
    for (at, value) in [(32, (1_u64 << 40).to_le_bytes()), (44, [0xff; 8])] {
        let mut changed = image.clone();
        changed.head.as_mut().unwrap()[at..at + 8].copy_from_slice(&value);
        let refused = changed.judge(&options(), &content);
        assert!(matches!(refused, Err(Fault::Corrupt { .. })), "{refused:?}");
    }
    assert_eq!(geometry().blocks, 840);
}

#[test]
fn an_opening_after_another_is_a_life_of_its_own() {
    // The tests here rest on epochs being taken one after the other.
    let scratch = scratch();
    let path = scratch.path().join("v");
    let (images, content) = lives(&path, key, &options());
    let epoch = |image: &Image| image.head.as_ref().map(|head| head[48]);
    assert_eq!((epoch(&images[0]), epoch(&images[1])), (Some(1), Some(2)));
    drop(open(&path));
    assert_eq!(epoch(&Image::of(&path)), Some(3));
    Image::of(&path).judge(&options(), &content).unwrap();
}
