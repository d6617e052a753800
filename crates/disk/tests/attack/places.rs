//! Links, pipes, directories and foreign files where the store's own belong. None is followed, none is waited for,
//! nothing outside of the store is ever changed.

use crate::world::{Content, Image, create, key, open, options, says_what_is_wrong, scratch};
use cofferdam_disk::{Access, Directory, Fault, Volume, geometry::SegmentName};
use rustix::fs::{CWD, FileType, Mode};
use std::{fs, io, os::unix::fs::symlink, path::Path};

/// A closed volume in a directory, and a file beside it that nobody may touch.
struct Place {
    scratch: tempfile::TempDir,
    image: Image,
    content: Content,
}

const PRECIOUS: &[u8] = b"nobody may change this";

impl Place {
    fn new() -> Self {
        let scratch = scratch();
        let path = scratch.path().join("v");
        let mut content = Content::empty();
        let volume = create(&path);
        content.write(&volume, 0, 30, 1);
        volume.close().unwrap();
        drop(volume);
        let volume = open(&path);
        content.write(&volume, 25, 10, 2);
        volume.close().unwrap();
        let place = Place {
            image: Image::of(&path),
            scratch,
            content,
        };
        place.reset();
        place
    }

    fn path(&self) -> std::path::PathBuf {
        self.scratch.path().join("v")
    }

    fn precious(&self) -> std::path::PathBuf {
        self.scratch.path().join("precious")
    }

    /// The store and the file beside it as they were.
    fn reset(&self) {
        self.image.put(&self.path());
        fs::write(self.precious(), PRECIOUS).unwrap();
    }

    fn segment(&self, name: SegmentName) -> std::path::PathBuf {
        self.path().join("segments").join(name.to_string())
    }

    /// Opens the store as it is now and reads everything.
    fn judge(&self) -> Result<(), Fault> {
        let store = Directory::open(&self.path(), Access::Buffered).unwrap();
        let judged = self.content.compare(&Volume::open(store, key(), &options())?);
        assert_eq!(fs::read(self.precious()).unwrap(), PRECIOUS);
        judged
    }

    /// Opens, overwrites until segments have come and gone, closes, opens again.
    fn live(&self) {
        let mut content = self.content.clone();
        let volume = open(&self.path());
        for life in 10..40 {
            content.write(&volume, 100, 10, life);
            volume.flush().unwrap();
            while volume.tend().unwrap() {}
        }
        content.compare(&volume).unwrap();
        volume.close().unwrap();
        drop(volume);
        content.compare(&open(&self.path())).unwrap();
        assert_eq!(fs::read(self.precious()).unwrap(), PRECIOUS);
    }
}

/// Things that are no regular file of the store's own.
const KINDS: [&str; 6] = [
    "link",
    "link to a device",
    "dangling link",
    "directory",
    "pipe",
    "socket",
];

/// Puts such a thing at `path`; a link leads to `to`.
fn plant(kind: &str, path: &Path, to: &Path) {
    let special = |kind| rustix::fs::mknodat(CWD, path, kind, Mode::RUSR | Mode::WUSR, 0).unwrap();
    match kind {
        "link" => symlink(to, path).unwrap(),
        "link to a device" => symlink("/dev/zero", path).unwrap(),
        "dangling link" => symlink("/nowhere/at/all", path).unwrap(),
        "directory" => fs::create_dir(path).unwrap(),
        "pipe" => special(FileType::Fifo),
        "socket" => special(FileType::Socket),
        other => panic!("{other}"),
    }
}

#[test]
fn a_segment_that_is_no_file_is_missing() {
    let place = Place::new();
    for kind in KINDS {
        let mut refused = 0;
        for name in place.image.names() {
            place.reset();
            let kept = place.scratch.path().join("kept");
            fs::rename(place.segment(name), &kept).unwrap();
            // Even a link to the very bytes is not followed.
            plant(kind, &place.segment(name), &kept);
            match place.judge() {
                Ok(()) => {}
                // A leftover that cannot be deleted.
                Err(Fault::Store { .. }) if kind == "directory" => {}
                Err(fault) => {
                    assert!(says_what_is_wrong(&fault), "{kind} {name}: {fault}");
                    refused += 1;
                }
            }
            assert_eq!(
                fs::read(&kept).unwrap(),
                **place.image.segments.get(&name).unwrap()
            );
        }
        assert!(refused >= 2, "{kind}: {refused}");
    }
}

#[test]
fn a_head_that_is_no_file_is_an_error() {
    let place = Place::new();
    for kind in KINDS {
        place.reset();
        let kept = place.scratch.path().join("kept");
        fs::rename(place.path().join("head"), &kept).unwrap();
        plant(kind, &place.path().join("head"), &kept);
        let fault = place.judge().unwrap_err();
        let text = fault.to_string();
        assert!(text.contains("head"), "{kind}: {text}");
        assert_eq!(fs::read(&kept).ok(), place.image.head);
    }
}

#[test]
fn a_head_of_another_length_is_an_error_however_long() {
    let place = Place::new();
    for length in [0, 1, 255, 257, 4096, 1 << 40] {
        place.reset();
        let file = fs::OpenOptions::new()
            .write(true)
            .open(place.path().join("head"))
            .unwrap();
        file.set_len(length).unwrap();
        let refused = place.judge();
        assert!(
            matches!(&refused, Err(Fault::Corrupt { place, .. }) if place == "the head"),
            "{refused:?}"
        );
    }
}

