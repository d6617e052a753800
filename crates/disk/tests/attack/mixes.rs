//! Segments and heads dropped, duplicated, swapped and replayed: between names, volumes, copies and times.

use crate::world::{Content, Image, create, key, open, options, says_what_is_wrong, scratch};
use cofferdam_disk::{
    Access, Directory, Fault, Volume, Witness,
    geometry::SegmentName,
    volume::{Identity, Options, identify},
};
use std::{fs, path::Path, sync::Arc};

/// A store at one moment, what it held then, and what was remembered of it.
struct Moment {
    image: Image,
    content: Content,
    witness: Witness,
}

impl Moment {
    fn judge(&self, image: &Image, with_witness: bool) -> Result<(), Fault> {
        let options = Options {
            witness: with_witness.then_some(self.witness),
            ..options()
        };
        image.judge(&options, &self.content)
    }
}

/// Lives of one volume, each ended by closing it. Every life writes over several segments.
fn lives(path: &Path, count: u64) -> Vec<Moment> {
    let mut content = Content::empty();
    let mut moments = Vec::new();
    for life in 1..=count {
        let volume = if life == 1 { create(path) } else { open(path) };
        live(&volume, &mut content, life);
        let witness = volume.close().unwrap();
        drop(volume);
        moments.push(Moment {
            image: Image::of(path),
            content: content.clone(),
            witness,
        });
    }
    moments
}

/// Some blocks that stay for good, some that every life writes anew.
fn live(volume: &Volume<Directory>, content: &mut Content, life: u64) {
    content.write(volume, life * 40, 25, life);
    content.write(volume, 0, 20, life);
    volume.flush().unwrap();
    content.write(volume, 815, 10, life);
    content.discard(volume, 818, 2);
    volume.flush().unwrap();
}

fn closed() -> Moment {
    let scratch = scratch();
    let mut moments = lives(&scratch.path().join("v"), 2);
    moments.pop().unwrap()
}

/// Whether a segment has anything but its header.
fn is_used(image: &Image, name: SegmentName) -> bool {
    image.used(name) > 512
}

/// Whether a refusal names this segment, or the one before it: where the log ends is a place in that.
fn is_named(image: &Image, name: SegmentName, fault: &Fault) -> bool {
    let names = image.names();
    let before = names.iter().take_while(|other| **other < name).last();
    let text = fault.to_string();
    [Some(&name), before]
        .into_iter()
        .flatten()
        .any(|name| text.contains(&format!("segment {name}")))
}

#[test]
fn a_volume_that_nobody_touched_is_whole() {
    let moment = closed();
    moment.judge(&moment.image, true).unwrap();
    let used = moment
        .image
        .names()
        .into_iter()
        .filter(|name| is_used(&moment.image, *name));
    assert!(used.count() >= 6, "the other tests need several segments");
}

#[test]
fn a_dropped_segment_is_noticed_where_the_log_breaks() {
    let moment = closed();
    let mut refused = 0;
    for name in moment.image.names() {
        let mut image = moment.image.clone();
        image.segments.remove(&name);
        if let Err(fault) = moment.judge(&image, false) {
            assert!(says_what_is_wrong(&fault), "{fault}");
            assert!(is_named(&moment.image, name, &fault), "{name}: {fault}");
            refused += 1;
        }
    }
    assert!(refused >= 4, "{refused}");
}

#[test]
fn a_segment_under_a_second_name_is_nobodys() {
    let moment = closed();
    let [first, .., last] = moment.image.names()[..] else {
        panic!("too few segments");
    };
    for name in moment.image.names() {
        for (epoch, sequence) in [
            (last.epoch, last.sequence + 1),
            (last.epoch + 1, last.sequence + 1),
            (last.epoch + 7, 1),
            (first.epoch, last.sequence + 1),
            (u64::MAX, u64::MAX),
        ] {
            let mut image = moment.image.clone();
            let bytes = Arc::clone(&image.segments[&name]);
            image.segments.insert(SegmentName { epoch, sequence }, bytes);
            moment.judge(&image, false).unwrap();
        }
    }
}

