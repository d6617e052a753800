//! FUSE connections of the namespaces, and their end.
//!
//! A server that hangs holds every caller in a sleep that no signal ends, itself included where it has called
//! into its own mount. Only aborting the connection does, through the filesystem `fusectl`
//! (Documentation/filesystems/fuse.rst in the kernel's sources).

use crate::{command::run, failure::Outcome, host::mount};
use std::{fs, path::Path};

/// Where connections are listed and aborted, by number.
const CONTROL: &str = "/sys/fs/fuse/connections";

/// Makes sure, inside the namespaces, that the outer half can abort what is mounted here.
///
/// # Errors
/// Where the kernel has no FUSE.
pub fn allow_aborting() -> Outcome {
    if !Path::new(CONTROL).is_dir() {
        run("modprobe", &["fuse"])?.ok()?;
    }
    let mounted = fs::read_to_string("/proc/self/mountinfo")?.contains(" - fusectl ");
    if mounted {
        return Ok(());
    }
    mount(&["-t", "fusectl", "fusectl", CONTROL])
}

/// Aborts all connections that are mounted where a process is, and not here. Best effort: most runs have
/// none, and those that have one may be ending already.
pub(crate) fn abort_all_of(pid: u32) {
    let read = |who: &str| fs::read_to_string(format!("/proc/{who}/mountinfo")).unwrap_or_default();
    let (theirs, ours) = (connections(&read(&pid.to_string())), connections(&read("self")));
    for number in theirs.iter().filter(|number| !ours.contains(number)) {
        let abort = format!("/proc/{pid}/root{CONTROL}/{number}/abort");
        if let Err(error) = fs::write(&abort, "1") {
            eprintln!("FUSE connection {number} not aborted: {error}");
        }
    }
}

/// The numbers of the FUSE connections in a mountinfo (proc_pid_mountinfo(5)): the minor of their device.
fn connections(mountinfo: &str) -> Vec<u32> {
    mountinfo
        .lines()
        .filter_map(|line| {
            let (mount, filesystem) = line.split_once(" - ")?;
            let kind = filesystem.split(' ').next()?;
            if kind != "fuse" && !kind.starts_with("fuse.") {
                return None;
            }
            mount.split(' ').nth(2)?.strip_prefix("0:")?.parse().ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_fuse_has_connections() {
        let text = "75 54 0:39 / /a rw,nosuid - fuse.gocryptfs /b rw,user_id=0\n\
                    76 54 0:40 / /c rw shared:1 - fuse cofferdam rw\n\
                    77 54 0:41 / /sys/fs/fuse/connections rw - fusectl fusectl rw\n\
                    78 54 254:0 / / rw - ext4 /dev/vda rw\n";
        assert_eq!(connections(text), [39, 40]);
    }
}
