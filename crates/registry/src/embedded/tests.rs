//! What only the embedded registry can get wrong: its file.

use super::*;
use crate::conformance;
use cofferdam_model::ErrorKind;
use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};
use tempfile::TempDir;

fn scratch() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("registry.sqlite");
    (directory, path)
}

fn filled(path: &Path) -> Embedded {
    let registry = Embedded::open(path).unwrap();
    registry
        .commit(Commit::new().put("a", "1").put("b", "2"))
        .unwrap();
    registry
}

#[test]
fn conforms() {
    let (directory, _) = scratch();
    let count = AtomicU32::new(0);
    conformance::suite(|| {
        let name = count.fetch_add(1, Ordering::Relaxed).to_string();
        Embedded::open(&directory.path().join(name)).unwrap()
    });
}

#[test]
fn reopening_keeps_all() {
    let (_directory, path) = scratch();
    let registry = filled(&path);
    let before = (
        registry.list("").unwrap(),
        registry.commit(Commit::new()).unwrap(),
    );
    drop(registry);
    let registry = Embedded::open(&path).unwrap();
    assert_eq!(
        (
            registry.list("").unwrap(),
            registry.commit(Commit::new()).unwrap()
        ),
        before
    );
    assert!(registry.commit(Commit::new().put("c", "3")).unwrap() > before.1);
}

#[test]
fn what_was_committed_survives_a_crash() {
    let (directory, path) = scratch();
    let registry = filled(&path);
    registry.commit(Commit::new().put("a", "later")).unwrap();
    // The files as they are now are what a kill -9 would leave.
    let crashed = directory.path().join("crashed.sqlite");
    for ending in ["", "-wal"] {
        fs::copy(
            format!("{}{ending}", path.display()),
            format!("{}{ending}", crashed.display()),
        )
        .unwrap();
    }
    let survivor = Embedded::open(&crashed).unwrap();
    assert_eq!(survivor.list("").unwrap(), registry.list("").unwrap());
}

#[test]
fn a_second_opener_is_refused_until_the_first_is_gone() {
    let (_directory, path) = scratch();
    let first = filled(&path);
    let problem = Embedded::open(&path).unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Busy, "{problem}");
    assert!(problem.message.contains(&path.display().to_string()));
    // Somebody who ignores the lock file meets SQLite's own lock.
    let other = Connection::open(&path).unwrap();
    other.busy_timeout(std::time::Duration::ZERO).unwrap();
    assert!(other.execute("DELETE FROM entry", []).is_err());
    drop(other);
    drop(first);
    Embedded::open(&path).unwrap();
}

#[test]
fn files_are_private() {
    let (directory, path) = scratch();
    drop(filled(&path));
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let _registry = filled(&path);
    let mut count = 0;
    for file in fs::read_dir(directory.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(
            file.metadata().unwrap().mode() & 0o7777,
            0o600,
            "{:?}",
            file.file_name()
        );
        count += 1;
    }
    assert_eq!(count, 3, "database, log and lock, and no shared memory");
}

#[test]
fn damaged_files_are_refused_by_name() {
    let (_directory, path) = scratch();
    let registry = Embedded::open(&path).unwrap();
    let many = (0..500).fold(Commit::new(), |commit, n| {
        commit.put(format!("key/{n}"), vec![b'v'; 200])
    });
    registry.commit(many).unwrap();
    drop(registry);
    let good = fs::read(&path).unwrap();
    let mut torn_middle = good.clone();
    torn_middle[good.len() / 2..good.len() / 2 + 4096].fill(0xa5);
    let mut torn_head = good.clone();
    torn_head[..16].fill(0);
    let cases: [(&str, &[u8]); 4] = [
        ("a page overwritten", &torn_middle),
        ("the head overwritten", &torn_head),
        ("cut in the middle", &good[..good.len() / 2]),
        (
            "text",
            b"this is no database, but it is longer than the head of one, which has a hundred bytes .......",
        ),
    ];
    for (what, bytes) in cases {
        fs::write(&path, bytes).unwrap();
        let problem = Embedded::open(&path).expect_err(what);
        assert_eq!(problem.kind, ErrorKind::Corrupt, "{what}: {problem}");
        assert!(
            problem.message.contains(&path.display().to_string()),
            "{what}: {problem}"
        );
        assert_eq!(
            fs::read(&path).unwrap(),
            bytes,
            "{what}: a refused file is left as it is"
        );
    }
    fs::write(&path, &good).unwrap();
    assert_eq!(Embedded::open(&path).unwrap().list("key/").unwrap().len(), 500);
}

