//! What the daemon takes from itself at its start, and so from the disk servers and age plugins that it starts: capabilities that none of
//! them needs, and system calls that only somebody else would make in its place. See `docs/decisions/0023-the-daemons-confinement.md`.
//!
//! Its unit takes the same once more, and the network besides.

use cofferdam_linux::sandbox::{Calls, Restraint};
use cofferdam_model::{Problem, Result};
use rustix::thread::CapabilitySet as Set;
use tracing::{info, warn};

/// Every capability that is kept, and what for. The unit's `CapabilityBoundingSet` has the same ones.
const KEPT: [(&str, Set, &str); 14] = [
    (
        "CAP_SYS_ADMIN",
        Set::SYS_ADMIN,
        "it mounts, clones and maps filesystems, and attaches disks",
    ),
    (
        "CAP_SYS_CHROOT",
        Set::SYS_CHROOT,
        "a disk server's workers move to an empty mount namespace",
    ),
    (
        "CAP_DAC_OVERRIDE",
        Set::DAC_OVERRIDE,
        "what lies in volumes, images and tokens belongs to others",
    ),
    (
        "CAP_CHOWN",
        Set::CHOWN,
        "a volume's first content keeps its owners",
    ),
    ("CAP_FOWNER", Set::FOWNER, "and its modes and times"),
    ("CAP_FSETID", Set::FSETID, "and its set-id bits"),
    (
        "CAP_SETFCAP",
        Set::SETFCAP,
        "and its file capabilities; it writes id maps with root in them",
    ),
    ("CAP_SETUID", Set::SETUID, "it writes maps of user ids"),
    ("CAP_SETGID", Set::SETGID, "it writes maps of group ids"),
    (
        "CAP_SYS_PTRACE",
        Set::SYS_PTRACE,
        "it looks at namespaces and directories of processes that cannot be dumped",
    ),
    (
        "CAP_KILL",
        Set::KILL,
        "it ends containers whose volume is taken back",
    ),
    ("CAP_IPC_LOCK", Set::IPC_LOCK, "keys are in locked memory"),
    (
        "CAP_SYS_RESOURCE",
        Set::SYS_RESOURCE,
        "disk servers write back what others wait for, and grow what is in use",
    ),
    (
        "CAP_SETPCAP",
        Set::SETPCAP,
        "workers give all of these up for good",
    ),
];

/// Restrains this process. It must have one thread.
///
/// # Errors
/// `internal` where the kernel refuses what every kernel has.
pub(crate) fn restrain() -> Result<()> {
    let keep = KEPT.iter().fold(Set::empty(), |all, (_, one, _)| all | *one);
    let held = rustix::thread::capabilities(None)
        .map_err(|error| refused(&error))?
        .permitted;
    for (name, _, why) in KEPT.iter().filter(|(_, one, _)| !held.contains(*one)) {
        warn!("cofferdamd runs without {name} ({why}); give it in its unit");
    }
    let calls = Calls::but_the_kernels_own();
    let report = Restraint { keep, calls }
        .apply()
        .map_err(|error| refused(&error))?;
    info!("{report}");
    for (measure, why) in report.lacking() {
        warn!("not confined as it should be: {measure}: {why}");
    }
    Ok(())
}

fn refused(error: &dyn std::fmt::Display) -> Problem {
    Problem::internal(format!("cofferdamd cannot confine itself: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn the_unit_keeps_the_same_capabilities() {
        let unit = include_str!("../../../packaging/cofferdamd.service");
        let lines: Vec<_> = unit
            .lines()
            .filter_map(|line| line.strip_prefix("CapabilityBoundingSet="))
            .collect();
        let [line] = lines.as_slice() else {
            panic!("one line: {lines:?}")
        };
        let units: BTreeSet<&str> = line.split_whitespace().collect();
        let ours: BTreeSet<&str> = KEPT.iter().map(|(name, ..)| *name).collect();
        assert_eq!(units, ours);
    }

    #[test]
    fn each_is_called_what_it_is() {
        for (name, one, _) in KEPT {
            let (called, _) = one.iter_names().next().unwrap();
            assert_eq!(name.strip_prefix("CAP_"), Some(called));
        }
    }
}
