//! The runtime's socket (`cofferdam_model::wire`): root only, descriptors in, detached mounts out.

use super::{Stop, socket};
use crate::daemon::Daemon;
use crate::road::{self, Asked, Refusal};
use cofferdam_linux::process::Process;
use cofferdam_linux::readiness::Readable;
use cofferdam_linux::{file, packet, peer};
use cofferdam_model::wire::{Guarded, PACKET_MAX, Reply, Request, VERSION, Verb};
use cofferdam_model::{ContainerId, Problem, Result, json};
use cofferdam_volume::Progress;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::{debug, warn};

/// How many requests are worked on at once.
const AT_ONCE: usize = 128;
/// How long a connected runtime may take to ask, and to take its answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a runtime that waits hears that there is progress.
const SIGN_OF_LIFE: Duration = Duration::from_secs(1);
/// How often is looked whether the runtime still waits.
const LOOK: Duration = Duration::from_millis(200);
/// The longest config.json or process, in bytes.
const DOCUMENT_MAX: usize = 16 << 20;

/// Serves the runtime until told to stop.
///
/// # Errors
/// `unavailable` where the socket cannot be opened.
pub(super) fn face(daemon: &Arc<Daemon>, stop: &Stop) -> Result<impl Future<Output = ()> + Send + 'static> {
    let path = daemon.settings.runtime_socket();
    let fail = |error: io::Error| {
        Problem::unavailable(format!("cannot open the socket {}: {error}", path.display()))
    };
    let name = socket::claim(&path)?;
    let listener = packet::listen(&path).map_err(fail)?;
    socket::restrict(&path, None).map_err(|error| fail(error.into()))?;
    let listener = Readable::new(listener).map_err(fail)?;
    let (daemon, stop) = (Arc::clone(daemon), stop.clone());
    Ok(async move {
        let mut conversations = JoinSet::new();
        tokio::select! {
            () = accept_all(&daemon, &listener, &mut conversations) => {}
            () = stop.told() => {}
        }
        drop((listener, name));
        while conversations.join_next().await.is_some() {}
    })
}