#[test]
fn foreign_and_newer_databases_are_refused() {
    let (directory, path) = scratch();
    let foreign = directory.path().join("foreign.sqlite");
    Connection::open(&foreign)
        .unwrap()
        .execute_batch("CREATE TABLE theirs (x)")
        .unwrap();
    assert_eq!(Embedded::open(&foreign).unwrap_err().kind, ErrorKind::Corrupt);

    drop(filled(&path));
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 2)
        .unwrap();
    let problem = Embedded::open(&path).unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Unavailable);
    assert!(problem.message.contains("schema version 2"), "{problem}");
}

#[test]
fn a_commit_that_fails_midway_changes_nothing() {
    let (_directory, path) = scratch();
    let registry = filled(&path);
    let before = (
        registry.list("").unwrap(),
        registry.commit(Commit::new()).unwrap(),
    );
    registry
        .state()
        .connection
        .execute_batch(
            "CREATE TEMP TRIGGER fault BEFORE INSERT ON entry WHEN NEW.key = 'fault'
             BEGIN SELECT RAISE(ABORT, 'injected'); END",
        )
        .unwrap();
    let watch = registry.watch("");
    let commit = Commit::new()
        .put("a", "changed")
        .put("new", "x")
        .put("fault", "x")
        .delete("b");
    let problem = registry.commit(commit).unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Internal, "{problem}");
    assert_eq!(
        (
            registry.list("").unwrap(),
            registry.commit(Commit::new()).unwrap()
        ),
        before
    );
    assert_eq!(watch.ready(), None);
    registry.commit(Commit::new().put("new", "x")).unwrap();
}

#[test]
fn a_missing_directory_is_told() {
    let (directory, _) = scratch();
    let problem = Embedded::open(&directory.path().join("none/registry.sqlite")).unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Unavailable);
    assert!(problem.message.contains("directory does not exist"), "{problem}");
}

/// A small filesystem of our own; unmounted when dropped.
struct SmallDisk(TempDir);

impl SmallDisk {
    /// Mounts it, or says why the test is skipped.
    fn mount(size: &str) -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: mounting a tmpfs needs root");
            return None;
        }
        let disk = SmallDisk(tempfile::tempdir().unwrap());
        let options = format!("size={size},mode=0700");
        match disk.run(&["mount", "-t", "tmpfs", "-o", &options, "tmpfs"]) {
            true => Some(disk),
            false => {
                println!("skipped: a tmpfs cannot be mounted here");
                None
            }
        }
    }

    fn run(&self, command: &[&str]) -> bool {
        let mut program = Command::new(command[0]);
        program.args(&command[1..]).arg(self.0.path());
        program.status().unwrap().success()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        self.run(&["umount"]);
    }
}

#[test]
fn a_full_disk_is_told_and_loses_nothing() {
    let Some(disk) = SmallDisk::mount("512k") else {
        return;
    };
    let path = disk.0.path().join("registry.sqlite");
    let registry = filled(&path);
    let mut kept = 0;
    let problem = loop {
        match registry.commit(Commit::new().put(format!("big/{kept:04}"), vec![b'x'; 10_000])) {
            Ok(_) => kept += 1,
            Err(problem) => break problem,
        }
        assert!(kept < 1000, "the disk never fills");
    };
    assert_eq!(problem.kind, ErrorKind::Unavailable, "{problem}");
    assert!(problem.message.contains("the disk is full"), "{problem}");
    assert!(kept > 0);
    assert_eq!(registry.list("big/").unwrap().len(), kept);
    drop(registry);
    assert!(disk.run(&["mount", "-o", "remount,size=2m"]));
    let registry = Embedded::open(&path).unwrap();
    assert_eq!(registry.list("big/").unwrap().len(), kept);
    registry.commit(Commit::new().put("after", "x")).unwrap();
}

#[test]
fn a_read_only_filesystem_is_told() {
    let Some(disk) = SmallDisk::mount("2m") else {
        return;
    };
    let path = disk.0.path().join("registry.sqlite");
    drop(filled(&path));
    assert!(disk.run(&["mount", "-o", "remount,ro"]));
    let problem = Embedded::open(&path).unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Unavailable, "{problem}");
    assert!(problem.message.contains("read-only"), "{problem}");
}

/// Of the file itself, not of the filesystem: an immutable file stops root too.
#[test]
fn a_file_that_cannot_be_written_is_told() {
    let (_directory, path) = scratch();
    drop(filled(&path));
    let change = |flag: &str| Command::new("chattr").arg(flag).arg(&path).output();
    if !change("+i").is_ok_and(|output| output.status.success()) {
        println!("skipped: the immutable flag cannot be set here");
        return;
    }
    let problem = Embedded::open(&path).map(drop);
    change("-i").unwrap();
    let problem = problem.unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Unavailable, "{problem}");
    assert!(problem.message.contains("read-only"), "{problem}");
}
