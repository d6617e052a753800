//! A disk server, as the daemon sees it: a process of its own that has one volume open, and a socket that leads to it.
//!
//! It outlives the daemon. Whoever has the socket's directory, which is root alone, can give it orders.

use super::deeds::VolumeKeys;
use cofferdam_linux::mount::DetachedMount;
use cofferdam_linux::packet;
use cofferdam_linux::process::Process;
use cofferdam_model::disk::{self, Answer, Order, PACKET_MAX, Started};
use cofferdam_model::{Problem, Result, Rotation, VolumeId};
use cofferdam_vault::VolumeKey;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How long a server may take to answer; closing writes back what is still in memory.
const PATIENCE: Duration = Duration::from_secs(120);

/// The longest line that a server says when it has started, in bytes.
const LINE_MAX: u64 = 64 << 10;

/// What a server is started with.
pub(super) struct Setting<'a> {
    pub(super) program: &'a Path,
    pub(super) volume: &'a VolumeId,
    pub(super) store: &'a Path,
    pub(super) control: &'a Path,
    pub(super) witness: &'a Path,
    /// Whether two keys are handed over, and how far the volume is under the new one.
    pub(super) rotation: Option<Rotation>,
}

/// A server that has a volume open.
#[derive(Debug)]
pub(super) struct DiskServer {
    control: PathBuf,
    /// None after an error: what comes late must not be taken for the answer to another order.
    socket: Mutex<Option<OwnedFd>>,
}

impl DiskServer {
    /// Starts one and hands it the key; returns when the volume is open.
    ///
    /// # Errors
    /// What keeps the volume from being opened.
    pub(super) fn start(setting: &Setting<'_>, keys: &VolumeKeys) -> Result<(Self, Child)> {
        let mut child = command(setting).spawn().map_err(|error| {
            Problem::unavailable(format!("cannot start {}: {error}", setting.program.display()))
                .remedy("install cofferdam-disk beside cofferdamd")
        })?;
        match Self::greet(&mut child, setting, keys) {
            Ok(server) => Ok((server, child)),
            Err(problem) => {
                // One that has ended already is waited for all the same.
                drop(child.kill());
                drop(child.wait());
                Err(problem)
            }
        }
    }

