//! A volume leaves no key behind. A child opens one, uses it in every way, closes it and drops it; from outside, all of
//! its memory is searched for the key, and for whatever lay in locked pages while it was open: the segments' keys.
//!
//! While the volume is open the search must find them, and in locked pages only. So a search that finds nothing means
//! something.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails ends"
)]

#[path = "../../vault/tests/remnants/search.rs"]
mod search;

use cofferdam_disk::{
    Access, BLOCK, Directory, Geometry, Volume,
    volume::{Options, check::check, memory_for},
};
use cofferdam_linux::aligned::AlignedBuffer;
use cofferdam_vault::VolumeKey;
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};
use search::{Memory, Pieces};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command};

/// What the child is told first.
const CHILD: &str = "secrets-child";

/// SHA-256 of "cofferdam secrets".
const KEY: &str = "8e3c77ef16be5581ab99451656b853a73ef1b669a4089beb68f41d41e990ad8e";

const BLOCKS: u64 = 2048;
/// Blocks that are used: ext4 leaves some free.
const USED: u64 = BLOCKS * 3 / 4;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.as_slice() {
        [_, role, directory] if role == CHILD => child(Path::new(directory)),
        _ => {
            nothing_is_left_of_a_volume();
            println!("secrets: ok");
        }
    }
}

fn nothing_is_left_of_a_volume() {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::write(scratch.path().join("key"), search::hex(KEY)).unwrap();
    let mut child = Stopping::start(scratch.path());
    let key = Pieces::of_hex(&[KEY]);

    let open = Memory::of(child.pid());
    let found = open.search(&key);
    assert_eq!(
        found.kinds(),
        key.len(),
        "while it is open, the key is there: {found:?}"
    );
    assert!(
        found.all_locked(),
        "while it is open, it is in locked pages only: {found:?}"
    );
    let secrets = open.locked_pieces();
    let segments = std::fs::read_dir(scratch.path().join("store/segments"))
        .unwrap()
        .count();
    assert!(
        segments > 10 && secrets.len() > segments * 15,
        "{segments} segments have {} pieces",
        secrets.len()
    );
    let found = open.search(&secrets);
    assert!(
        found.all_locked(),
        "while it is open, keys are in locked pages only: {found:?}"
    );
    assert!(locked_kib(child.pid()) > 0);
    drop(open);

    child.go_on();
    let closed = Memory::of(child.pid());
    for pieces in [&key, &secrets] {
        let found = closed.search(pieces);
        assert!(found.is_empty(), "after it is closed nothing is left: {found:?}");
    }
    assert!(!closed.has_locked_pages());
    child.end();
}

/// `VmLck` of proc_pid_status(5).
fn locked_kib(pid: Pid) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmLck:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Makes, uses and loses a volume; recovers it, uses it, stops; closes, checks and drops it, stops; ends.
fn child(directory: &Path) {
    let path = directory.join("store");
    let key = || VolumeKey::read(File::open(directory.join("key")).unwrap()).unwrap();
    let geometry = Geometry::new(BLOCKS, 256 << 10, 512).unwrap();
    let store = Directory::create(&path, Access::default()).unwrap();
    let volume = Volume::create(store, key(), geometry, &Options::default()).unwrap();
    use_all(&volume, 1);
    drop(volume);

    let store = Directory::open(&path, Access::default()).unwrap();
    let volume = Volume::open(store, key(), &Options::default()).unwrap();
    use_all(&volume, 2);
    std::thread::scope(|scope| {
        for life in 3..6 {
            let volume = &volume;
            scope.spawn(move || use_all(volume, life));
        }
    });
    stop();
    volume.close().unwrap();
    drop(volume);
    let store = Directory::open_to_read(&path, Access::default()).unwrap();
    assert!(
        check(&store, key(), &Options::default(), |_, _| {})
            .unwrap()
            .is_sound()
    );
    drop(store);
    stop();
}

fn use_all(volume: &Volume<Directory>, life: u8) {
    let mut memory = AlignedBuffer::new(memory_for(8 * BLOCK));
    for block in 0..USED {
        volume.write(block * BLOCK as u64, &[life; BLOCK]).unwrap();
    }
    volume.flush().unwrap();
    volume.discard(0, 100 * BLOCK as u64).unwrap();
    while volume.tend().unwrap() {}
    for block in (100..USED - 8).step_by(8) {
        volume.read(block * BLOCK as u64, 8 * BLOCK, &mut memory).unwrap();
    }
}

fn stop() {
    kill_process(getpid(), Signal::STOP).unwrap();
}

/// This program again, as a child that stops itself whenever its memory is to be looked into.
struct Stopping(Child);

impl Stopping {
    /// The child at its first stop.
    fn start(directory: &Path) -> Self {
        let program = std::env::current_exe().unwrap();
        let child = Command::new(program).arg(CHILD).arg(directory).spawn().unwrap();
        let child = Stopping(child);
        child.wait_for_stop();
        child
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    /// Lets it run to its next stop.
    fn go_on(&mut self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
        self.wait_for_stop();
    }

    fn wait_for_stop(&self) {
        let (_, status) = waitpid(Some(self.pid()), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "the child failed: {status:?}");
    }

    /// Lets it run to its end, with success.
    fn end(mut self) {
        kill_process(self.pid(), Signal::CONT).unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Stopping {
    /// A failed test leaves no stopped child behind.
    fn drop(&mut self) {
        // One that has ended already needs neither.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
