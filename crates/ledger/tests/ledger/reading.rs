//! Tails, exports and proofs.

use crate::kit::{FRAMES, act, at, check, frames, key, last_checkpoint, log, open, put, small, verifier};
use cofferdam_ledger::{Event, Extension, Ledger, Proof, verify_extension, verify_proof};
use cofferdam_model::ErrorKind;
use tempfile::TempDir;

/// A ledger of [`FRAMES`], open.
fn ledger() -> (TempDir, Ledger) {
    let directory = tempfile::tempdir().unwrap();
    put(directory.path(), &small());
    let ledger = open(directory.path());
    (directory, ledger)
}

fn size() -> u64 {
    FRAMES.iter().sum::<usize>() as u64
}

#[test]
fn a_tail_is_the_last_records_in_order() {
    let (directory, ledger) = ledger();
    for count in 0..10 {
        let tail = ledger.tail(count).unwrap();
        let indexes: Vec<u64> = tail.iter().map(|record| record.index).collect();
        let first = size().saturating_sub(count as u64);
        assert_eq!(indexes, (first..size()).collect::<Vec<_>>());
        for record in tail {
            assert_eq!(record.event, act(format!("s{}", record.index)));
        }
    }
    // It reads no more of the file than it needs, and trusts nothing of that.
    let mut changed = log(directory.path());
    let last = frames(&changed)[3].clone();
    for place in [20, last.start + 20] {
        changed[place] ^= 1;
        std::fs::write(directory.path().join("ledger.log"), &changed).unwrap();
        let untouched = place < last.start;
        assert_eq!(ledger.tail(2).is_ok(), untouched);
        assert_eq!(ledger.tail(10).unwrap_err().kind, ErrorKind::Corrupt);
    }
    std::fs::write(directory.path().join("ledger.log"), &changed[..last.start]).unwrap();
    assert!(ledger.tail(1).is_err());
}

#[test]
fn an_empty_ledger_has_a_checkpoint_and_no_records() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    assert_eq!(ledger.checkpoint().size(), 0);
    assert_eq!(ledger.tail(3).unwrap(), []);
    let mut copy = Vec::new();
    ledger.export(&mut copy, &mut |_, _| {}).unwrap();
    assert!(copy.is_empty());
    assert_eq!(
        ledger.prove(0, &mut |_, _| {}).unwrap_err().kind,
        ErrorKind::Missing
    );
    assert!(check(&copy, Some(&ledger.checkpoint())).is_ok());
}

#[test]
fn an_export_is_the_log_and_verifies() {
    let (directory, ledger) = ledger();
    let (mut copy, mut told) = (Vec::new(), (0, 0));
    let checkpoint = ledger
        .export(&mut copy, &mut |done, all| told = (done, all))
        .unwrap();
    assert_eq!(copy, log(directory.path()));
    assert_eq!(told, (copy.len() as u64, copy.len() as u64));
    assert_eq!(last_checkpoint(&copy), checkpoint);
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let refused = ledger.export(&mut Full, &mut |_, _| {}).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Unavailable);
}

#[test]
fn each_record_can_be_proved() {
    let (_directory, ledger) = ledger();
    for index in 0..size() {
        let mut told = (0, 0);
        let proof = ledger.prove(index, &mut |done, all| told = (done, all)).unwrap();
        assert_eq!(told, (size(), size()));
        let json = serde_json::to_string(&proof).unwrap();
        let proof: Proof = serde_json::from_str(&json).unwrap();
        let proven = verify_proof(&proof, &verifier(1)).unwrap();
        assert_eq!(proven.record.index, index);
        assert_eq!(proven.record.event, act(format!("s{index}")));
        assert_eq!(proven.checkpoint, ledger.checkpoint());

        let refused = |change: fn(&mut Proof)| {
            let mut changed = proof.clone();
            change(&mut changed);
            assert_eq!(
                verify_proof(&changed, &verifier(1)).unwrap_err().kind,
                ErrorKind::Corrupt
            );
        };
        refused(|proof| proof.index ^= 1);
        refused(|proof| proof.record = proof.record.replace("\"pid\":7", "\"pid\":8"));
        refused(|proof| proof.record.push(' '));
        refused(|proof| proof.path.truncate(proof.path.len() - 1));
        refused(|proof| proof.path.reverse());
        refused(|proof| proof.path.push(proof.path[0]));
        refused(|proof| proof.checkpoint = proof.checkpoint.replace("\n8\n", "\n9\n"));
        refused(|proof| proof.checkpoint.clear());
        assert!(verify_proof(&proof, &verifier(2)).is_err());
    }
    assert_eq!(
        ledger.prove(size(), &mut |_, _| {}).unwrap_err().kind,
        ErrorKind::Missing
    );
}

#[test]
fn growth_can_be_proved_to_a_witness() {
    let (directory, ledger) = ledger();
    let log = log(directory.path());
    for frame in frames(&log) {
        let older = last_checkpoint(&log[..frame.end]);
        let extension = ledger.prove_extension(older.size(), &mut |_, _| {}).unwrap();
        let json = serde_json::to_string(&extension).unwrap();
        let extension: Extension = serde_json::from_str(&json).unwrap();
        assert_eq!(
            verify_extension(&extension, &older, &verifier(1)).unwrap(),
            ledger.checkpoint()
        );

        let mut longer = extension.clone();
        longer.path.push(older.root());
        assert!(verify_extension(&longer, &older, &verifier(1)).is_err());
        let mut elsewhere = extension.clone();
        elsewhere.older += 1;
        assert!(verify_extension(&elsewhere, &older, &verifier(1)).is_err());
        let another = crate::kit::written(&[5], 1);
        let another = last_checkpoint(&another);
        assert!(verify_extension(&extension, &another, &verifier(1)).is_err());
    }
    let refused = ledger.prove_extension(size() + 1, &mut |_, _| {}).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Missing);
}

#[test]
fn nothing_is_proved_from_a_changed_log() {
    let (directory, ledger) = ledger();
    let mut changed = log(directory.path());
    changed[20] ^= 1;
    std::fs::write(directory.path().join("ledger.log"), &changed).unwrap();
    assert_eq!(
        ledger.prove(7, &mut |_, _| {}).unwrap_err().kind,
        ErrorKind::Corrupt
    );
    assert_eq!(
        ledger.prove_extension(3, &mut |_, _| {}).unwrap_err().kind,
        ErrorKind::Corrupt
    );
}

#[test]
fn texts_of_any_kind_come_back() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    let hostile = [
        "\n",
        "\r\n\0",
        "\"}",
        "{\"checkpoint\":\"",
        "\u{2028}",
        "\u{7f}",
        "äöü",
        "\u{1F600}",
    ];
    let events: Vec<Event> = hostile.iter().map(|text| act(*text)).collect();
    ledger.append(at(1), events.clone()).unwrap();
    drop(ledger);
    let ledger = Ledger::open(directory.path(), key(1), crate::kit::ORIGIN).unwrap();
    let found: Vec<Event> = ledger
        .tail(99)
        .unwrap()
        .into_iter()
        .map(|record| record.event)
        .collect();
    assert_eq!(found, events);
    assert_eq!(
        crate::kit::verified(&log(directory.path())).records,
        hostile.len() as u64
    );
}
