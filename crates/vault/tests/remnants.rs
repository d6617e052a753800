//! Keys leave nothing behind. A child uses keys and drops them; from outside, through `/proc/<pid>/mem`, all
//! of its memory is searched for every piece of what lay in its locked pages, and for the keys' own bytes.
//!
//! While the keys live, the search must find them, and in locked pages only; a child that is careless with
//! its volume key must be found out afterwards. So a search that finds nothing means something.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails ends"
)]

#[path = "remnants/child.rs"]
mod child;
#[path = "remnants/search.rs"]
mod search;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use search::{Memory, Pieces};
use std::io::Write;
use std::process::{Child, Command, Stdio};

/// SHA-256 of "cofferdam remnants".
const VOLUME_KEY: &str = "5faa868605c51888532d3d7ee0162479011472a0c18887b1c8dabe061b5496ba";

/// What is derived from it with the child's inputs and lies in locked memory: the segments' keys. Computed
/// outside this workspace, with Python's `hmac`.
const SEGMENT_KEYS: [&str; 3] = [
    "bc56f65240a3095a4166bacdce07fe91c82a37ec51ec49caa730df46f50e4c0f",
    "b3488c887f6a46c31187a32b9749c5f07c52606a8f216ca2803c1b83f923bfb2",
    "19eeda06e53017b0c3eb50cde79d7395a2f952f131780f1e11d2724a04387911",
];

/// What exists only in the course of deriving and must never be found: the pseudo-random keys of the
/// segments and of the head, and the head's key, of which only states of the hash are kept.
const PASSING: [&str; 3] = [
    "1bc99dbd6132cfc6bd9cf2b223519a9d9ab40d3d6b03da67a06c5dd4ae9d970e",
    "24372d3fb35c13db1094d671ed1e9b1cbd1c7147ae8283f782285cbdc0ba3330",
    "4094f242497e15a1b18cefd1f88d8c761022fd925fdc49d82452a4ba37fbbbad",
];

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("child-careful") => child::run(false),
        Some("child-careless") => child::run(true),
        _ => {
            nothing_is_left_of_keys();
            carelessness_is_found();
            println!("remnants: ok");
        }
    }
}

fn nothing_is_left_of_keys() {
    let mut child = Stopping::start("child-careful");
    let passing = Pieces::of_hex(&PASSING);
    let keys = Pieces::of_hex(&[&[VOLUME_KEY][..], &SEGMENT_KEYS].concat());

    let alive = Memory::of(child.pid());
    let found = alive.search(&keys);
    assert_eq!(
        found.kinds(),
        keys.len(),
        "while they live, all keys are there: {found:?}"
    );
    assert!(
        found.all_locked(),
        "while they live, keys are in locked pages only: {found:?}"
    );
    let secrets = alive.locked_pieces();
    assert!(
        secrets.len() > 3 * 20,
        "schedules have many pieces, not {}",
        secrets.len()
    );
    let found = alive.search(&secrets);
    assert!(
        found.all_locked(),
        "while they live, schedules are in locked pages only: {found:?}"
    );
    assert!(alive.search(&passing).is_empty(), "{:?}", alive.search(&passing));
    drop(alive);

    child.go_on();
    let gone = Memory::of(child.pid());
    for pieces in [&keys, &secrets, &passing] {
        let found = gone.search(pieces);
        assert!(found.is_empty(), "after the drop nothing is left: {found:?}");
    }
    assert!(!gone.has_locked_pages());
    child.end();
}

fn carelessness_is_found() {
    let mut child = Stopping::start("child-careless");
    child.go_on();
    let found = Memory::of(child.pid()).search(&Pieces::of_hex(&[VOLUME_KEY]));
    assert!(!found.is_empty() && !found.all_locked(), "{found:?}");
    child.end();
}

/// This program again, as a child that stops itself whenever its memory is to be looked into.
struct Stopping(Child);

impl Stopping {
    /// The child at its first stop, with its volume key from its standard input.
    fn start(role: &str) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut child = Command::new(program)
            .arg(role)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(&search::hex(VOLUME_KEY)).unwrap();
        drop(input);
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
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}
