//! A store that answers with an error once.

use crate::{
    failing::{Failing, Request, Weather},
    world::{BLOCKS, Content, create, key, open, options, scratch},
};
use cofferdam_disk::{Access, BLOCK, Directory, Fault, Outcome, Volume, volume::memory_for};
use cofferdam_linux::aligned::AlignedBuffer;
use std::path::Path;

/// Opens a volume on a store whose weather can turn.
pub(crate) fn open_below(weather: &Weather, path: &Path) -> Outcome<Volume<Failing<Directory>>> {
    let store = Failing {
        below: Directory::open(path, Access::Buffered).unwrap(),
        weather: weather.clone(),
    };
    Volume::open(store, key(), &options())
}

fn read_block(volume: &Volume<Failing<Directory>>, block: u64) -> Outcome {
    let mut memory = AlignedBuffer::new(memory_for(BLOCK));
    volume.read(block * BLOCK as u64, BLOCK, &mut memory).map(|_| ())
}

#[test]
fn a_read_that_fails_once_succeeds_the_next_time() {
    let scratch = scratch();
    let path = scratch.path().join("v");
    let mut content = Content::empty();
    let volume = create(&path);
    content.write(&volume, 0, 40, 1);
    volume.close().unwrap();
    drop(volume);
    let weather = Weather::fair();
    let volume = open_below(&weather, &path).unwrap();
    // The first needs a page of the map, the others blocks.
    for block in [0, 1, 39] {
        weather.strikes_once(|request| request == Request::Read, 0);
        let refused = read_block(&volume, block);
        assert!(matches!(refused, Err(Fault::Store { .. })), "{refused:?}");
        read_block(&volume, block).unwrap();
    }
    content.compare(&volume).unwrap();
    assert_eq!(volume.take_damage().len(), 3);
    content.write(&volume, 5, 1, 2);
    volume.close().unwrap();
    drop(volume);
    content.compare(&open(&path)).unwrap();
}

#[test]
fn a_write_of_any_kind_that_fails_once_ends_the_volume_and_loses_nothing_that_was_flushed() {
    let kinds: [fn(Request) -> bool; 4] = [
        |request| matches!(request, Request::Append { .. }),
        |request| request == Request::Sync,
        |request| request == Request::ReplaceHead,
        |request| request == Request::Delete,
    ];
    for kind in kinds {
        let mut struck = 0;
        for skip in 0.. {
            if !life_with_one_failure(kind, skip) {
                break;
            }
            struck += 1;
        }
        assert!(struck >= 2, "{struck}");
    }
}

/// Leads a life in which the request after `skip` others of its kind fails; answers whether it came to that.
fn life_with_one_failure(kind: fn(Request) -> bool, skip: usize) -> bool {
    let scratch = scratch();
    let path = scratch.path().join("v");
    drop(create(&path));
    let weather = Weather::fair();
    let volume = open_below(&weather, &path).unwrap();
    weather.strikes_once(kind, skip);
    let mut states = vec![Content::empty()];
    let (mut flushed, mut failed) = (0, false);
    'life: for life in 1..12 {
        for block in [0, 1, 2, 3, 4, 5, 6, 820 + life] {
            // The state to come counts from the call on: a write that fails may be there later, or not.
            let mut next = states.last().unwrap().clone();
            let wrote = next.try_write(&volume, block, 1, life);
            states.push(next);
            if wrote.is_err() {
                failed = true;
                break 'life;
            }
        }
        if volume.flush().is_err() || volume.tend().is_err() {
            failed = true;
            break;
        }
        flushed = states.len() - 1;
    }
    if failed {
        all_calls_fail(&volume);
    }
    drop(volume);
    let volume = open(&path);
    let content = Content::of(&volume).unwrap();
    let state = states.iter().rposition(|state| *state == content);
    assert!(
        state.is_some_and(|state| state >= flushed),
        "{state:?} of {flushed}"
    );
    volume.close().unwrap();
    failed
}