async fn accept_all(daemon: &Arc<Daemon>, listener: &Readable, conversations: &mut JoinSet<()>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        while conversations.try_join_next().is_some() {}
        match listener
            .when_readable(|listener| packet::accept(listener, PATIENCE))
            .await
        {
            Ok(connection) => {
                let (daemon, places) = (Arc::clone(daemon), Arc::clone(&places));
                conversations.spawn(async move {
                    let Ok(_place) = places.acquire().await else {
                        return;
                    };
                    converse(daemon, connection).await;
                });
            }
            Err(error) => {
                warn!("cannot accept a runtime's connection: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// One question and its answer. While the answer is worked on, progress is told.
async fn converse(daemon: Arc<Daemon>, connection: OwnedFd) {
    let connection = Arc::new(connection);
    let progress = Arc::new(Progress::default());
    let work = {
        let (connection, progress) = (Arc::clone(&connection), Arc::clone(&progress));
        tokio::task::spawn_blocking(move || answer(&daemon, connection.as_fd(), &progress))
    };
    tokio::pin!(work);
    let (mut told, mut next_sign) = (0, tokio::time::Instant::now() + SIGN_OF_LIFE);
    loop {
        tokio::select! {
            _ended = &mut work => return,
            () = tokio::time::sleep(LOOK) => {}
        }
        if packet::is_abandoned(connection.as_fd()) {
            progress.cancel();
        } else if tokio::time::Instant::now() >= next_sign && progress.steps() != told {
            told = progress.steps();
            next_sign = tokio::time::Instant::now() + SIGN_OF_LIFE;
            send(connection.as_fd(), &Reply::Working, &[]);
        }
    }
}

/// Answers one question; the last packet is always an answer or a refusal.
fn answer(daemon: &Arc<Daemon>, connection: BorrowedFd<'_>, progress: &Arc<Progress>) {
    let (reply, mounts) = match ask(daemon, connection, progress) {
        Ok(answered) => answered,
        Err(Refusal { problem, decision }) => (Reply::Refused { problem, decision }, Vec::new()),
    };
    let descriptors: Vec<_> = mounts.iter().map(AsFd::as_fd).collect();
    send(connection, &reply, &descriptors);
}

fn send(connection: BorrowedFd<'_>, reply: &Reply, descriptors: &[BorrowedFd<'_>]) {
    let sent = serde_json::to_vec(reply)
        .map_err(io::Error::from)
        .and_then(|bytes| packet::send(connection, &bytes, descriptors));
    if let Err(error) = sent {
        // The runtime is gone, and its process with it: the lease ends by itself.
        debug!("a runtime did not take its answer: {error}");
    }
}

/// Reads the question and walks the road with it.
fn ask(
    daemon: &Arc<Daemon>,
    connection: BorrowedFd<'_>,
    progress: &Arc<Progress>,
) -> std::result::Result<(Reply, Vec<OwnedFd>), Refusal> {
    let caller = caller(connection)?;
    let packet = packet::receive(connection, PACKET_MAX)
        .map_err(|error| Problem::invalid(format!("the question did not arrive: {error}")))?;
    let request: Request = json::read("the question", &packet.bytes)?;
    if request.version != VERSION {
        return Err(Problem::invalid(format!(
            "the runtime speaks version {}, this daemon {VERSION}",
            request.version
        ))
        .remedy("install cofferdamd and cofferdam-runtime of the same version")
        .into());
    }
    let mut descriptors = packet.descriptors.into_iter();
    match request.verb {
        Verb::Open { volume, sources } => {
            let guarded = Guarded { volume, sources };
            let asked = asked(
                request.container,
                request.runtime_root,
                guarded,
                descriptors,
                caller,
            )?;
            let road::Given { opened, as_judged } = road::open(daemon, asked, progress)?;
            let (opened, mounts) = opened.into_iter().unzip();
            Ok((Reply::Opened { opened, as_judged }, mounts))
        }
        Verb::Plan { plan, guarded } => {
            let container = request.container;
            let asked = guarded
                .map(|guarded| {
                    asked(
                        container.clone(),
                        request.runtime_root,
                        guarded,
                        descriptors,
                        caller,
                    )
                })
                .transpose()?;
            let refused = road::plan(daemon, plan, &container, asked)?;
            Ok((Reply::Planned { refused }, Vec::new()))
        }
        Verb::Exec { process } => {
            let process = if process {
                Some(document(descriptors.next())?)
            } else {
                None
            };
            road::exec(daemon, &request.container, process.as_deref())?;
            Ok((Reply::Allowed, Vec::new()))
        }
        Verb::Checkpoint => {
            road::checkpoint(daemon, &request.container)?;
            Ok((Reply::Allowed, Vec::new()))
        }
    }
}

/// What the runtime brought for a container: config.json, the root filesystem, the sources.
fn asked(
    container: ContainerId,
    runtime_root: PathBuf,
    Guarded { volume, sources }: Guarded,
    mut descriptors: impl ExactSizeIterator<Item = OwnedFd>,
    caller: Process,
) -> Result<Asked> {
    Ok(Asked {
        container,
        runtime_root,
        config: document(descriptors.next())?,
        root: descriptors.next().ok_or_else(too_few)?,
        sources: paired(sources, descriptors)?,
        volume,
        caller,
    })
}

/// The process that asks. Only root may, and only a process that still lives.
fn caller(connection: BorrowedFd<'_>) -> Result<Process> {
    let unknown = |error: io::Error| Problem::denied(format!("cannot tell who is asking: {error}"));
    let peer = peer::of(connection).map_err(unknown)?;
    if peer.uid != 0 {
        return Err(Problem::denied("only root may ask for volumes"));
    }
    Process::open(peer.pid).map_err(unknown)
}

fn too_few() -> Problem {
    Problem::invalid("the question came with too few descriptors")
}

fn document(descriptor: Option<OwnedFd>) -> Result<Vec<u8>> {
    file::read_sealed(descriptor.ok_or_else(too_few)?, DOCUMENT_MAX)
        .map_err(|error| Problem::invalid(format!("a document cannot be read: {error}")))
}

/// Each source with the number of its mount; as many of one as of the other, and no mount twice.
fn paired(
    numbers: Vec<usize>,
    descriptors: impl ExactSizeIterator<Item = OwnedFd>,
) -> Result<Vec<(usize, OwnedFd)>> {
    let mut seen = std::collections::BTreeSet::new();
    if numbers.len() != descriptors.len() || !numbers.iter().all(|number| seen.insert(*number)) {
        return Err(Problem::invalid(
            "the question's sources and descriptors do not fit each other",
        ));
    }
    Ok(numbers.into_iter().zip(descriptors).collect())
}
