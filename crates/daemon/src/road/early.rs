//! What Docker is asked to do, judged before Docker does anything: sooner than a runtime is asked, in the same words, and also where
//! no runtime is asked at all.
//!
//! | wish | by which of the guard's modes |
//! |---|---|
//! | host paths, filesystems that Docker mounts, copies | `host_paths` |
//! | other runtimes, privileged processes, plugins, swarms, checkpoints elsewhere | `neighbours` |
//! | what cannot be understood | the stricter of both |
//!
//! What this does not do: ask Docker anything. Docker waits for the answer.

use super::host_paths::{EarlyJudge, filesystem_early};
use crate::daemon::Daemon;
use cofferdam_engine_api::{Request, Wish};
use cofferdam_measure::{Made, MadeMount};
use cofferdam_model::{Guarding, Problem, Result};

/// What comes of a request, and what it wishes for.
pub(crate) enum Early {
    /// It may be done.
    Passed(Vec<Wish>),
    /// It may be done, and would have been refused where nobody were only observing.
    Observed(Vec<Wish>, Problem),
    /// It may not.
    Refused(Problem),
}

/// Judges a request.
pub(crate) fn judge(daemon: &Daemon, request: &Request<'_>) -> Early {
    let guard = &daemon.settings.guard;
    let wishes = match request.wishes() {
        Ok(wishes) => wishes,
        Err(problem) => {
            let problem = Problem {
                message: format!("the request cannot be judged: {}", problem.message),
                ..problem
            };
            return match stricter(guard.neighbours, guard.host_paths) {
                Guarding::Enforce => Early::Refused(problem),
                Guarding::Observe => Early::Observed(Vec::new(), problem),
                Guarding::Off => Early::Passed(Vec::new()),
            };
        }
    };
    let mut observed = None;
    let mut paths = None;
    for wish in &wishes {
        let mode = match wish {
            Wish::HostPath { .. } | Wish::Filesystem { .. } | Wish::Copy(_) | Wish::Volume(_) => {
                guard.host_paths
            }
            _ => guard.neighbours,
        };
        let judged = match mode {
            Guarding::Off => Ok(()),
            Guarding::Enforce | Guarding::Observe => may_be(daemon, wish, &mut paths),
        };
        match (judged, mode) {
            (Ok(()), _) => {}
            (Err(problem), Guarding::Enforce) => return Early::Refused(problem),
            (Err(problem), _) => observed = observed.or(Some(problem)),
        }
    }
    match observed {
        Some(problem) => Early::Observed(wishes, problem),
        None => Early::Passed(wishes),
    }
}

fn stricter(one: Guarding, other: Guarding) -> Guarding {
    let both = [one, other];
    let order = [Guarding::Enforce, Guarding::Observe];
    order
        .into_iter()
        .find(|mode| both.contains(mode))
        .unwrap_or(Guarding::Off)
}

