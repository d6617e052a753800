//! The end of the log cut, torn and damaged, after a clean end and after a crash.

use crate::world::{Content, Image, create, options, says_what_is_wrong, scratch};
use cofferdam_disk::{Fault, Witness, geometry::SegmentName, volume::Options};

const HEADER: usize = 512;
const CELL: usize = 4112;

/// What one record of the crashed life is.
#[derive(Debug, Clone, Copy)]
enum Op {
    Write { first: u64, count: u64 },
    Discard { first: u64, count: u64 },
    Flush,
}

/// Every operation between flushes is a record of its own.
const OPS: [Op; 13] = [
    Op::Write { first: 0, count: 1 },
    Op::Write { first: 1, count: 2 },
    Op::Flush,
    Op::Discard { first: 1, count: 1 },
    Op::Write { first: 0, count: 1 },
    Op::Flush,
    Op::Write { first: 60, count: 1 },
    Op::Flush,
    Op::Write { first: 2, count: 2 },
    Op::Write { first: 7, count: 1 },
    Op::Discard { first: 2, count: 1 },
    Op::Write { first: 830, count: 1 },
    Op::Flush,
];

/// A store as a sudden end leaves it: all was flushed, nothing closed.
struct Crashed {
    image: Image,
    /// The segment that has all of it.
    name: SegmentName,
    /// Where each record begins, and where the last one ends.
    bounds: Vec<usize>,
    /// The state before the first record, and after each.
    states: Vec<Content>,
    /// How many records had been flushed when each was written, and in the end.
    flushed: Vec<usize>,
    witness: Witness,
}

fn crashed() -> Crashed {
    let scratch = scratch();
    let path = scratch.path().join("v");
    let volume = create(&path);
    let mut content = Content::empty();
    let (mut lengths, mut states) = (Vec::new(), vec![content.clone()]);
    let (mut flushed, mut until_now) = (Vec::new(), 0);
    for (life, op) in (1..).zip(OPS) {
        let cells = match op {
            Op::Write { first, count } => {
                content.write(&volume, first, count, life);
                usize::try_from(count).unwrap()
            }
            Op::Discard { first, count } => {
                content.discard(&volume, first, count);
                0
            }
            Op::Flush => {
                volume.flush().unwrap();
                until_now = lengths.len();
                continue;
            }
        };
        lengths.push((HEADER + cells * CELL).next_multiple_of(512));
        states.push(content.clone());
        flushed.push(until_now);
    }
    flushed.push(until_now);
    let image = Image::of(&path);
    let used = |name: &SegmentName| image.used(*name) > 2 * HEADER;
    let [name] = image.names().into_iter().filter(used).collect::<Vec<_>>()[..] else {
        panic!("all of it fits into one segment");
    };
    let mut bounds = vec![image.used(name).next_multiple_of(512)];
    for length in lengths.iter().rev() {
        bounds.push(bounds[bounds.len() - 1] - length);
    }
    bounds.reverse();
    Crashed {
        image,
        name,
        bounds,
        states,
        flushed,
        witness: volume.witness(),
    }
}

impl Crashed {
    fn witnessed(&self) -> Options {
        Options {
            witness: Some(self.witness),
            ..options()
        }
    }

    fn records(&self) -> usize {
        self.bounds.len() - 1
    }

    /// How many records are there with all their cells when the segment is cut at `at`. The zeros behind the cells say
    /// nothing.
    fn whole(&self, at: usize) -> usize {
        let cells = |pair: &[usize]| (pair[1] - pair[0] - HEADER) / CELL;
        let ends = self
            .bounds
            .windows(2)
            .map(|pair| pair[0] + HEADER + cells(pair) * CELL);
        ends.filter(|end| *end <= at).count()
    }

    /// The store with this segment cut at `at`: the file ends there, or there are zeros from there on.
    fn cut(&self, at: usize, shorter: bool) -> Image {
        let mut image = self.image.clone();
        let bytes = image.segment(self.name);
        if shorter {
            bytes.truncate(at);
        } else {
            bytes[at..].fill(0);
        }
        image
    }

    /// Where what a cut at `at` leaves really ends: zeros are not changed by zeros.
    fn end(&self, at: usize, shorter: bool) -> usize {
        let mut image = self.image.clone();
        let bytes = image.segment(self.name);
        let same = bytes[at..].iter().take_while(|byte| **byte == 0).count();
        if shorter { at } else { at + same }
    }