#[test]
fn two_segments_swapped_are_noticed() {
    let moment = closed();
    let names = moment.image.names();
    let mut refused = 0;
    for (index, a) in names.iter().enumerate() {
        for b in &names[index + 1..] {
            let mut image = moment.image.clone();
            let (of_a, of_b) = (Arc::clone(&image.segments[a]), Arc::clone(&image.segments[b]));
            image.segments.insert(*a, of_b);
            image.segments.insert(*b, of_a);
            if let Err(fault) = moment.judge(&image, false) {
                assert!(says_what_is_wrong(&fault), "{fault}");
                refused += 1;
            }
        }
    }
    assert!(refused >= 10, "{refused}");
}

#[test]
fn segments_of_another_volume_with_the_same_key_are_noticed() {
    let scratch = scratch();
    let [ours, theirs] = ["a", "b"].map(|name| lives(&scratch.path().join(name), 2).pop().unwrap());
    let mut refused = 0;
    for name in ours.image.names() {
        let Some(foreign) = theirs.image.segments.get(&name) else {
            continue;
        };
        let mut image = ours.image.clone();
        image.segments.insert(name, Arc::clone(foreign));
        if let Err(fault) = ours.judge(&image, false) {
            assert!(is_named(&ours.image, name, &fault), "{name}: {fault}");
            refused += 1;
        }
    }
    assert!(refused >= 4, "{refused}");
    let all = Image {
        head: ours.image.head.clone(),
        ..theirs.image
    };
    let refused = ours.judge(&all, false);
    assert!(matches!(refused, Err(Fault::Corrupt { .. })), "{refused:?}");
}

#[test]
fn segments_of_a_copy_that_went_its_own_way_are_noticed() {
    let scratch = scratch();
    let (path, copy) = (scratch.path().join("v"), scratch.path().join("copy"));
    let start = lives(&path, 1).pop().unwrap();
    start.image.put(&copy);
    // Both take epoch 2, and give their segments the same names.
    let mut moments = [&path, &copy].map(|path| {
        let mut content = start.content.clone();
        let volume = open(path);
        live(&volume, &mut content, if *path == copy { 9 } else { 2 });
        let witness = volume.close().unwrap();
        Moment {
            image: Image::of(path),
            content,
            witness,
        }
    });
    let [ours, theirs] = &mut moments;
    assert_eq!(ours.image.names(), theirs.image.names());
    let mut refused = 0;
    for name in ours.image.names() {
        let mut image = ours.image.clone();
        image
            .segments
            .insert(name, Arc::clone(&theirs.image.segments[&name]));
        if let Err(fault) = ours.judge(&image, false) {
            assert!(says_what_is_wrong(&fault), "{fault}");
            refused += 1;
        }
    }
    assert!(refused >= 2, "{refused}");
    // The whole copy is genuine; who remembers the other sees that it is not the one.
    theirs.judge(&theirs.image, true).unwrap();
    let options = Options {
        witness: Some(ours.witness),
        ..options()
    };
    let refused = theirs.image.judge(&options, &theirs.content);
    assert!(matches!(refused, Err(Fault::RolledBack { .. })), "{refused:?}");
}

#[test]
fn a_segment_of_a_copy_does_not_continue_the_log_even_where_all_numbers_fit() {
    let scratch = scratch();
    let (path, copy) = (scratch.path().join("v"), scratch.path().join("copy"));
    let start = lives(&path, 1).pop().unwrap();
    start.image.put(&copy);
    // Both take epoch 2 and write the same blocks, so that records, places and names are the same; nothing is closed.
    let [(ours, states), (theirs, _)] = [(&path, 2), (&copy, 9)].map(|(path, life)| {
        let volume = open(path);
        let (mut content, mut states) = (start.content.clone(), Vec::new());
        for block in 0..40 {
            states.push(content.clone());
            content.write(&volume, block, 1, life);
        }
        volume.flush().unwrap();
        states.push(content);
        (Image::of(path), states)
    });
    assert_eq!(ours.names(), theirs.names());
    assert_eq!(ours.state(&options(), &states).unwrap(), 40);
    let newer = |name: &SegmentName| name.epoch == 2 && is_used(&ours, *name);
    let newer: Vec<_> = ours.names().into_iter().filter(newer).collect();
    assert!(newer.len() >= 3);
    for name in newer {
        let mut image = ours.clone();
        image.segments.insert(name, Arc::clone(&theirs.segments[&name]));
        match image.state(&options(), &states) {
            Ok(state) => assert!(state < 40, "{name}"),
            Err(fault) => assert!(says_what_is_wrong(&fault), "{fault}"),
        }
    }
}