    fn greet(child: &mut Child, setting: &Setting<'_>, keys: &VolumeKeys) -> Result<Self> {
        let lost = |error: io::Error| Problem::unavailable(format!("the disk server is gone: {error}"));
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Problem::internal("the disk server has no pipes"));
        };
        keys.write(&File::from(OwnedFd::from(input))).map_err(lost)?;
        wait_for(output.as_fd())?;
        let mut line = String::new();
        BufReader::new(output.take(LINE_MAX))
            .read_line(&mut line)
            .map_err(lost)?;
        match serde_json::from_str(&line) {
            Ok(Started::Ready) => Self::connect(setting.control),
            Ok(Started::Failed(problem)) => Err(problem),
            Err(_) => Err(
                Problem::unavailable("the disk server ended before it had the volume open")
                    .remedy("look into the daemon's log for what it said"),
            ),
        }
    }

    /// The server that listens at `control`.
    ///
    /// # Errors
    /// `unavailable` where there is none.
    pub(super) fn connect(control: &Path) -> Result<Self> {
        let socket = packet::connect(control, PATIENCE)
            .map_err(|error| Problem::unavailable(format!("the disk server does not answer: {error}")))?;
        Ok(DiskServer {
            control: control.to_owned(),
            socket: Mutex::new(Some(socket)),
        })
    }

    /// The whole filesystem, detached.
    ///
    /// # Errors
    /// `unavailable` where the server is gone, or its own.
    pub(super) fn root(&self) -> Result<DetachedMount> {
        self.mount(Order::Root)
    }

    /// Bytes used in the filesystem; none where that cannot be told.
    pub(super) fn used(&self) -> Option<u64> {
        let root = self.root().ok()?;
        let facts = rustix::fs::fstatvfs(root.as_fd()).ok()?;
        facts
            .f_blocks
            .checked_sub(facts.f_bfree)?
            .checked_mul(facts.f_frsize)
    }

    /// Whether it is there still.
    pub(super) fn lives(&self) -> bool {
        packet::connect(&self.control, PATIENCE).is_ok()
    }

    /// What containers see of it, detached.
    ///
    /// # Errors
    /// As [`Self::root`].
    pub(super) fn data(&self) -> Result<DetachedMount> {
        self.mount(Order::Data)
    }

    fn mount(&self, order: Order) -> Result<DetachedMount> {
        match self.ask(order)? {
            (Answer::Mount, Some(mount)) => Ok(mount.into()),
            (Answer::Refused(problem), _) => Err(problem),
            (answer, _) => Err(unexpected(&answer)),
        }
    }

    /// Has it encrypt everything anew under this key, while the volume is in use; returns when everything new is under it. Answers
    /// whether there is something left to do. Where it has that key already, nothing begins.
    ///
    /// # Errors
    /// `unavailable` where the server is gone, or its own.
    pub(super) fn rotate(&self, key: &VolumeKey) -> Result<bool> {
        let lost = |error: io::Error| Problem::unavailable(format!("the key cannot be handed over: {error}"));
        let (out, into) = io::pipe().map_err(lost)?;
        // 32 bytes have room in a pipe.
        key.write(&into).map_err(lost)?;
        drop(into);
        match self.ask_with(Order::Rotate, &[out.as_fd()])? {
            (Answer::Rotating, _) => Ok(true),
            (Answer::Rotated, _) => Ok(false),
            (Answer::Refused(problem), _) => Err(problem),
            (answer, _) => Err(unexpected(&answer)),
        }
    }

    /// How far that has come; none where there is nothing left to do.
    ///
    /// # Errors
    /// `unavailable` where the server is gone.
    pub(super) fn rotation(&self) -> Result<Option<disk::Rotation>> {
        match self.ask(Order::Rotation)? {
            (Answer::Rotation(rotation), _) => Ok(rotation),
            (answer, _) => Err(unexpected(&answer)),
        }
    }

    /// Has it make disk and filesystem larger, to so many bytes; answers whether the filesystem is larger now, and not only once the
    /// volume is opened anew.
    ///
    /// # Errors
    /// `invalid` for a size that the disk cannot have; `unavailable` where the server is gone, or its own.
    pub(super) fn grow(&self, bytes: u64) -> Result<bool> {
        match self.ask(Order::Grow(bytes))? {
            (Answer::Grown { filesystem }, _) => Ok(filesystem),
            (Answer::Refused(problem), _) => Err(problem),
            (answer, _) => Err(unexpected(&answer)),
        }
    }

    /// Has it close the volume in peace, and end.
    ///
    /// # Errors
    /// `busy` where somebody uses the volume; it goes on as before.
    pub(super) fn close(&self) -> Result<()> {
        self.end(Order::Close)
    }

    /// Has it end the volume for whoever uses it.
    ///
    /// # Errors
    /// What could not be ended.
    pub(super) fn shut(&self) -> Result<()> {
        self.end(Order::Shut)
    }

    fn end(&self, order: Order) -> Result<()> {
        match self.ask(order)? {
            (Answer::Closed, _) => Ok(()),
            (Answer::Refused(problem), _) => Err(problem),
            (answer, _) => Err(unexpected(&answer)),
        }
    }

    fn ask(&self, order: Order) -> Result<(Answer, Option<OwnedFd>)> {
        self.ask_with(order, &[])
    }

    fn ask_with(&self, order: Order, descriptors: &[BorrowedFd<'_>]) -> Result<(Answer, Option<OwnedFd>)> {
        let mut kept = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        let socket = match kept.take() {
            Some(socket) => socket,
            None => packet::connect(&self.control, PATIENCE).map_err(gone)?,
        };
        say(socket.as_fd(), order, descriptors)?;
        let answer = hear(socket.as_fd())?;
        *kept = Some(socket);
        Ok(answer)
    }
}

