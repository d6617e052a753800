//! What the daemon and its disk servers may still do, as the kernel has it.

use super::{Scene, cases};
use crate::{
    Outcome,
    failure::{During, ensure},
    process::{signal, until},
};
use rustix::{process::Signal, thread::CapabilitySet};
use std::{fs, time::Duration};

cases!("confined":
    the_daemon_has_the_capabilities_that_are_documented_and_no_others,
    a_disk_server_has_the_same_and_its_worker_none,
);

/// The one list: the daemon's own test sees that it is the daemon's.
const UNIT: &str = include_str!("../../../packaging/cofferdamd.service");

/// What a process may, of `/proc/<pid>/status` (proc_pid_status(5)).
#[derive(Debug, PartialEq, Eq)]
struct Rights {
    permitted: CapabilitySet,
    effective: CapabilitySet,
    bounding: CapabilitySet,
    inheritable: CapabilitySet,
    ambient: CapabilitySet,
    no_new_privileges: bool,
    /// How many filters of system calls it has.
    filters: u32,
}

impl Rights {
    fn of(process: &str) -> Outcome<Self> {
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        let field = |name: &str| {
            let line = status
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(str::trim).during(name)
        };
        let set = |name: &str| -> Outcome<CapabilitySet> {
            let bits = u64::from_str_radix(field(name)?, 16).during(name)?;
            Ok(CapabilitySet::from_bits_retain(bits))
        };
        ensure(["0", "2"].contains(&field("Seccomp")?), || status.clone())?;
        Ok(Rights {
            permitted: set("CapPrm")?,
            effective: set("CapEff")?,
            bounding: set("CapBnd")?,
            inheritable: set("CapInh")?,
            ambient: set("CapAmb")?,
            no_new_privileges: field("NoNewPrivs")? == "1",
            filters: field("Seccomp_filters")?.parse().during("Seccomp_filters")?,
        })
    }

    /// These, of those that this very process has: a machine may have taken some from everybody.
    fn few(keep: CapabilitySet, filters: u32) -> Outcome<Self> {
        let own = Rights::of("self")?;
        let held = own.permitted & keep;
        Ok(Rights {
            permitted: held,
            effective: held,
            bounding: own.bounding & keep,
            inheritable: CapabilitySet::empty(),
            ambient: CapabilitySet::empty(),
            no_new_privileges: true,
            filters: own.filters + filters,
        })
    }

    fn must_be(&self, other: &Rights) -> Outcome {
        ensure(self == other, || format!("{self:?}, and not {other:?}"))
    }
}

fn documented() -> Outcome<CapabilitySet> {
    let line = UNIT
        .lines()
        .find_map(|line| line.strip_prefix("CapabilityBoundingSet="));
    let names = line.during("the unit's capabilities")?.split_whitespace();
    let mut all = CapabilitySet::empty();
    for name in names {
        all |= name
            .strip_prefix("CAP_")
            .and_then(CapabilitySet::from_name)
            .during(name)?;
    }
    Ok(all)
}

fn the_daemon_has_the_capabilities_that_are_documented_and_no_others(scene: &mut Scene) -> Outcome {
    let daemon = scene.host.daemon.pid()?;
    let expected = Rights::few(documented()?, 1)?;
    // Each thread has its own.
    for task in fs::read_dir(format!("/proc/{daemon}/task"))?.flatten() {
        let task = format!("{daemon}/task/{}", task.file_name().display());
        Rights::of(&task)?.must_be(&expected)?;
    }
    Ok(())
}

fn a_disk_server_has_the_same_and_its_worker_none(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.keeper(&volume, &[])?;
    scene.hold(&volume, &[])?;
    let server = scene.server_of(&volume)?;
    Rights::of(&server.to_string())?.must_be(&Rights::few(documented()?, 1)?)?;
    let worker = worker_of(server)?;
    Rights::of(&worker.to_string())?.must_be(&Rights::few(CapabilitySet::empty(), 2)?)?;
    // One that follows another has to go where that was, which takes more than mounting (setns(2)).
    signal(worker, Signal::KILL)?;
    until(
        "another worker follows, and is confined",
        Duration::from_secs(10),
        || {
            let follows = |now: &u32| {
                *now != worker && Rights::of(&now.to_string()).is_ok_and(|rights| rights.filters > 1)
            };
            worker_of(server).is_ok_and(|now| follows(&now))
        },
    )
}

/// The process that serves a disk: its server's child, of whichever thread.
fn worker_of(server: u32) -> Outcome<u32> {
    let mut children = String::new();
    for task in fs::read_dir(format!("/proc/{server}/task"))?.flatten() {
        children += &fs::read_to_string(task.path().join("children"))?;
    }
    children
        .split_whitespace()
        .next()
        .during("its worker")?
        .parse()
        .during("a number")
}