fn all_calls_fail(volume: &Volume<Failing<Directory>>) {
    let failed = [
        volume.flush(),
        volume.write(0, &[1; BLOCK]),
        volume.discard(0, BLOCK as u64),
        read_block(volume, 0),
        volume.tend().map(|_| ()),
        volume.close().map(|_| ()),
    ];
    for outcome in failed {
        assert!(matches!(outcome, Err(Fault::Failed)), "{outcome:?}");
    }
}

#[test]
fn an_error_while_opening_leaves_a_volume_that_opens_the_next_time() {
    let scratch = scratch();
    let path = scratch.path().join("v");
    let mut content = Content::empty();
    let volume = create(&path);
    content.write(&volume, 0, 40, 1);
    content.write(&volume, 820, 3, 1);
    volume.flush().unwrap();
    drop(volume);
    let mut struck = 0;
    for skip in 0.. {
        let weather = Weather::fair();
        weather.strikes_once(|_| true, skip);
        match open_below(&weather, &path) {
            Err(Fault::Store { .. } | Fault::Full) => struck += 1,
            Err(fault) => panic!("{fault}"),
            Ok(volume) => {
                content.compare(&volume).unwrap();
                if struck > 10 {
                    break;
                }
            }
        }
        content.compare(&open(&path)).unwrap();
    }
    assert!(struck > 10, "{struck}");
}

#[test]
fn a_segment_that_cannot_be_read_does_not_stop_writers() {
    let scratch = scratch();
    let path = scratch.path().join("v");
    drop(create(&path));
    let weather = Weather::fair();
    let volume = open_below(&weather, &path).unwrap();
    // Every fifth read fails: of cleaning, for nobody else reads here.
    let mut reads = 0;
    weather.turns(move |request| {
        reads += usize::from(request == Request::Read);
        match request {
            Request::Read if reads % 5 == 0 => Err(std::io::Error::from_raw_os_error(5)),
            _ => Ok(()),
        }
    });
    let mut content = Content::empty();
    let mut random = 1_u64;
    for life in 1..=20 {
        for _ in 0..200 {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            content.write(&volume, (random >> 33) % 300, 1, life);
        }
        volume.flush().unwrap();
        while volume.tend().unwrap() {}
    }
    weather.turns(|_| Ok(()));
    content.compare(&volume).unwrap();
    assert!(!volume.take_damage().is_empty());
    volume.close().unwrap();
}

#[test]
fn requests_beyond_the_end_or_between_blocks_are_invalid() {
    let scratch = scratch();
    let volume = create(&scratch.path().join("v"));
    let (block, end) = (BLOCK as u64, BLOCKS * BLOCK as u64);
    let mut memory = AlignedBuffer::new(memory_for(2 * BLOCK));
    for (offset, length) in [
        (end, BLOCK),
        (end - block, 2 * BLOCK),
        (end + block, BLOCK),
        (u64::MAX - block + 1, BLOCK),
        (u64::MAX - 2 * block + 1, 2 * BLOCK),
        (1, BLOCK),
        (512, BLOCK),
        (0, 512),
        (0, BLOCK + 1),
    ] {
        let data = vec![1; length];
        let refused = [
            volume.write(offset, &data),
            volume.discard(offset, length as u64),
            volume.read(offset, length, &mut memory).map(|_| ()),
        ];
        for refused in refused {
            assert!(
                matches!(refused, Err(Fault::Invalid(_))),
                "{offset}+{length}: {refused:?}"
            );
        }
    }
    let refused = volume.discard(0, u64::MAX - block + 1);
    assert!(matches!(refused, Err(Fault::Invalid(_))), "{refused:?}");
    let refused = volume.read(0, 64 * BLOCK, &mut memory).map(|_| ());
    assert!(matches!(refused, Err(Fault::Invalid(_))), "{refused:?}");
    volume.write(end - block, &[1; BLOCK]).unwrap();
    volume.write(end, &[]).unwrap();
    volume.discard(end, 0).unwrap();
    volume.close().unwrap();
}
