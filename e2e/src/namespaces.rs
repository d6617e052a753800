//! Entering: the program runs itself again inside its own mount, network, pid, ipc and uts namespaces.
//!
//! Everything that is started there ends with the first process there. That one ends when `unshare` does
//! (`--kill-child`), and `unshare` ends when this program does (`setpriv --pdeathsig`), however it ends.

use crate::{
    binaries::find,
    failure::{During, Outcome},
    fuse,
    process::signal,
    scratch::Scratch,
};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// What a shell answers for a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// What the inside must know of the outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The scratch directory.
    pub scratch: PathBuf,
    /// The directory of `cofferdam`, `cofferdamd` and `cofferdam-runtime`.
    pub binaries: PathBuf,
    /// The directory of cached images.
    pub images: PathBuf,
}

impl Place {
    /// Reads what the outside wrote.
    ///
    /// # Errors
    /// Where `scratch` is not a scratch directory.
    pub fn read(scratch: &Path) -> Outcome<Self> {
        let text = fs::read_to_string(scratch.join("place.json")).during(scratch.display())?;
        Ok(serde_json::from_str(&text)?)
    }
}

/// Runs this very program again inside, as `program --inside SCRATCH arguments…`, waits for it and cleans
/// up. Answers its exit code.
///
/// # Errors
/// Where the namespaces cannot be made.
pub fn enter(binaries: &Path, images: &Path, arguments: &[OsString]) -> Outcome<i32> {
    enter_with(&Scratch::make()?, binaries, images, arguments)
}

/// The same with a scratch directory of the caller's, who may look at it afterwards.
///
/// # Errors
/// Where the namespaces cannot be made.
pub fn enter_with(scratch: &Scratch, binaries: &Path, images: &Path, arguments: &[OsString]) -> Outcome<i32> {
    let place = Place {
        scratch: scratch.path().to_owned(),
        binaries: binaries.to_owned(),
        images: images.to_owned(),
    };
    fs::write(scratch.path().join("place.json"), serde_json::to_vec(&place)?)?;
    // A copy, since a rebuild may replace the program while it runs.
    let program = scratch.path().join("runner");
    fs::copy("/proc/self/exe", &program)?;

    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare"]);
    command.args([
        "--mount",
        "--net",
        "--pid",
        "--ipc",
        "--uts",
        "--fork",
        "--kill-child",
    ]);
    command.args(["--mount-proc", "--propagation", "private"]);
    // A first process that reaps: shims that lose their parent must not stay as zombies.
    if let Some(init) = find("docker-init") {
        command.arg(init).arg("--");
    }
    command
        .arg(program)
        .arg("--inside")
        .arg(scratch.path())
        .args(arguments);
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    let mut child = command.spawn().during("setpriv and unshare (util-linux)")?;
    let interrupted = Arc::new(AtomicBool::new(false));
    let handle = signals.handle();
    let watcher = thread::spawn({
        let (pid, interrupted) = (child.id(), Arc::clone(&interrupted));
        move || {
            for _ in signals.forever() {
                interrupted.store(true, Ordering::SeqCst);
                end_all(pid);
            }
        }
    });
    let code = wait(&mut child)?;
    handle.close();
    if watcher.join().is_err() {
        eprintln!("the thread that waits for signals panicked");
    }
    Ok(if interrupted.load(Ordering::SeqCst) {
        INTERRUPTED
    } else {
        code
    })
}

fn wait(child: &mut Child) -> Outcome<i32> {
    Ok(child.wait()?.code().unwrap_or(1))
}

/// Ends the first process of the new pid namespace, and with it all others; `unshare` then ends by itself.
/// Callers of a FUSE server that hangs must be let go before.
fn end_all(unshare: u32) {
    let children = fs::read_to_string(format!("/proc/{unshare}/task/{unshare}/children")).unwrap_or_default();
    let first = children
        .split_whitespace()
        .next()
        .and_then(|pid| pid.parse().ok());
    let first = first.unwrap_or(unshare);
    fuse::abort_all_of(first);
    if let Err(failure) = signal(first, Signal::KILL) {
        eprintln!("not ended: {failure}");
    }
}
