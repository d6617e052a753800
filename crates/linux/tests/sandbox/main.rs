//! A process that has confined itself: what it can still do, what fails, and what ends it.
//!
//! Each trial starts this program once more; that child confines itself and does one of the acts.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test, although it brings its own harness"
)]

mod acts;

use libtest_mimic::{Arguments, Failed, Trial};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Output, Stdio};

/// What all children are told first, so that nobody takes them for the tests.
const CHILD: &str = "--confined-child";

/// A user that owns nothing.
const NOBODY: u32 = 65534;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, child, act, rest @ ..] = arguments.as_slice()
        && child == CHILD
    {
        acts::run(act, rest);
        return ExitCode::SUCCESS;
    }
    let harmless = [
        "files",
        "escapes",
        "threads",
        "status",
        "memory",
        "twice",
        "late",
        "abort",
        "restrained",
    ];
    let mut trials: Vec<Trial> = harmless
        .into_iter()
        .map(|act| Trial::test(format!("confined::{act}"), move || survives(act)))
        .collect();
    let deadly = acts::DEADLY.into_iter();
    trials.extend(deadly.map(|act| Trial::test(format!("deadly::{act}"), move || dies(act))));
    trials.push(Trial::test(
        "confined::not_even_its_own_user_looks_in",
        nobody_looks_in,
    ));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A directory with something outside and a store inside, as the acts expect it.
fn scene() -> tempfile::TempDir {
    let scene = tempfile::tempdir_in("/var/tmp").unwrap();
    let store = scene.path().join("store");
    for directory in ["segments", "spare"] {
        std::fs::create_dir_all(store.join(directory)).unwrap();
    }
    std::fs::create_dir(scene.path().join("store2")).unwrap();
    for file in ["outside", "store2/outside", "store/inside"] {
        std::fs::write(scene.path().join(file), b"what is there").unwrap();
    }
    std::os::unix::fs::symlink("../outside", store.join("relative")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", store.join("absolute")).unwrap();
    std::os::unix::fs::symlink("/", store.join("root")).unwrap();
    scene
}

fn act(name: &str) -> Output {
    let scene = scene();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([CHILD, name]).arg(scene.path().join("store"));
    command.output().unwrap()
}

fn survives(name: &str) -> Result<(), Failed> {
    let output = act(name);
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{output:?}").into())
    }
}

fn dies(name: &str) -> Result<(), Failed> {
    let output = act(name);
    // Alive until it is confined, and dead by the act itself.
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.signal() == Some(libc::SIGSYS) && said.trim_end().ends_with(name) {
        Ok(())
    } else {
        Err(format!("{output:?}").into())
    }
}

/// A process of the same user, without capabilities, may read another's environment and memory, but not a confined one's.
fn nobody_looks_in() -> Result<(), Failed> {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test starts processes of another user: run it as root"
    );
    let scene = scene();
    std::fs::set_permissions(scene.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let program = scene.path().join("program");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    for (act, owner, opens) in [("open", NOBODY, true), ("closed", 0, false)] {
        let mut child = waiting(&program, act, &scene.path().join("store"));
        let proc = format!("/proc/{}", child.id());
        let mem = std::fs::metadata(format!("{proc}/mem")).unwrap();
        assert_eq!(mem.uid(), owner, "{act}");
        let peek = as_nobody(&program, "peek", Path::new(&proc)).status().unwrap();
        assert_eq!(peek.success(), opens, "{act}");
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }
    Ok(())
}

/// A child that has done its act and waits for the end of its input.
fn waiting(program: &Path, act: &str, path: &Path) -> Child {
    let mut command = as_nobody(program, act, path);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    said.read_line(&mut line).unwrap();
    assert!(line.starts_with("ready"), "{line}");
    child
}

fn as_nobody(program: &Path, act: &str, path: &Path) -> Command {
    let mut command = Command::new(program);
    command.args([CHILD, act]).arg(path).uid(NOBODY).gid(NOBODY);
    command
}
