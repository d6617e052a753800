//! What the disk and its owner can do.

use crate::kit::{ORIGIN, act, at, key, log, open, verified};
use cofferdam_ledger::Ledger;
use cofferdam_linux::mount::DetachedMount;
use cofferdam_model::{ErrorKind, Result};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

fn try_open(directory: &Path) -> Result<Ledger> {
    Ledger::open(directory, key(1), ORIGIN)
}

/// A filesystem of its own in `directory`, as long as this lives.
struct Small<'a>(&'a Path);

impl<'a> Small<'a> {
    fn new(directory: &'a Path) -> Self {
        let mount = DetachedMount::tmpfs(256 << 10, 16, 0o700).unwrap();
        mount.attach_at(directory).unwrap();
        Small(directory)
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        rustix::mount::unmount(self.0, rustix::mount::UnmountFlags::DETACH).unwrap();
    }
}

#[test]
fn a_full_disk_ends_the_ledger_until_it_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let _mounted = Small::new(directory.path());
    let filler = directory.path().join("filler");
    std::fs::write(&filler, vec![1; 64 << 10]).unwrap();
    let ledger = open(directory.path());
    let mut acknowledged = 0;
    let refused = loop {
        match ledger.append(at(1), vec![act("x".repeat(500)), act("y".repeat(500))]) {
            Ok(index) => acknowledged = index + 2,
            Err(problem) => break problem,
        }
    };
    assert!(acknowledged > 20, "{acknowledged}");
    assert_eq!(refused.kind, ErrorKind::Unavailable);
    assert!(refused.message.contains("the disk is full"), "{refused}");
    std::fs::remove_file(&filler).unwrap();
    for _ in 0..3 {
        let still = ledger.append(at(2), vec![act("small")]).unwrap_err();
        assert_eq!(still.kind, ErrorKind::Unavailable);
        assert!(still.message.contains("the ledger has failed"), "{still}");
    }
    // What was acknowledged can be read all the same.
    assert_eq!(ledger.checkpoint().size(), acknowledged);
    assert_eq!(ledger.tail(1).unwrap()[0].index, acknowledged - 1);
    drop(ledger);
    let again = open(directory.path());
    assert_eq!(again.checkpoint().size(), acknowledged);
    assert_eq!(again.append(at(3), vec![act("after")]).unwrap(), acknowledged);
    assert_eq!(verified(&log(directory.path())).records, acknowledged + 1);
}

#[test]
fn everybody_who_waits_hears_of_the_failure() {
    let directory = tempfile::tempdir().unwrap();
    let _mounted = Small::new(directory.path());
    let ledger = open(directory.path());
    let until_full = || {
        let append = || ledger.append(at(1), vec![act("x".repeat(500))]);
        std::iter::repeat_with(append).map_while(Result::ok).count()
    };
    let acknowledged: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(until_full)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(ledger.checkpoint().size(), acknowledged as u64);
    assert_eq!(verified(&log(directory.path())).records, acknowledged as u64);
}

#[test]
fn only_one_can_write() {
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    assert_eq!(try_open(directory.path()).unwrap_err().kind, ErrorKind::Busy);
    drop(ledger);
    assert!(try_open(directory.path()).is_ok());
}

#[test]
fn the_file_is_its_owners_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("ledger.log");
    drop(open(directory.path()));
    let facts = std::fs::metadata(&path).unwrap();
    assert_eq!((facts.mode() & 0o7777, facts.uid()), (0o600, 0));
    for mode in [0o640, 0o602] {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        assert_eq!(try_open(directory.path()).unwrap_err().kind, ErrorKind::Corrupt);
    }
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    std::os::unix::fs::chown(&path, Some(1000), None).unwrap();
    assert_eq!(try_open(directory.path()).unwrap_err().kind, ErrorKind::Corrupt);
    std::fs::rename(&path, directory.path().join("elsewhere")).unwrap();
    symlink("elsewhere", &path).unwrap();
    assert!(try_open(directory.path()).is_err());
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    assert!(try_open(directory.path()).is_err());
    assert!(try_open(&directory.path().join("nowhere")).is_err());
}

#[test]
fn a_file_that_was_moved_cut_or_written_takes_no_more() {
    type Deed = fn(&Path);
    let deeds: [Deed; 4] = [
        |path| std::fs::rename(path, path.with_extension("1")).unwrap(),
        |path| std::fs::remove_file(path).unwrap(),
        |path| {
            std::fs::File::options()
                .write(true)
                .open(path)
                .unwrap()
                .set_len(0)
                .unwrap()
        },
        |path| {
            use std::io::Write;
            let mut file = std::fs::File::options().append(true).open(path).unwrap();
            file.write_all(b"x").unwrap();
        },
    ];
    for deed in deeds {
        let directory = tempfile::tempdir().unwrap();
        let ledger = open(directory.path());
        ledger.append(at(1), vec![act("before")]).unwrap();
        deed(&directory.path().join("ledger.log"));
        for _ in 0..2 {
            let refused = ledger.append(at(1), vec![act("after")]).unwrap_err();
            assert_eq!(refused.kind, ErrorKind::Corrupt, "{refused}");
        }
        assert_eq!(ledger.checkpoint().size(), 1);
    }
}

#[test]
fn what_is_nothing_or_too_much_is_refused_and_the_ledger_goes_on() {
    use cofferdam_ledger::{Event, VolumeOutcome};
    let directory = tempfile::tempdir().unwrap();
    let ledger = open(directory.path());
    assert_eq!(
        ledger.append(at(1), Vec::new()).unwrap_err().kind,
        ErrorKind::Invalid
    );
    let decision = |volumes, reasons| Event::Decision {
        container: "c".repeat(128).parse().unwrap(),
        decision: cofferdam_model::DecisionId(u64::MAX),
        verb: "\u{1}".repeat(600),
        volumes: (0..volumes)
            .map(|_| VolumeOutcome {
                volume: format!("{0}.{0}", "v".repeat(63)).parse().unwrap(),
                app: Some(format!("{0}.{0}", "a".repeat(63)).parse().unwrap()),
                allowed: false,
                read_only: false,
            })
            .collect(),
        allowed: false,
        measurement: None,
        reasons: vec!["\u{1}".repeat(600); reasons],
    };
    let too_much = ledger
        .append(at(1), vec![act("a"), decision(2000, 100)])
        .unwrap_err();
    assert_eq!(too_much.kind, ErrorKind::Invalid);
    // As many volumes as one request can carry, and the longest reasons.
    let most = decision(cofferdam_model::wire::DESCRIPTORS_MAX, 100);
    assert_eq!(ledger.append(at(1), vec![most]).unwrap(), 0);
    assert_eq!(verified(&log(directory.path())).records, 1);
    let [record] = ledger.tail(9).unwrap().try_into().unwrap();
    match record.event {
        Event::Decision { volumes, reasons, .. } => assert_eq!((volumes.len(), reasons.len()), (250, 64)),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        Ledger::open(directory.path(), key(1), "not a name")
            .unwrap_err()
            .kind,
        ErrorKind::Invalid
    );
}
