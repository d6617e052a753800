//! What each verb needs before the real runtime may run.

use crate::arguments::Invocation;
use crate::bundle::Bundle;
use crate::guarded::{Guarded, guarded};
use crate::report::Log;
use crate::{added, ask, attach, plan};
use cofferdam_linux::file;
use cofferdam_model::wire::Verb;
use cofferdam_model::{ContainerId, ErrorKind, Guarding, Problem, Result, Settings};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The longest process description, in bytes.
const PROCESS_MAX: usize = 16 << 20;

/// Does what the verb needs; on success the real runtime may run with the same arguments.
///
/// # Errors
/// Whatever refuses the verb.
pub(crate) fn prepare(given: &[OsString], log: &mut Log) -> Result<Settings> {
    let invocation = Invocation::parse(given)?;
    log.engine_log(&invocation);
    let settings = cofferdam_settings::load(invocation.settings.as_deref())?;
    match invocation.verb.as_deref() {
        Some("create" | "run") => create(&settings, &invocation)?,
        Some("exec") => exec(&settings, &invocation)?,
        Some("checkpoint") => checkpoint(&settings, &invocation)?,
        Some("restore") => restore(&settings, &invocation)?,
        _ => {}
    }
    Ok(settings)
}

/// A guarded container is measured, judged and opened by the daemon.
fn create(settings: &Settings, invocation: &Invocation) -> Result<()> {
    let (path, container) = invocation.create()?;
    let bundle = Bundle::open(&path)?;
    plan::stop_here(settings, runtime_root(settings, invocation), &container, &bundle)?;
    let Some(guarded) = guarded(settings, &container, &bundle)? else {
        return Ok(());
    };
    let root = runtime_root(settings, invocation);
    match ask::open(settings, container, root, &bundle, guarded) {
        Ok(given) => attach::attach(settings, &bundle, given),
        // Where containers are only observed, nothing depends on an observer that is away.
        Err(problem) if problem.kind == ErrorKind::Unavailable && only_observed(settings, guarded) => Ok(()),
        Err(problem) => Err(problem),
    }
}

/// Whether whatever the daemon had said, the container would start.
fn only_observed(settings: &Settings, guarded: Guarded) -> bool {
    let guard = &settings.guard;
    let modes = [guard.neighbours, guard.host_paths];
    !guarded.volume && !modes.contains(&Guarding::Enforce)
}

/// Another process beside a volume is judged; elsewhere it must not be able to do more than its container.
fn exec(settings: &Settings, invocation: &Invocation) -> Result<()> {
    let held = held(settings, invocation)?;
    if held.is_empty() {
        return match settings.guard.neighbours {
            Guarding::Enforce => added::refuse_more_than_it_has(settings, invocation),
            Guarding::Observe | Guarding::Off => Ok(()),
        };
    }
    let process = invocation.exec_process()?;
    let process = process.map(|path| read_process(&path)).transpose()?;
    let verb = Verb::Exec {
        process: process.is_some(),
    };
    for container in held {
        let sealed = process
            .as_deref()
            .map(|bytes| file::sealed("process", bytes))
            .transpose();
        let sealed = sealed
            .map_err(|error| Problem::internal(format!("cannot keep the process in memory: {error}")))?;
        let root = runtime_root(settings, invocation);
        ask::allow(settings, container, root, verb.clone(), sealed)?;
    }
    Ok(())
}

/// A memory image of what works beside a volume is judged.
fn checkpoint(settings: &Settings, invocation: &Invocation) -> Result<()> {
    for container in held(settings, invocation)? {
        let root = runtime_root(settings, invocation);
        ask::allow(settings, container, root, Verb::Checkpoint, None)?;
    }
    Ok(())
}

/// A restored process was never measured.
fn restore(settings: &Settings, invocation: &Invocation) -> Result<()> {
    let (path, container) = invocation.restore()?;
    let bundle = Bundle::open(&path)?;
    plan::refuse_marked(&bundle)?;
    if bundle.may_have_placeholder()? || guarded(settings, &container, &bundle)?.is_some() {
        return Err(Problem::denied(
            "a container with a volume, a host path or a way to others cannot be restored: what it runs cannot be measured",
        )
        .remedy("start it anew with create or run"));
    }
    Ok(())
}

/// The containers that the command line could mean, of those that hold a volume: the daemon keeps one file for each.
fn held(settings: &Settings, invocation: &Invocation) -> Result<Vec<ContainerId>> {
    let directory = settings.held();
    let mut held = Vec::new();
    for container in invocation.possible_containers() {
        match rustix::fs::stat(directory.join(container.as_str())) {
            Ok(_) => held.push(container),
            Err(rustix::io::Errno::NOENT) => {}
            Err(error) => {
                return Err(Problem::internal(format!(
                    "cannot look for {container} in {}: {error}",
                    directory.display()
                )));
            }
        }
    }
    Ok(held)
}

/// The bytes of a process description.
pub(crate) fn read_process(path: &Path) -> Result<Vec<u8>> {
    file::open_trusted(path)
        .and_then(|process| file::read_limited(process, PROCESS_MAX))
        .map_err(|error| Problem::invalid(format!("cannot read the process in {}: {error}", path.display())))
}

/// Where the real runtime keeps its state: as named, or its own default.
pub(crate) fn runtime_root(settings: &Settings, invocation: &Invocation) -> PathBuf {
    let default = if settings.runtime.program.ends_with("crun") {
        "/run/crun"
    } else {
        "/run/runc"
    };
    invocation.root.clone().unwrap_or_else(|| default.into())
}