#[test]
fn what_lies_where_the_next_head_is_drafted_is_not_written_through() {
    let place = Place::new();
    let draft = place.path().join("head.new");
    for kind in KINDS {
        place.reset();
        plant(kind, &draft, &place.precious());
        let judged = place.judge();
        match kind {
            "directory" => assert!(matches!(judged, Err(Fault::Store { .. })), "{judged:?}"),
            _ => judged.unwrap(),
        }
    }
    place.reset();
    fs::hard_link(place.precious(), &draft).unwrap();
    place.judge().unwrap();
    for name in place.image.names() {
        place.reset();
        fs::hard_link(place.segment(name), &draft).unwrap();
        place.judge().unwrap();
    }
    place.reset();
    fs::write(&draft, vec![0xee; 5000]).unwrap();
    place.judge().unwrap();
}

#[test]
fn what_is_in_a_spare_file_never_matters() {
    let place = Place::new();
    let spare = |name: &str| place.path().join("spare").join(name);
    let length = usize::try_from(crate::world::geometry().segment).unwrap();
    let oldest = place.image.segments.values().next().unwrap();
    for bytes in [
        vec![0xee; length],
        vec![],
        vec![0xee; length - 1],
        vec![0xee; length + 1],
        vec![0xee; 5 * length],
        oldest.to_vec(),
    ] {
        place.reset();
        for name in ["1", "2", "4294967295", "18446744073709551615", "x", ".y"] {
            fs::write(spare(name), &bytes).unwrap();
        }
        place.live();
    }
}

#[test]
fn a_spare_that_is_no_file_of_its_own_is_not_used() {
    let place = Place::new();
    let spare = |name: &str| place.path().join("spare").join(name);
    for kind in KINDS {
        place.reset();
        for name in ["1", "2", "3", "9"] {
            plant(kind, &spare(name), &place.precious());
        }
        place.live();
    }
    // Hard links to every live segment, and to what is none of ours.
    place.reset();
    let length = u64::from(crate::world::geometry().segment);
    fs::File::create(place.precious())
        .unwrap()
        .set_len(length)
        .unwrap();
    let before = fs::read(place.precious()).unwrap();
    fs::hard_link(place.precious(), spare("1")).unwrap();
    for (number, name) in (2..).zip(place.image.names()) {
        fs::hard_link(place.segment(name), spare(&number.to_string())).unwrap();
    }
    let mut content = place.content.clone();
    let volume = open(&place.path());
    for life in 10..40 {
        content.write(&volume, 100, 10, life);
        volume.flush().unwrap();
        while volume.tend().unwrap() {}
    }
    volume.close().unwrap();
    drop(volume);
    content.compare(&open(&place.path())).unwrap();
    assert_eq!(fs::read(place.precious()).unwrap(), before);
}

#[test]
fn strangers_among_the_segments_are_left_alone() {
    let place = Place::new();
    let below = |name: &str| place.path().join("segments").join(name);
    let names = [
        "README",
        "00000001-1",
        "1-000000000001",
        "00000001-000000000001.bak",
        "lost+found",
    ];
    for name in names {
        fs::write(below(name), PRECIOUS).unwrap();
    }
    place.live();
    for name in names {
        assert_eq!(fs::read(below(name)).unwrap(), PRECIOUS, "{name}");
    }
}

#[test]
fn a_leftover_by_the_largest_name_does_not_stop_the_count() {
    let place = Place::new();
    for (epoch, sequence) in [(1, u64::MAX), (2, u64::MAX), (3, u64::MAX), (u64::MAX, u64::MAX)] {
        fs::write(place.segment(SegmentName { epoch, sequence }), PRECIOUS).unwrap();
    }
    place.live();
}

#[test]
fn directories_of_the_store_are_not_links() {
    let place = Place::new();
    for name in ["segments", "spare"] {
        place.reset();
        let kept = place.scratch.path().join("kept");
        fs::rename(place.path().join(name), &kept).unwrap();
        symlink(&kept, place.path().join(name)).unwrap();
        let refused = Directory::open(&place.path(), Access::Buffered);
        assert!(refused.is_err(), "{name}");
        fs::remove_dir_all(&kept).unwrap();
    }
}

#[test]
fn a_lock_that_is_missing_or_no_file_is_an_error() {
    let place = Place::new();
    let lock = place.path().join("lock");
    fs::remove_file(&lock).unwrap();
    let refused = Directory::open(&place.path(), Access::Buffered).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::NotFound);
    assert!(refused.to_string().contains("`lock`"), "{refused}");
    for kind in KINDS {
        place.reset();
        fs::remove_file(&lock).unwrap();
        plant(kind, &lock, &place.precious());
        assert!(
            Directory::open(&place.path(), Access::Buffered).is_err(),
            "{kind}"
        );
    }
    assert!(!place.path().join("lock").is_file());
}

#[test]
fn a_store_is_open_once() {
    let place = Place::new();
    let held = Directory::open(&place.path(), Access::Buffered).unwrap();
    for refused in [
        Directory::open(&place.path(), Access::Buffered).unwrap_err(),
        Directory::open_to_read(&place.path(), Access::Buffered).unwrap_err(),
    ] {
        assert_eq!(refused.kind(), io::ErrorKind::WouldBlock);
    }
    drop(held);
    place.judge().unwrap();
}
