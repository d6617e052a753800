//! Many who append at once.

use crate::kit::{act, at, log, open, verified};
use cofferdam_ledger::Event;
use std::collections::BTreeMap;

const THREADS: usize = 16;
const EACH: usize = 40;

/// Thread `thread`'s append number `n`: one to three events, which name where they come from.
fn events(thread: usize, n: usize) -> Vec<Event> {
    (0..=n % 3)
        .map(|part| act(format!("{thread}.{n}.{part}")))
        .collect()
}

#[test]
fn everybody_gets_a_place_of_his_own() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    let append = |thread| {
        let one = |n| {
            (
                ledger.append(at(1), events(thread, n)).unwrap(),
                events(thread, n),
            )
        };
        (0..EACH).map(one).collect::<Vec<_>>()
    };
    let appended: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || append(thread)))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut expected = BTreeMap::new();
    for thread in &appended {
        assert!(thread.is_sorted_by_key(|(index, _)| *index));
        for (index, events) in thread {
            for (place, event) in (*index..).zip(events) {
                assert_eq!(
                    expected.insert(place, event.clone()),
                    None,
                    "{place} was given twice"
                );
            }
        }
    }
    let records = ledger.tail(usize::MAX).unwrap();
    let found: BTreeMap<_, _> = records
        .into_iter()
        .map(|record| (record.index, record.event))
        .collect();
    assert_eq!(found, expected);
    let verified = verified(&log(directory.path()));
    assert_eq!(verified.records, expected.len() as u64);
    assert_eq!(verified.checkpoint, Some(ledger.checkpoint()));
    assert!(verified.frames <= (THREADS * EACH) as u64);
}

#[test]
fn readers_see_whole_ledgers_while_others_write() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|thread| {
                let ledger = &ledger;
                scope.spawn(move || {
                    (0..EACH).for_each(|n| assert!(ledger.append(at(1), events(thread, n)).is_ok()))
                })
            })
            .collect();
        let mut newest = 0;
        while !writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            let mut copy = Vec::new();
            let checkpoint = ledger.export(&mut copy, &mut |_, _| {}).unwrap();
            assert!(checkpoint.size() >= newest);
            newest = checkpoint.size();
            assert_eq!(verified(&copy).records, newest);
            assert!(ledger.tail(5).unwrap().len() <= 5);
        }
    });
}
