//! From settings to a running daemon, and to a clean end.
//!
//! The order matters: the daemon confines itself while it has one thread; the registry's lock comes before the sockets, so that a second daemon takes nothing away from
//! the first; leases are taken up again before anybody can ask for a new one.

use crate::daemon::Daemon;
use crate::{confinement, faces, road};
use cofferdam_linux::file::reopen;
use cofferdam_model::{LogFormat, Problem, Result, Settings};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

/// How long requests that are under way may take when the daemon is told to stop.
const PATIENCE: Duration = Duration::from_secs(4);

/// Runs the daemon until SIGTERM or SIGINT.
///
/// # Errors
/// Whatever keeps it from starting.
pub(crate) fn run(config: Option<&Path>) -> Result<()> {
    let settings = cofferdam_settings::load(config)?;
    start_log(&settings)?;
    if !rustix::process::geteuid().is_root() {
        return Err(Problem::denied("cofferdamd has to run as root: it mounts")
            .remedy("start it with: systemctl start cofferdamd"));
    }
    // The host's identity and volume keys pass through this process.
    cofferdam_linux::memory::undumpable()
        .map_err(|error| Problem::internal(format!("cannot keep memory out of dumps: {error}")))?;
    confinement::restrain()?;
    // What is made for everybody to see says so itself; a stricter mask of the caller's would hide placeholders.
    rustix::process::umask(Mode::from_raw_mode(0o022));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_keep_alive(Duration::from_secs(5))
        .enable_all()
        .build()
        .map_err(|error| Problem::internal(format!("cannot start the event loop: {error}")))?;
    runtime.block_on(serve(settings))?;
    runtime.shutdown_timeout(PATIENCE);
    Ok(())
}

/// Makes a key in the token of the settings. The daemon need not run.
///
/// # Errors
/// As [`crate::sealed::make_token_key`].
pub(crate) fn make_token_key(config: Option<&Path>, recipient: &str) -> Result<()> {
    let settings = cofferdam_settings::load(config)?;
    crate::sealed::make_token_key(&settings.keys, &recipient.parse()?)?;
    println!("made; share a volume with it: cofferdam volume share VOLUME --recipient '{recipient}'");
    Ok(())
}

async fn serve(settings: Settings) -> Result<()> {
    let held = make_directories(&settings)?;
    let warnings = look_around(&settings);
    warnings.iter().for_each(|warning| warn!("{warning}"));
    let daemon = Arc::new(tokio::task::block_in_place(|| {
        Daemon::open(settings, held, warnings)
    })?);
    tokio::task::block_in_place(|| {
        crate::operations::tidy(&daemon);
        crate::operations::tell_of_docker_volumes(&daemon)?;
        road::take_up_leases(&daemon)?;
        crate::sealed::take_up_servers(&daemon);
        crate::sealed::go_on_with_all(&daemon);
        Ok::<_, Problem>(())
    })?;
    let stop = faces::Stop::default();
    let serving = faces::serve_all(&daemon, &stop)?;
    ready();
    info!(
        volumes = daemon.state.now().volumes().len(),
        "cofferdamd is ready"
    );
    wait_for_signal().await?;
    info!("stopping");
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Stopping]) {
        warn!("cannot tell systemd: {error}");
    }
    stop.now();
    if tokio::time::timeout(PATIENCE, serving.finished()).await.is_err() {
        warn!("some requests were still under way");
    }
    Ok(())
}

fn ready() {
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        warn!("cannot tell systemd: {error}");
    }
}

async fn wait_for_signal() -> Result<()> {
    let fail = |error| Problem::internal(format!("cannot listen for signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(fail)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fail)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

fn start_log(settings: &Settings) -> Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&settings.log.filter).map_err(|error| {
        Problem::invalid(format!("log.filter cannot be understood: {error}"))
            .remedy("write info, debug, or module=level")
    })?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false);
    let started = match settings.log.format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().try_init(),
    };
    started.map_err(|error| Problem::internal(format!("cannot start the log: {error}")))
}

/// Makes the daemon's directories; answers with the one that names the containers that hold volumes.
fn make_directories(settings: &Settings) -> Result<OwnedFd> {
    directory(&settings.paths.state, 0o700)?;
    directory(&settings.paths.run, 0o755)?;
    directory(&settings.attach(), 0o700)?;
    directory(&settings.servers(), 0o700)?;
    directory(&settings.witnesses(), 0o700)?;
    directory(&settings.ledger(), 0o700)?;
    let held = directory(&settings.held(), 0o700)?;
    if let Some(plugins) = settings.docker.plugin_socket.parent() {
        std::fs::create_dir_all(plugins).map_err(|error| unusable(plugins, &error))?;
    }
    Ok(held)
}

fn unusable(path: &Path, error: &std::io::Error) -> Problem {
    Problem::unavailable(format!("cannot use the directory {}: {error}", path.display()))
}

/// A directory of root's with this mode, made with what leads to it.
fn directory(path: &Path, mode: u32) -> Result<OwnedFd> {
    let fail = |error: std::io::Error| unusable(path, &error);
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(fail)?;
    }
    match rustix::fs::mkdirat(CWD, path, Mode::from_raw_mode(mode)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(fail(error.into())),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| fail(error.into()))?;
    let facts = rustix::fs::fstat(&opened).map_err(|error| fail(error.into()))?;
    if facts.st_uid != 0 {
        return Err(Problem::denied(format!(
            "the directory {} belongs to uid {}",
            path.display(),
            facts.st_uid
        ))
        .remedy(format!("give it to root: chown root {}", path.display())));
    }
    if facts.st_mode & 0o7777 != mode {
        rustix::fs::fchmod(&opened, Mode::from_raw_mode(mode)).map_err(|error| fail(error.into()))?;
    }
    Ok(opened)
}

/// What the operator should know before the first container fails.
fn look_around(settings: &Settings) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Err(problem) = can_map_ids(settings) {
        warnings.push(format!(
            "plain volumes can only be opened by their owner's own uid: {problem}"
        ));
    }
    if !settings.docker.data_root.join("image").is_dir() {
        let root = settings.docker.data_root.display();
        warnings.push(format!(
            "there is no Docker state at {root}; if Docker is elsewhere, set docker.data_root"
        ));
    }
    if !settings.runtime.program.exists() {
        warnings.push(format!(
            "there is no {}; install runc, or set runtime.program",
            settings.runtime.program.display()
        ));
    }
    if !settings.disk.program.exists() {
        warnings.push(format!(
            "there is no {}, so no sealed volume can be made or opened; install it, or set disk.program",
            settings.disk.program.display()
        ));
    }
    warnings
}

/// Tries an idmapped mount on the filesystem that the plain volumes are on.
fn can_map_ids(settings: &Settings) -> Result<()> {
    use cofferdam_model::{Owner, User};
    use cofferdam_volume::{Opener, id_map::Mapping};
    let state = directory(&settings.paths.state, 0o700)?;
    let path = reopen(state.as_fd(), OFlags::PATH | OFlags::DIRECTORY)
        .map_err(|error| unusable(&settings.paths.state, &error))?;
    let user = User {
        owner: Owner { uid: 1, gid: 1 },
        groups: Vec::new(),
        overrides_ownership: false,
    };
    let swap = Mapping::between(Owner { uid: 2, gid: 2 }, &user, None);
    Opener::default().open(path.as_fd(), &swap, false).map(drop)
}