    /// Every place worth cutting at: bounds, headers' ends, and the middle of everything.
    fn cuts(&self) -> Vec<usize> {
        let within = |pair: &[usize]| {
            let [start, end] = pair else { return vec![] };
            [0, 1, 16, 511, 512, 513, 512 + 2000, 512 + 4112 - 1, 512 + 4112]
                .into_iter()
                .map(|step| start + step)
                .filter(|at| at < end)
                .collect()
        };
        let mut cuts: Vec<_> = self.bounds.windows(2).flat_map(within).collect();
        cuts.extend(self.bounds.last());
        cuts
    }
}

#[test]
fn a_crashed_volume_that_nobody_touched_has_all_that_was_flushed() {
    let crashed = crashed();
    let state = crashed
        .image
        .state(&crashed.witnessed(), &crashed.states)
        .unwrap();
    assert_eq!(state, crashed.records());
}

#[test]
fn a_tail_cut_after_a_crash_is_all_that_is_whole_and_never_less_than_was_proven() {
    let crashed = crashed();
    for at in crashed.cuts() {
        let whole = crashed.whole(at);
        let headers = crashed.bounds.iter().filter(|start| **start + HEADER <= at);
        let headers = headers.count().min(crashed.records());
        let proven = headers.checked_sub(1).map_or(0, |last| crashed.flushed[last]);
        assert!(proven <= whole, "the test cuts what no crash can");
        for shorter in [true, false] {
            let whole = crashed.whole(crashed.end(at, shorter));
            let state = crashed.cut(at, shorter).state(&options(), &crashed.states);
            assert_eq!(state.unwrap(), whole, "cut at {at}");
        }
    }
}

#[test]
fn a_tail_cut_after_a_crash_is_refused_where_somebody_remembers_more() {
    let crashed = crashed();
    for at in crashed.cuts() {
        for shorter in [true, false] {
            let whole = crashed.whole(crashed.end(at, shorter));
            let state = crashed
                .cut(at, shorter)
                .state(&crashed.witnessed(), &crashed.states);
            match state {
                Ok(state) => assert!(whole == crashed.records() && state == whole, "{state} at {at}"),
                Err(fault) => assert!(says_what_is_wrong(&fault), "{fault}"),
            }
        }
    }
}

#[test]
fn a_record_missing_before_a_proven_flush_is_refused() {
    let crashed = crashed();
    let proven = crashed.flushed[crashed.records() - 1];
    assert!(proven >= 5);
    for record in 0..proven {
        let mut image = crashed.image.clone();
        let start = crashed.bounds[record];
        image.segment(crashed.name)[start..start + HEADER].fill(0);
        let fault = image.state(&options(), &crashed.states).unwrap_err();
        let place = format!("segment {} at byte {start}", crashed.name);
        assert!(
            matches!(&fault, Fault::Corrupt { place: p, .. } if *p == place),
            "{record}: {fault}"
        );
    }
}

#[test]
fn a_record_missing_after_the_last_proven_flush_is_where_the_log_ends() {
    let crashed = crashed();
    let proven = crashed.flushed[crashed.records() - 1];
    for record in proven..crashed.records() {
        let mut image = crashed.image.clone();
        let start = crashed.bounds[record];
        image.segment(crashed.name)[start..start + HEADER].fill(0);
        assert_eq!(image.state(&options(), &crashed.states).unwrap(), record);
        let refused = image.state(&crashed.witnessed(), &crashed.states);
        assert!(refused.is_err(), "{record}");
    }
}

#[test]
fn the_end_of_a_segment_missing_before_another_segment_is_refused() {
    let scratch = scratch();
    let path = scratch.path().join("v");
    let volume = create(&path);
    let (mut content, mut states) = (Content::empty(), Vec::new());
    // Sealed at once, so that no record says of another that it is flushed; then all of them are.
    for block in 0..20 {
        states.push(content.clone());
        content.write(&volume, block, 1, 1);
    }
    volume.flush().unwrap();
    states.push(content.clone());
    let image = Image::of(&path);
    let used: Vec<_> = image
        .names()
        .into_iter()
        .filter(|name| image.used(*name) > HEADER)
        .collect();
    let [first, _] = used[..] else {
        panic!("two segments, not {used:?}");
    };
    assert_eq!(image.state(&options(), &states).unwrap(), 20);
    for at in (2 * HEADER..image.used(first)).step_by(HEADER) {
        let mut image = image.clone();
        image.segment(first)[at..].fill(0);
        match image.state(&options(), &states) {
            Err(fault) => assert!(says_what_is_wrong(&fault), "{fault}"),

            Ok(state) => panic!("{state} at {at}"),
        }
    }
}

