//! Small ledgers, and ways to take them apart.

use cofferdam_ledger::{Actor, Checkpoint, Event, Fault, Finding, Ledger, Verified, VerifierKey, verify};
use cofferdam_vault::SigningKey;
use jiff::Timestamp;
use std::ops::Range;
use std::path::Path;

pub(crate) const ORIGIN: &str = "example.com/cofferdam/host-7";

/// How many records the frames of [`small`] have.
pub(crate) const FRAMES: [usize; 4] = [1, 3, 2, 2];

pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::take(&mut [seed; 32]).unwrap()
}

pub(crate) fn verifier(seed: u8) -> VerifierKey {
    VerifierKey::new(ORIGIN.parse().unwrap(), key(seed).verifying())
}

pub(crate) fn at(second: u64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + i64::try_from(second).unwrap()).unwrap()
}

pub(crate) fn act(subject: impl Into<String>) -> Event {
    Event::Act {
        verb: "note".into(),
        subject: subject.into(),
        detail: Vec::new(),
        by: Actor::Peer { uid: 0, pid: 7 },
    }
}

pub(crate) fn open(directory: &Path) -> Ledger {
    Ledger::open(directory, key(1), ORIGIN).unwrap()
}

/// The log of a ledger with frames of these sizes, signed by the key of `seed`.
pub(crate) fn written(frames: &[usize], seed: u8) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(directory.path(), key(seed), ORIGIN).unwrap();
    let mut count = 0;
    for frame in frames {
        let events = (count..count + frame).map(|n| act(format!("s{n}"))).collect();
        assert_eq!(ledger.append(at(count as u64), events).unwrap(), count as u64);
        count += frame;
    }
    log(directory.path())
}

/// A ledger with [`FRAMES`].
pub(crate) fn small() -> Vec<u8> {
    written(&FRAMES, 1)
}

pub(crate) fn log(directory: &Path) -> Vec<u8> {
    std::fs::read(directory.join("ledger.log")).unwrap()
}

/// Makes the directory hold this log and nothing else.
pub(crate) fn put(directory: &Path, log: &[u8]) {
    use std::os::unix::fs::PermissionsExt;
    let path = directory.join("ledger.log");
    std::fs::write(&path, log).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    match std::fs::remove_file(directory.join("ledger.state")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
        _ => {}
    }
}

/// The lines, each with its newline.
pub(crate) fn lines(log: &[u8]) -> Vec<Vec<u8>> {
    log.split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}

pub(crate) fn is_checkpoint(line: &[u8]) -> bool {
    line.starts_with(b"{\"checkpoint\"")
}

/// Where among the lines each record is.
pub(crate) fn records(lines: &[Vec<u8>]) -> Vec<usize> {
    (0..lines.len())
        .filter(|at| !is_checkpoint(&lines[*at]))
        .collect()
}

/// The bytes of each frame.
pub(crate) fn frames(log: &[u8]) -> Vec<Range<usize>> {
    let (mut from, mut at, mut frames) = (0, 0, Vec::new());
    for line in lines(log) {
        at += line.len();
        if is_checkpoint(&line) {
            frames.push(from..at);
            from = at;
        }
    }
    frames
}

/// The checkpoint that a log ends with.
pub(crate) fn last_checkpoint(log: &[u8]) -> Checkpoint {
    verified(log).checkpoint.unwrap()
}

pub(crate) fn check(log: &[u8], older: Option<&Checkpoint>) -> Result<Verified, Fault> {
    verify(log, &verifier(1), older, &mut |_| {})
}

pub(crate) fn verified(log: &[u8]) -> Verified {
    check(log, None).unwrap()
}

/// What is wrong with a log.
pub(crate) fn found(log: &[u8], older: Option<&Checkpoint>) -> Finding {
    match check(log, older) {
        Err(Fault::Found(finding)) => finding,
        other => panic!("taken for {other:?}: {}", String::from_utf8_lossy(log)),
    }
}