#[test]
fn the_head_of_another_volume_is_refused() {
    let scratch = scratch();
    let [ours, theirs] = ["a", "b"].map(|name| lives(&scratch.path().join(name), 2).pop().unwrap());
    let mut image = ours.image.clone();
    image.head = theirs.image.head.clone();
    let refused = ours.judge(&image, false);
    assert!(matches!(refused, Err(Fault::Corrupt { .. })), "{refused:?}");
    let refused = ours.judge(&image, true);
    assert!(matches!(refused, Err(Fault::Invalid(_))), "{refused:?}");
}

#[test]
fn a_missing_head_is_an_error() {
    let moment = closed();
    let mut image = moment.image.clone();
    image.head = None;
    let refused = moment.judge(&image, false);
    assert!(
        matches!(&refused, Err(Fault::Corrupt { place, .. }) if place == "the head"),
        "{refused:?}"
    );
}

#[test]
fn an_older_copy_of_everything_is_what_it_was_and_refused_where_somebody_remembers() {
    let scratch = scratch();
    let moments = lives(&scratch.path().join("v"), 3);
    let newest = moments.last().unwrap();
    for older in &moments[..2] {
        older.judge(&older.image, false).unwrap();
        older.judge(&older.image, true).unwrap();
        let refused = newest.judge(&older.image, true);
        assert!(matches!(refused, Err(Fault::RolledBack { .. })), "{refused:?}");
    }
}

#[test]
fn an_older_head_beside_newer_segments_is_refused() {
    let scratch = scratch();
    let moments = lives(&scratch.path().join("v"), 3);
    let newest = moments.last().unwrap();
    for older in &moments[..2] {
        let mut image = newest.image.clone();
        image.head = older.image.head.clone();
        for with_witness in [false, true] {
            let fault = newest.judge(&image, with_witness).unwrap_err();
            assert!(says_what_is_wrong(&fault), "{fault}");
        }
    }
}

#[test]
fn older_segments_below_the_newest_head_are_refused() {
    let scratch = scratch();
    let moments = lives(&scratch.path().join("v"), 3);
    let newest = moments.last().unwrap();
    for older in &moments[..2] {
        let mut image = older.image.clone();
        image.head = newest.image.head.clone();
        for with_witness in [false, true] {
            let fault = newest.judge(&image, with_witness).unwrap_err();
            assert!(says_what_is_wrong(&fault), "{fault}");
        }
    }
}

#[test]
fn a_deleted_segment_that_comes_back_changes_nothing() {
    let scratch = scratch();
    let moments = lives(&scratch.path().join("v"), 3);
    let newest = moments.last().unwrap();
    let mut came_back = 0;
    for older in &moments[..2] {
        for (name, bytes) in &older.image.segments {
            let mut image = newest.image.clone();
            if image.segments.insert(*name, Arc::clone(bytes)).is_none() {
                came_back += 1;
            }
            // A closed segment never changes, so the older copy of one that still is there is the same.
            newest.judge(&image, true).unwrap();
        }
    }
    assert!(came_back > 0);
}

/// One life's store at several flushes, and after its end; every state that it was in, and how many there were of them
/// at each flush.
fn moments_of_one_life() -> (Vec<Moment>, Moment, Vec<Content>, Vec<usize>) {
    let scratch = scratch();
    let path = scratch.path().join("v");
    let volume = create(&path);
    let (mut content, mut moments) = (Content::empty(), Vec::new());
    let (mut states, mut flushed) = (vec![content.clone()], Vec::new());
    for step in 1..=6 {
        for block in (step * 7..step * 7 + 11).chain(0..3) {
            content.write(&volume, block, 1, step);
            states.push(content.clone());
        }
        volume.flush().unwrap();
        flushed.push(states.len());
        moments.push(Moment {
            image: Image::of(&path),
            content: content.clone(),
            witness: volume.witness(),
        });
    }
    let witness = volume.close().unwrap();
    let end = Moment {
        image: Image::of(&path),
        content,
        witness,
    };
    (moments, end, states, flushed)
}