/// A socket on which the server that listens at `control` tells what it finds wrong.
///
/// # Errors
/// `unavailable` where there is none.
pub(super) fn watch(control: &Path) -> Result<OwnedFd> {
    let socket = packet::connect(control, PATIENCE).map_err(gone)?;
    say(socket.as_fd(), Order::Watch, &[])?;
    match hear(socket.as_fd())? {
        (Answer::Watched, _) => Ok(socket),
        (answer, _) => Err(unexpected(&answer)),
    }
}

/// The next thing that is wrong, where there is something to read: what, and whether it is a sign of tampering. None where
/// the server has ended.
///
/// # Errors
/// `WouldBlock` where there is nothing to read.
pub(super) fn heard(socket: BorrowedFd<'_>) -> io::Result<Option<(String, bool)>> {
    let packet = match packet::receive_now(socket, PACKET_MAX) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(error),
        Err(_) => return Ok(None),
        Ok(packet) => packet,
    };
    match serde_json::from_slice(&packet.bytes) {
        Ok(Answer::Fault { what, tampering }) => Ok(Some((what, tampering))),
        _ => Ok(Some((
            "the disk server speaks otherwise than it should".to_owned(),
            false,
        ))),
    }
}

/// A server's process, to be waited for: without that its number would never be free again.
pub(super) fn process_of(child: &Child) -> io::Result<Process> {
    Process::open(child.id())
}

fn command(setting: &Setting<'_>) -> Command {
    let mut command = Command::new(setting.program);
    command
        .arg("open")
        .arg(setting.store)
        .args(["--volume", setting.volume.as_str()])
        .arg("--control")
        .arg(setting.control)
        .arg("--witness")
        .arg(setting.witness)
        .args(rotating(setting.rotation))
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // Ctrl-C on the daemon is not for it: containers go on.
        .process_group(0);
    command
}

/// How a server is told that two keys come.
fn rotating(rotation: Option<Rotation>) -> &'static [&'static str] {
    match rotation {
        None => &[],
        Some(Rotation::Announced) => &["--rotating", "announced"],
        Some(Rotation::Begun) => &["--rotating", "begun"],
    }
}

/// Waits until a server that was started has something to say.
fn wait_for(output: BorrowedFd<'_>) -> Result<()> {
    let limit = Timespec::try_from(PATIENCE).map_err(|_| Problem::internal("no such time"))?;
    let mut said = [PollFd::from_borrowed_fd(output, PollFlags::IN)];
    match rustix::event::poll(&mut said, Some(&limit)) {
        Ok(0) => Err(
            Problem::unavailable("the disk server has not opened the volume in time")
                .remedy("see to the filesystem that the store lies on"),
        ),
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(gone(error.into())),
    }
}

fn say(socket: BorrowedFd<'_>, order: Order, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
    let bytes = serde_json::to_vec(&order)
        .map_err(|error| Problem::internal(format!("an order has no JSON form: {error}")))?;
    packet::send(socket, &bytes, descriptors).map_err(gone)
}

fn hear(socket: BorrowedFd<'_>) -> Result<(Answer, Option<OwnedFd>)> {
    let packet = packet::receive(socket, PACKET_MAX).map_err(gone)?;
    let answer = serde_json::from_slice(&packet.bytes)
        .map_err(|error| Problem::internal(format!("the disk server speaks otherwise: {error}")))?;
    Ok((answer, packet.descriptors.into_iter().next()))
}

fn gone(error: io::Error) -> Problem {
    Problem::unavailable(format!("the disk server does not answer: {error}"))
        .remedy("stop the containers that use the volume, then start them again")
}

fn unexpected(answer: &Answer) -> Problem {
    Problem::internal(format!(
        "the disk server answered otherwise than asked: {answer:?}"
    ))
}
