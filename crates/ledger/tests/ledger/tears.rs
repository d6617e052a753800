//! What a crash leaves of the last write.

use crate::kit::{FRAMES, act, at, frames, log, open, put, small, verified};

/// Opens `torn`, of which the first `whole` bytes were acknowledged.
fn recovers(torn: &[u8], whole: usize, records: u64) {
    let directory = tempfile::tempdir().unwrap();
    put(directory.path(), torn);
    let ledger = open(directory.path());
    assert_eq!(ledger.cut(), (torn.len() - whole) as u64);
    assert_eq!(ledger.checkpoint().size(), records);
    assert_eq!(log(directory.path()), torn[..whole]);
    assert_eq!(ledger.append(at(9), vec![act("after")]).unwrap(), records);
    let after = log(directory.path());
    assert_eq!(after[..whole], torn[..whole]);
    assert_eq!(verified(&after).records, records + 1);
}

#[test]
fn a_frame_torn_at_any_byte_is_cut() {
    let log = small();
    let last = frames(&log).pop().unwrap();
    let records = 6;
    for end in last.clone() {
        recovers(&log[..end], last.start, records);
    }
    let all = FRAMES.iter().sum::<usize>() as u64;
    recovers(&log, log.len(), all);
}

#[test]
fn the_first_frame_can_be_torn_too() {
    let log = small();
    let first = frames(&log)[0].clone();
    for end in first.clone() {
        recovers(&log[..end], 0, 0);
    }
}

#[test]
fn blocks_that_never_arrived_are_cut() {
    let log = small();
    let last = frames(&log).pop().unwrap();
    for end in last.clone().step_by(7) {
        let mut zeros = log.clone();
        zeros[end..].fill(0);
        recovers(&zeros, last.start, 6);
    }
}

#[test]
fn a_frame_that_arrived_without_being_acknowledged_stays() {
    let directory = tempfile::tempdir().unwrap();
    let all = small();
    put(directory.path(), &all);
    let ledger = open(directory.path());
    assert_eq!((ledger.cut(), ledger.checkpoint().size()), (0, 8));
}