/// Whether one wish may be fulfilled. The rules for paths are read once for all wishes.
fn may_be<'d>(daemon: &'d Daemon, wish: &Wish, paths: &mut Option<EarlyJudge<'d>>) -> Result<()> {
    match wish {
        Wish::Runtime(name) => ours(daemon, name),
        Wish::HostPath { source, destination } => paths_of(daemon, paths)?.path(source, destination),
        Wish::Filesystem { kind, device } => filesystem_early(kind, device),
        Wish::PrivilegedProcess(container) => match made(daemon, container)? {
            // Then it is nothing more, and the runtime looks at it again.
            Some(made) if made.every_capability => Ok(()),
            Some(_) => Err(Problem::denied(
                "the added process would hold every capability, which the container was not started with",
            )
            .remedy("add it without --privileged")),
            None => Err(unknown(container)),
        },
        Wish::Copy(container) => {
            let made = made(daemon, container)?.ok_or_else(|| unknown(container))?;
            for mount in &made.mounts {
                copied(daemon, mount, paths)?;
            }
            Ok(())
        }
        Wish::Plugin => Err(Problem::denied(
            "a plugin of Docker's runs on the host with whatever rights it asks for, and is no container that could be judged",
        )
        .remedy("have the operator install it, with authorization-plugins off")),
        Wish::Swarm => Err(Problem::denied(
            "a swarm's managers would start containers here of which nobody asks Docker's API of this host",
        )
        .remedy("have the operator make it part of the swarm, with authorization-plugins off")),
        Wish::Checkpoint(directory) => Err(Problem::denied(format!(
            "a container's memory in {:?}, a directory of the host's, is no memory of that container's for certain",
            directory.chars().take(100).collect::<String>()
        ))
        .remedy("leave out the directory")),
        // Docker mounts it to fill it with what the image has there, before any runtime is asked.
        Wish::Volume(name) => {
            for engine in &daemon.engines {
                if let Some(mount) = engine.own_volume(name)? {
                    mounted(daemon, &mount, paths)?;
                }
            }
            Ok(())
        }
        Wish::NewVolume { .. } | Wish::NoVolume(_) => Ok(()),
    }
}

fn paths_of<'p, 'd>(daemon: &'d Daemon, paths: &'p mut Option<EarlyJudge<'d>>) -> Result<&'p EarlyJudge<'d>> {
    match paths {
        Some(judge) => Ok(judge),
        None => Ok(paths.insert(EarlyJudge::new(daemon)?)),
    }
}

fn ours(daemon: &Daemon, name: &str) -> Result<()> {
    let ours = &daemon.settings.guard.runtimes;
    if ours.iter().any(|one| one == name) {
        return Ok(());
    }
    Err(Problem::denied(format!(
        "the runtime {:?} asks nobody what a container may reach, so none may be started by it",
        name.chars().take(100).collect::<String>()
    ))
    .remedy(match ours.as_slice() {
        [] => "name ours in [guard] runtimes of the settings".to_owned(),
        ours => format!(
            "use --runtime {}; or name it in [guard] runtimes of the settings, if it is ours",
            ours.join(" or ")
        ),
    }))
}

/// What the container was made with that people, or Docker, call so.
fn made(daemon: &Daemon, container: &str) -> Result<Option<Made>> {
    for engine in &daemon.engines {
        if let Some(id) = engine.find(container.trim_start_matches('/'))? {
            return engine.made(&id);
        }
    }
    Ok(None)
}

/// Whether something may be mounted by Docker itself, for whoever asks.
fn mounted<'d>(daemon: &'d Daemon, mount: &MadeMount, paths: &mut Option<EarlyJudge<'d>>) -> Result<()> {
    match mount {
        MadeMount::HostPath { source, destination } => paths_of(daemon, paths)?.copied(source, destination),
        MadeMount::Local {
            destination,
            kind,
            device,
            options,
            ..
        } => match Wish::of_local_volume(kind, device, options)? {
            Some(Wish::HostPath { source, .. }) => paths_of(daemon, paths)?.copied(&source, destination),
            Some(wish) => may_be(daemon, &wish, paths),
            None => Ok(()),
        },
    }
}

/// Whether something that Docker would mount may be copied, for whoever asks.
fn copied<'d>(daemon: &'d Daemon, mount: &MadeMount, paths: &mut Option<EarlyJudge<'d>>) -> Result<()> {
    mounted(daemon, mount, paths)?;
    let MadeMount::Local {
        name, destination, ..
    } = mount
    else {
        return Ok(());
    };
    // It may be somebody's, and something may be mounted there by now.
    let place = daemon.settings.docker.data_root.join("volumes").join(name);
    let place = place.join("_data").display().to_string();
    paths_of(daemon, paths)?.copied(&place, destination)
}

fn unknown(container: &str) -> Problem {
    Problem::missing(format!(
        "Docker keeps no container {:?} that could be judged",
        container.chars().take(100).collect::<String>()
    ))
}
