//! The state file: it spares time, and decides nothing.

use crate::kit::{FRAMES, ORIGIN, act, at, frames, key, log, open, put, small, verified, written};
use cofferdam_ledger::{Ledger, Looks};
use cofferdam_model::ErrorKind;
use std::path::{Path, PathBuf};

fn state(directory: &Path) -> PathBuf {
    directory.join("ledger.state")
}

/// A directory with a log of [`FRAMES`] that was closed in peace.
fn closed() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    put(directory.path(), &small());
    open(directory.path()).close().unwrap();
    assert!(state(directory.path()).exists());
    directory
}

/// Opens, and goes on.
fn goes_on(directory: &Path) {
    let before = log(directory);
    let ledger = open(directory);
    assert_eq!(
        (ledger.cut(), ledger.checkpoint()),
        (0, verified(&before).checkpoint.unwrap())
    );
    let size = ledger.checkpoint().size();
    assert_eq!(ledger.append(at(99), vec![act("after")]).unwrap(), size);
    assert_eq!(verified(&log(directory)).records, size + 1);
}

#[test]
fn dropping_writes_it_as_closing_does() {
    let directory = tempfile::tempdir().unwrap();
    put(directory.path(), &small());
    drop(open(directory.path()));
    assert!(state(directory.path()).exists());
    goes_on(directory.path());
}

#[test]
fn an_empty_ledger_has_none() {
    let directory = tempfile::tempdir().unwrap();
    open(directory.path()).close().unwrap();
    assert!(!state(directory.path()).exists());
    goes_on_from_nothing(directory.path());
}

fn goes_on_from_nothing(directory: &Path) {
    let ledger = open(directory);
    assert_eq!(ledger.checkpoint().size(), 0);
    assert_eq!(ledger.append(at(1), vec![act("first")]).unwrap(), 0);
}

#[test]
fn what_it_covers_is_not_read_again() {
    let directory = closed();
    let mut changed = log(directory.path());
    let whole = changed.clone();
    changed[20] ^= 1;
    std::fs::write(directory.path().join("ledger.log"), &changed).unwrap();
    assert_eq!(
        open(directory.path()).checkpoint().size(),
        verified(&whole).records
    );
    // The last frame's end is looked at.
    for at in [whole.len() - 9, frames(&whole)[3].end - 400] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        std::fs::write(directory.path().join("ledger.log"), &changed).unwrap();
        let refused = Ledger::open(directory.path(), key(1), ORIGIN).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Corrupt, "{refused}");
    }
}

#[test]
fn without_it_or_with_an_older_one_all_is_there() {
    let directory = closed();
    let older = std::fs::read(state(directory.path())).unwrap();
    std::fs::remove_file(state(directory.path())).unwrap();
    goes_on(directory.path());
    std::fs::write(state(directory.path()), &older).unwrap();
    goes_on(directory.path());
}

#[test]
fn with_an_older_one_what_follows_is_read() {
    let directory = closed();
    let older = std::fs::read(state(directory.path())).unwrap();
    goes_on(directory.path());
    std::fs::write(state(directory.path()), &older).unwrap();
    let mut changed = log(directory.path());
    let place = changed.len() - 450;
    changed[place] ^= 1;
    std::fs::write(directory.path().join("ledger.log"), &changed).unwrap();
    let refused = Ledger::open(directory.path(), key(1), ORIGIN).unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Corrupt, "{refused}");
    // And a torn frame behind it is cut.
    changed[place] ^= 1;
    changed.truncate(changed.len() - 3);
    std::fs::write(directory.path().join("ledger.log"), &changed).unwrap();
    assert_eq!(open(directory.path()).checkpoint().size(), 8);
}

#[test]
fn a_changed_one_is_as_good_as_none() {
    let directory = closed();
    let (whole, before) = (
        log(directory.path()),
        std::fs::read(state(directory.path())).unwrap(),
    );
    let newest = verified(&whole).checkpoint;
    for place in 0..before.len() {
        let mut changed = before.clone();
        changed[place] ^= 1 << (place % 7);
        std::fs::write(state(directory.path()), &changed).unwrap();
        let ledger = open(directory.path());
        assert_eq!(Some(ledger.checkpoint()), newest, "byte {place}");
        // What was believed of it shows in what is written next.
        ledger.append(at(9), vec![act("after")]).unwrap();
        drop(ledger);
        let after = log(directory.path());
        assert_eq!(after[..whole.len()], whole, "byte {place}");
        assert!(crate::kit::check(&after, newest.as_ref()).is_ok(), "byte {place}");
        put(directory.path(), &whole);
    }
    for other in [
        Vec::new(),
        b"{}".to_vec(),
        vec![b'x'; 1 << 20],
        before[..before.len() / 2].to_vec(),
    ] {
        std::fs::write(state(directory.path()), &other).unwrap();
        assert_eq!(Some(open(directory.path()).checkpoint()), newest);
    }
    std::fs::write(state(directory.path()), &before).unwrap();
    goes_on(directory.path());
}

#[test]
fn one_of_another_key_is_as_good_as_none() {
    let (directory, other) = (closed(), tempfile::tempdir().unwrap());
    put(other.path(), &written(&FRAMES, 2));
    Ledger::open(other.path(), key(2), ORIGIN)
        .unwrap()
        .close()
        .unwrap();
    std::fs::copy(state(other.path()), state(directory.path())).unwrap();
    goes_on(directory.path());
}

#[test]
fn a_log_that_lost_what_it_signed_is_refused() {
    let directory = closed();
    let whole = log(directory.path());
    for frame in frames(&whole) {
        for end in [frame.start, frame.end - 1] {
            std::fs::write(directory.path().join("ledger.log"), &whole[..end]).unwrap();
            let refused = Ledger::open(directory.path(), key(1), ORIGIN).unwrap_err();
            assert_eq!(refused.kind, ErrorKind::Corrupt, "{refused}");
            assert_eq!(log(directory.path()).len(), end, "it was cut all the same");
        }
    }
    // Another log of the same key, longer than the one that was signed.
    let another = tempfile::tempdir().unwrap();
    let ledger = open(another.path());
    for n in 0..12 {
        ledger.append(at(n), vec![act("another")]).unwrap();
    }
    std::fs::write(directory.path().join("ledger.log"), log(another.path())).unwrap();
    let refused = Ledger::open(directory.path(), key(1), ORIGIN).unwrap_err();
    assert!(
        refused.message.contains("are not those of the older checkpoint"),
        "{refused}"
    );
    let older = verified(&whole).checkpoint.unwrap();
    let finding = crate::kit::found(&log(another.path()), Some(&older));
    assert_eq!(finding.looks, Looks::Rewritten);
}

#[test]
fn it_is_written_while_the_ledger_grows() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    ledger
        .append(at(1), (0..1023).map(|n| act(n.to_string())).collect())
        .unwrap();
    assert!(!state(directory.path()).exists());
    ledger.append(at(1), vec![act("1023")]).unwrap();
    assert!(state(directory.path()).exists());
    ledger.append(at(1), vec![act("1024")]).unwrap();
    // As after a crash: nothing was closed.
    let crashed = tempfile::tempdir().unwrap();
    put(crashed.path(), &log(directory.path()));
    std::fs::copy(state(directory.path()), state(crashed.path())).unwrap();
    goes_on(crashed.path());
}