#[test]
fn a_damaged_cell_before_a_proven_flush_is_refused_to_its_reader_alone() {
    let crashed = crashed();
    let end = crashed.states.last().unwrap();
    let (mut refused, mut dead) = (0, 0);
    for record in 0..crashed.flushed[crashed.records() - 1] {
        let mut image = crashed.image.clone();
        if crashed.bounds[record + 1] - crashed.bounds[record] == HEADER {
            continue;
        }
        image.segment(crashed.name)[crashed.bounds[record] + HEADER + 99] ^= 1;
        match image.judge(&options(), end) {
            Ok(()) => dead += 1,
            Err(Fault::Corrupt { what, .. }) => {
                assert_eq!(what, "a cell does not verify");
                refused += 1;
            }
            Err(fault) => panic!("{fault}"),
        }
    }
    assert!(refused > 0 && dead > 0, "{refused} refused, {dead} dead");
}

#[test]
fn records_exchanged_or_repeated_are_refused() {
    let crashed = crashed();
    // Two records of the same length: the second write of block 0, and that of block 60.
    let long = CELL + HEADER + 496;
    let same: Vec<_> = (0..crashed.records())
        .filter(|record| crashed.bounds[record + 1] - crashed.bounds[*record] == long)
        .collect();
    assert!(same.len() >= 4);
    for (a, b) in same.iter().zip(&same[1..]) {
        for exchange in [true, false] {
            let mut image = crashed.image.clone();
            let bytes = image.segment(crashed.name);
            let (at_a, at_b) = (crashed.bounds[*a], crashed.bounds[*b]);
            let first = bytes[at_a..at_a + long].to_vec();
            if exchange {
                bytes.copy_within(at_b..at_b + long, at_a);
            }
            bytes[at_b..at_b + long].copy_from_slice(&first);
            match image.state(&options(), &crashed.states) {
                Ok(state) => assert!(state <= *b && state >= crashed.flushed[*a], "{state}"),
                Err(fault) => assert!(says_what_is_wrong(&fault), "{fault}"),
            }
            assert!(image.state(&crashed.witnessed(), &crashed.states).is_err());
        }
    }
}

#[test]
fn a_tail_cut_after_a_clean_end_is_refused() {
    let scratch = scratch();
    let path = scratch.path().join("v");
    let volume = create(&path);
    let mut content = Content::empty();
    content.write(&volume, 0, 5, 1);
    content.write(&volume, 820, 2, 1);
    volume.close().unwrap();
    let image = Image::of(&path);
    image.judge(&options(), &content).unwrap();
    let [name] = image
        .names()
        .into_iter()
        .filter(|name| image.used(*name) > HEADER)
        .collect::<Vec<_>>()[..]
    else {
        panic!("all of it fits into one segment");
    };
    let used = image.used(name);
    let mut cuts: Vec<_> = (0..used).step_by(256).collect();
    cuts.extend([1, 95, 96, used - 1]);
    for at in cuts {
        for shorter in [true, false] {
            let mut image = image.clone();
            if shorter {
                image.segment(name).truncate(at);
            } else {
                image.segment(name)[at..].fill(0);
            }
            let fault = image.judge(&options(), &content).unwrap_err();
            assert!(says_what_is_wrong(&fault), "{at}: {fault}");
        }
    }
}

#[test]
fn a_longer_file_is_the_same() {
    let crashed = crashed();
    for name in crashed.image.names() {
        let mut image = crashed.image.clone();
        let more = image.segment(crashed.name)[..30_000].to_vec();
        image.segment(name).extend(more);
        let state = image.state(&crashed.witnessed(), &crashed.states).unwrap();
        assert_eq!(state, crashed.records());
    }
}
