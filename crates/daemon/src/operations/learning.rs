//! Learning an app's rule from a container that runs.

use crate::daemon::Daemon;
use cofferdam_linux::file;
use cofferdam_linux::process::Process;
use cofferdam_measure::{Bundle, Engine, Evidence};
use cofferdam_model::api::{Learn, Learned, NewApp};
use cofferdam_model::{ContainerId, Measurement, MountKind, Problem, Result, VolumeName};
use rustix::fs::{CWD, Mode, OFlags};
use serde_json::Value;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The longest config.json, in bytes.
const CONFIG_MAX: usize = 16 << 20;

/// The app whose rule fits a container that runs now. Nothing is made.
///
/// # Errors
/// `missing` where no engine has such a container; `invalid` where it does not run.
pub(crate) fn learn(daemon: &Daemon, asked: &Learn) -> Result<Learned> {
    let (engine, container) = find(daemon, &asked.container)?;
    let measurement = measure(daemon, engine, &container)?;
    let healthcheck = engine.healthcheck(&container)?;
    let learned = cofferdam_policy::learn(&asked.app, &measurement, healthcheck.as_deref());
    let rule = learned.rule;
    Ok(Learned {
        app: NewApp {
            name: asked.app.clone(),
            image: rule.image.to_string(),
            command: rule.command,
            user: rule.user,
            cwd: rule.cwd,
            network: rule.network,
            mounts: rule.mounts,
            env: rule.env,
            groups: rule.groups,
            changed: rule.changed,
            allow: rule.allow,
            healthcheck: rule.healthcheck,
            no_new_privileges: rule.no_new_privileges,
            ticket: rule.ticket,
            replace: false,
        },
        container,
        lets_in: learned.lets_in,
        cannot: learned.cannot,
    })
}

fn find<'d>(daemon: &'d Daemon, text: &str) -> Result<(&'d dyn Engine, ContainerId)> {
    for engine in &daemon.engines {
        if let Some(container) = engine.find(text)? {
            return Ok((engine.as_ref(), container));
        }
    }
    let shown: String = text.escape_debug().take(80).collect();
    Err(Problem::missing(format!("no engine has a container {shown}"))
        .remedy("name it as docker ps does: by its name, or the beginning of its id"))
}

/// As a launch would be measured, from the bundle that the engine made for it, which is there as long as it runs.
fn measure(daemon: &Daemon, engine: &dyn Engine, container: &ContainerId) -> Result<Measurement> {
    let pid = engine.first_process(container)?.ok_or_else(|| {
        Problem::invalid(format!("container {} does not run", container.short()))
            .remedy("start it, and learn from it while it runs")
    })?;
    let path = bundle_of(pid)?;
    let unreadable = |error: std::io::Error| {
        Problem::unavailable(format!("cannot read the bundle {}: {error}", path.display()))
    };
    let config = file::open_trusted(&path.join("config.json"))
        .and_then(|opened| file::read_limited(opened, CONFIG_MAX))
        .map_err(unreadable)?;
    let document: Value = serde_json::from_slice(&config)
        .map_err(|error| Problem::invalid(format!("cannot parse the bundle's config.json: {error}")))?;
    let root = document.pointer("/root/path").and_then(Value::as_str);
    let root = path.join(root.unwrap_or_default());
    let root = open(&root).map_err(unreadable)?;
    let sources = sources(&document);
    let sources: Vec<_> = sources
        .iter()
        .map(|(index, source)| (*index, source.as_fd()))
        .collect();
    let bundle = Bundle {
        container,
        config: &config,
        root: root.as_fd(),
        sources: &sources,
        ended: None,
        judged: true,
    };
    let placeholders = daemon.placeholders().lookup();
    let measured = engine.measure(&bundle, &|source| placeholders.volume_of(source))?;
    let Some(Evidence { mut measurement, .. }) = measured else {
        return Err(Problem::missing(
            "the engine does not know that container any more",
        ));
    };
    as_volumes(daemon, &mut measurement)?;
    // What it has written itself since is no change.
    measurement.root = engine.root_changes(&measurement)?.unwrap_or_default();
    Ok(measurement)
}

/// Volumes of Docker's own stand for the ones that will be in their place: a rule says nothing of what is asked for.
fn as_volumes(daemon: &Daemon, measurement: &mut Measurement) -> Result<()> {
    let volumes = daemon.settings.docker.data_root.join("volumes");
    let stands_for: VolumeName = "learned.volume".parse()?;
    for mount in &mut measurement.mounts {
        let is = match &mount.kind {
            MountKind::Outside(source) => Path::new(source).starts_with(&volumes),
            _ => false,
        };
        if is {
            mount.kind = MountKind::Volume(stands_for.clone());
        }
    }
    Ok(())
}

/// The bundle of a container's first process: where the shim works that is its parent.
fn bundle_of(pid: u32) -> Result<PathBuf> {
    let gone = |error: std::io::Error| {
        Problem::unavailable(format!("cannot find the container's bundle: {error}"))
            .remedy("learn from a container that Docker runs by containerd's shim")
    };
    let process = Process::open(pid).map_err(gone)?;
    let shim = process.parent().map_err(gone)?;
    let path = std::fs::read_link(format!("/proc/{shim}/cwd")).map_err(gone)?;
    match path.join("config.json").exists() {
        true => Ok(path),
        false => Err(gone(std::io::ErrorKind::NotFound.into())),
    }
}

fn sources(document: &Value) -> Vec<(usize, OwnedFd)> {
    let mounts = document.get("mounts").and_then(Value::as_array);
    let sources = mounts
        .into_iter()
        .flatten()
        .enumerate()
        .filter_map(|(index, mount)| {
            let source = mount.get("source").and_then(Value::as_str)?;
            let opened = Path::new(source).is_absolute().then(|| open(Path::new(source)))?;
            Some((index, opened.ok()?))
        });
    sources.collect()
}

fn open(path: &Path) -> std::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(CWD, path, flags, Mode::empty())?)
}
