//! Every byte of a cleanly closed volume changed in turn.

use crate::world::{Content, Image, create, open, options, says_what_is_wrong, scratch};
use cofferdam_disk::{Fault, geometry::SegmentName};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Two lives in two segments of use: data, overwritten data, a discard, both pages of the map, checkpoints, a clean end.
fn volume() -> (Image, Content) {
    let scratch = scratch();
    let path = scratch.path().join("v");
    let mut content = Content::empty();
    let volume = create(&path);
    content.write(&volume, 3, 3, 1);
    content.write(&volume, 816, 6, 1);
    content.discard(&volume, 817, 1);
    volume.close().unwrap();
    drop(volume);
    let volume = open(&path);
    content.write(&volume, 4, 1, 2);
    content.write(&volume, 830, 1, 2);
    volume.flush().unwrap();
    content.write(&volume, 5, 1, 3);
    volume.close().unwrap();
    drop(volume);
    (Image::of(&path), content)
}

/// A byte of the store.
#[derive(Debug, Clone, Copy)]
enum Byte {
    Head(usize),
    Segment(SegmentName, usize),
}

fn flipped(image: &Image, byte: Byte, mask: u8) -> Image {
    let mut image = image.clone();
    match byte {
        Byte::Head(at) => image.head.as_mut().unwrap()[at] ^= mask,
        Byte::Segment(name, at) => image.segment(name)[at] ^= mask,
    }
    image
}

/// The bytes to change: of a segment all, or all that differ in what they mean, and one in so many of the others.
///
/// A cell is 4112 bytes in which every byte is as good as the next: ciphertext and tag under one key.
fn bytes(image: &Image, one_in: usize) -> Vec<Byte> {
    let head = (0..image.head.as_ref().unwrap().len()).map(Byte::Head);
    let segments = image.names().into_iter().flat_map(|name| {
        let used = image.used(name).next_multiple_of(512);
        (0..used)
            .filter(move |at| one_in == 1 || at % 512 < 112 || at % one_in == 0)
            .map(move |at| Byte::Segment(name, at))
    });
    head.chain(segments).collect()
}

/// Changes each byte, opens, reads all. Answers how often that was refused.
fn sweep(image: &Image, content: &Content, bytes: &[Byte]) -> usize {
    let (next, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(byte) = bytes.get(next.fetch_add(1, Ordering::Relaxed)) {
                    // Every bit of a byte gets its turn somewhere.
                    let at = match byte {
                        Byte::Head(at) | Byte::Segment(_, at) => *at,
                    };
                    let changed = flipped(image, *byte, 1 << (at % 8));
                    if let Err(fault) = changed.judge(&options(), content) {
                        assert!(says_what_is_wrong(&fault), "{byte:?}: {fault:?}");
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    refused.into_inner()
}

#[test]
fn a_changed_byte_of_a_closed_volume_is_an_error_that_names_the_place_or_changes_nothing() {
    let (image, content) = volume();
    image.judge(&options(), &content).unwrap();
    // Every single byte takes half a minute on two processors: `cargo xtask test` does that, with the feature.
    let one_in = if cfg!(feature = "every-byte") { 1 } else { 41 };
    let bytes = bytes(&image, one_in);
    let refused = sweep(&image, &content, &bytes);
    assert!(refused > bytes.len() / 3, "{refused} of {}", bytes.len());
}

#[test]
fn a_changed_byte_of_the_head_is_always_refused() {
    let (image, content) = volume();
    for at in 0..image.head.as_ref().unwrap().len() {
        for bit in 0..8 {
            let changed = flipped(&image, Byte::Head(at), 1 << bit);
            let refused = changed.judge(&options(), &content);
            assert!(
                matches!(refused, Err(Fault::Corrupt { .. } | Fault::WrongKey)),
                "{at}: {refused:?}"
            );
        }
    }
}
