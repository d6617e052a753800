//! `serve`: shows a sealed disk to the kernel until somebody says that it is enough.
//!
//! This process is the supervisor: it mounts, and has the loop device; the worker that it starts has the store open.

use crate::{
    arguments::Serve,
    exporter::Connection,
    filesystem::Mounted,
    growth, key_file, memory_group,
    minder::Minder,
    notice::notice,
    opened,
    problem::{doing, of_export},
    signals::{Came, Signals},
    witness_file::WitnessFile,
    worker::Setting,
    write_cache::WriteCache,
};
use cofferdam_linux::{loop_device::LoopDevice, memory, process};
use cofferdam_model::{Problem, Result};
use rustix::event::Timespec;
use std::{io::Write, path::Path, process::ExitCode, sync::Arc, thread, time::Duration};

/// How many threads serve: measured, see `docs/decisions`.
pub(super) const THREADS: usize = 4;

/// How often, and how long in between, a device is asked to let go that somebody just looks into (udev, blkid).
const ATTEMPTS: u32 = 20;
const PAUSE: Duration = Duration::from_millis(25);

/// How long it is waited before a device that is in use is looked at again.
const LOOK_AGAIN: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 100_000_000,
};

/// Does it.
///
/// # Errors
/// What keeps the disk from being opened, shown, mounted, or closed.
pub(crate) fn run(serve: &Serve, json: bool) -> Result<ExitCode> {
    memory::undumpable().map_err(doing("keeping this process's memory out of dumps"))?;
    process::keep_descriptors().map_err(doing("keeping descriptors from other programs"))?;
    let mut signals = Signals::catch()?;
    let claim = opened::claim(&serve.store)?;
    let cache = WriteCache::of(serve.cache.write_cache, &claim, serve.access.access);
    let setting = Setting {
        keys: key_file::read_keys(&serve.keys)?,
        claim,
        access: serve.access.access,
        cache,
        volume: None,
        outlives: true,
        patience: Duration::from_secs(serve.patience),
    };
    let witness = serve
        .witness
        .witness
        .as_deref()
        .map(WitnessFile::at)
        .transpose()?;
    if let Some(words) = memory_group::leave() {
        notice(words);
    }
    let connection = Arc::new(Connection::new(THREADS).map_err(of_export)?);
    let minder = Minder::start(setting, Arc::clone(&connection), witness, None)?;
    let mount = serve.mount.as_deref();
    match show(&connection, mount, cache, json) {
        Ok((device, mounted)) => {
            if until_enough(&mut signals, &minder, mounted)? == Came::End {
                return Err(no_longer_served(minder));
            }
            let detached = detach_when_free(device, &mut signals, &minder);
            minder.close()?;
            detached.map(|()| ExitCode::SUCCESS)
        }
        Err(problem) => {
            minder.close()?;
            Err(problem)
        }
    }
}

/// Makes the device, mounts it, and says so in one line.
fn show<'a>(
    connection: &Connection,
    mount: Option<&'a Path>,
    cache: WriteCache,
    json: bool,
) -> Result<(LoopDevice, Option<Mounted<'a>>)> {
    let device = connection.export().map_err(of_export)?;
    if mount.is_some() {
        growth::catch_up(&device)?;
    }
    let mounted = match mount.map(|at| Mounted::new(device.path(), at, cache)).transpose() {
        Ok(mounted) => mounted,
        Err(problem) => {
            detach(device)?;
            return Err(problem);
        }
    };
    let path = device.path().display();
    let line = match (json, mount) {
        (true, _) => {
            serde_json::json!({ "device": device.path(), "mount": mount, "write_cache": cache }).to_string()
        }
        (false, Some(at)) => format!("{path} is mounted at {}", at.display()),
        (false, None) => format!("{path} is ready"),
    };
    let mut out = std::io::stdout();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        notice("ready, but nobody reads it");
    }
    Ok((device, mounted))
}

/// Why nobody serves the disk any more, and what to do. The mount stays: a workload must not find a plain directory in
/// its place.
pub(super) fn no_longer_served(minder: Minder) -> Problem {
    let mut problem = match minder.close() {
        Err(problem) => problem.context("the disk is no longer served"),
        Ok(()) => Problem::unavailable("the disk is no longer served"),
    };
    let next = "unmount what is mounted on it, and serve it again; what was flushed is safe";
    problem.remedy = Some(match problem.remedy {
        Some(first) => format!("{first}; then {next}"),
        None => next.to_owned(),
    });
    problem
}

/// Waits for a signal, and until nothing uses the mount any more; or for the end of the serving.
fn until_enough(signals: &mut Signals, minder: &Minder, mut mounted: Option<Mounted<'_>>) -> Result<Came> {
    loop {
        if signals.wait(minder.ended())? == Came::End {
            return Ok(Came::End);
        }
        match mounted.as_mut().map_or(Ok(()), Mounted::unmount) {
            Ok(()) => return Ok(Came::Signal),
            Err(problem) => notice(problem),
        }
    }
}

/// Detaches the device, however long somebody else uses it: a mount namespace that was made meanwhile has a copy of the
/// mount. A second signal ends the waiting.
fn detach_when_free(mut device: LoopDevice, signals: &mut Signals, minder: &Minder) -> Result<()> {
    let mut told = false;
    loop {
        device = match device.detach() {
            Ok(()) => return Ok(()),
            Err((device, _)) => device,
        };
        if signals.wait_for(minder.ended(), Some(&LOOK_AGAIN))?.is_some() {
            return Err(still_used(&device));
        }
        if !told {
            notice(format_args!(
                "{}; waiting for that; a further signal ends it",
                still_used(&device)
            ));
            told = true;
        }
    }
}

fn still_used(device: &LoopDevice) -> Problem {
    Problem::busy(format!("{} is still in use", device.path().display())).remedy(
        "close whatever has it open (fuser), also mounts in other mount namespaces (grep /proc/*/mountinfo)",
    )
}

pub(super) fn detach(device: LoopDevice) -> Result<()> {
    try_detach(device).map_err(|(_, problem)| problem)
}

/// Detaches the device, waiting a little for whoever just looks into it; the device itself where somebody uses it.
pub(super) fn try_detach(mut device: LoopDevice) -> std::result::Result<(), (LoopDevice, Problem)> {
    for _ in 0..ATTEMPTS {
        match device.detach() {
            Ok(()) => return Ok(()),
            Err((again, _)) => device = again,
        }
        thread::sleep(PAUSE);
    }
    let problem = still_used(&device);
    Err((device, problem))
}