#[test]
fn an_older_copy_of_one_segment_is_refused_after_a_clean_end() {
    let (moments, end, ..) = moments_of_one_life();
    let mut differing = 0;
    for older in &moments {
        for (name, bytes) in &older.image.segments {
            if end.image.segments.get(name).is_some_and(|now| now == bytes) {
                continue;
            }
            let mut image = end.image.clone();
            let was_there = image.segments.insert(*name, Arc::clone(bytes)).is_some();
            match end.judge(&image, false) {
                Ok(()) => assert!(!was_there || !is_used(&end.image, *name), "{name}"),
                Err(fault) => assert!(says_what_is_wrong(&fault), "{fault}"),
            }
            differing += 1;
        }
    }
    assert!(differing >= 5, "{differing}");
}

#[test]
fn an_older_copy_of_one_segment_after_a_crash_is_refused_or_a_state_that_there_was() {
    let (moments, _, states, flushed) = moments_of_one_life();
    let newest = moments.last().unwrap();
    for (index, older) in moments[..moments.len() - 1].iter().enumerate() {
        for (name, bytes) in &older.image.segments {
            if newest.image.segments.get(name).is_none_or(|now| now == bytes) {
                continue;
            }
            let mut image = newest.image.clone();
            image.segments.insert(*name, Arc::clone(bytes));
            // Without a witness a state that there was, not before that of the copy; with one nothing is lost.
            match image.state(&options(), &states) {
                Ok(state) => assert!(state + 1 >= flushed[index], "{state} after {}", flushed[index]),
                Err(fault) => assert!(says_what_is_wrong(&fault), "{fault}"),
            }
            let fault = newest.judge(&image, true).unwrap_err();
            assert!(says_what_is_wrong(&fault), "{fault}");
        }
    }
}

#[test]
fn an_older_copy_of_everything_of_the_same_life_is_refused_where_somebody_remembers() {
    let (moments, ..) = moments_of_one_life();
    let newest = moments.last().unwrap();
    for older in &moments[..moments.len() - 1] {
        older.judge(&older.image, true).unwrap();
        let refused = newest.judge(&older.image, true);
        assert!(matches!(refused, Err(Fault::RolledBack { .. })), "{refused:?}");
    }
}

#[test]
fn the_head_of_an_earlier_moment_of_the_same_life_leads_to_the_same_end_or_is_refused() {
    let (moments, end, ..) = moments_of_one_life();
    for older in &moments {
        let mut image = end.image.clone();
        image.head = older.image.head.clone();
        if let Err(fault) = end.judge(&image, true) {
            assert!(says_what_is_wrong(&fault), "{fault}");
        }
    }
}

#[test]
fn a_witness_of_another_volume_is_not_used() {
    let scratch = scratch();
    let [ours, theirs] = ["a", "b"].map(|name| lives(&scratch.path().join(name), 1).pop().unwrap());
    let options = Options {
        witness: Some(theirs.witness),
        ..options()
    };
    let refused = ours.image.judge(&options, &ours.content);
    assert!(matches!(refused, Err(Fault::Invalid(_))), "{refused:?}");
}

#[test]
fn another_key_is_the_wrong_key_and_changes_nothing() {
    let scratch = scratch();
    let path = scratch.path().join("v");
    let moment = lives(&path, 1).pop().unwrap();
    let wrong = || cofferdam_vault::VolumeKey::take(&mut [8; 32]).unwrap();
    let store = || Directory::open(&path, Access::Buffered).unwrap();
    let refused = Volume::open(store(), wrong(), &options()).map(|_| ());
    assert!(matches!(refused, Err(Fault::WrongKey)), "{refused:?}");
    let refused = identify(&store(), Some(&wrong().into()));
    assert!(matches!(refused, Err(Fault::WrongKey)), "{refused:?}");
    let told: Identity = identify(&store(), None).unwrap();
    assert_eq!(told, identify(&store(), Some(&key().into())).unwrap());
    assert_eq!(fs::read(path.join("head")).ok(), moment.image.head);
    moment.judge(&Image::of(&path), true).unwrap();
}
