//! A worker as its supervisor sees it: a process with a socket, and the memory that it leaves behind.

use crate::{
    arguments::Access,
    exporter::Connection,
    held_keys::HeldKeys,
    problem::doing,
    wire::{self, Order, Report},
    write_cache::WriteCache,
};
use cofferdam_disk::Claim;
use cofferdam_model::{Problem, Result};
use cofferdam_vault::VolumeKey;
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    net::{AddressFamily, SocketFlags, SocketType},
    process::{Pid, PidfdFlags},
};
use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// What every worker of a disk is started with.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) claim: Claim,
    pub(crate) keys: HeldKeys,
    pub(crate) access: Access,
    pub(crate) cache: WriteCache,
    /// The volume's id that the store must hold, where it is known.
    pub(crate) volume: Option<String>,
    /// Whether workers serve on where this process has ended.
    pub(crate) outlives: bool,
    /// How long a request may take; a worker that says nothing for longer hangs.
    pub(crate) patience: Duration,
}

/// A worker that was started.
#[derive(Debug)]
pub(crate) struct Worker {
    child: Child,
    socket: OwnedFd,
    arena: Option<OwnedFd>,
    /// The empty mount namespace that it has made, where it had to.
    nowhere: Option<OwnedFd>,
    briefed: bool,
    heard: Instant,
}

impl Worker {
    /// Starts one, and has it leave this mount namespace for an empty one: `nowhere`, or else it makes one. Once it has
    /// reported that, it can be told what to serve ([`Self::brief`]); before, it could hold up the unmounting.
    ///
    /// # Errors
    /// As starting a process.
    pub(crate) fn start(nowhere: Option<&OwnedFd>) -> Result<Self> {
        let (ours, theirs) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .map_err(|error| doing("making a socket for the worker")(error.into()))?;
        // This very program, even where its file has been replaced since. Nothing of the environment is for it.
        let child = Command::new("/proc/self/exe")
            .arg("work")
            .env_clear()
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            // Ctrl-C is for the supervisor: it closes in peace.
            .process_group(0)
            .spawn()
            .map_err(doing("starting the worker"))?;
        let worker = Worker {
            child,
            socket: ours,
            arena: None,
            nowhere: None,
            briefed: false,
            heard: Instant::now(),
        };
        let known: Vec<_> = nowhere.iter().map(AsFd::as_fd).collect();
        wire::send(worker.socket.as_fd(), &Order::Leave, &known)?;
        Ok(worker)
    }

    /// Tells it what to serve; `rescue` is what those before have left.
    ///
    /// # Errors
    /// As pipe(2) and sendmsg(2). One that has ended is found out by [`Self::hear`].
    pub(crate) fn brief(
        &mut self,
        setting: &Setting,
        connection: &Connection,
        witness: Option<String>,
        rescue: &[OwnedFd],
    ) -> Result<()> {
        let (key, key_in) = key_pipe()?;
        let [root, lock] = setting.claim.descriptors();
        let mut descriptors = vec![root, lock, key.as_fd(), connection.abort_handle().as_fd()];
        descriptors.extend(connection.channels().iter().map(AsFd::as_fd));
        descriptors.extend(rescue.iter().map(AsFd::as_fd));
        let order = Order::Serve {
            access: setting.access,
            cache: setting.cache,
            volume: setting.volume.clone(),
            witness,
            outlives: setting.outlives,
            channels: connection.channels().len(),
            rescue: rescue.len(),
            rotation: setting.keys.rotation(),
            patience: setting.patience.as_secs(),
        };
        wire::send(self.socket.as_fd(), &order, &descriptors)?;
        self.briefed = true;
        setting
            .keys
            .hand_over(&File::from(key_in))
            .map_err(doing("handing the key to the worker"))
    }

    /// Readable when the worker has spoken or ended.
    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// What the worker says; none where it has ended.
    ///
    /// # Errors
    /// Where it speaks otherwise than it should.
    pub(crate) fn hear(&mut self) -> Result<Option<Report>> {
        let Some((report, descriptors)) = wire::receive::<Report>(self.socket.as_fd())? else {
            return Ok(None);
        };
        self.heard = Instant::now();
        let descriptor = descriptors.into_iter().next();
        match report {
            Report::Arena => self.arena = descriptor,
            Report::Left => self.nowhere = descriptor,
            _ => {}
        }
        Ok(Some(report))
    }

    /// The empty mount namespace that it has made: for those that follow it.
    pub(crate) fn take_nowhere(&mut self) -> Option<OwnedFd> {
        self.nowhere.take()
    }

    /// Whether it was told what to serve.
    pub(crate) fn is_briefed(&self) -> bool {
        self.briefed
    }

    /// How long nothing was heard.
    pub(crate) fn silent(&self) -> Duration {
        self.heard.elapsed()
    }

    /// Has it encrypt everything anew under this key.
    ///
    /// # Errors
    /// As pipe(2) and sendmsg(2). One that has ended is found out by [`Self::hear`].
    pub(crate) fn rotate(&self, key: &VolumeKey) -> Result<()> {
        let (out, into) = key_pipe()?;
        wire::send(self.socket.as_fd(), &Order::Rotate, &[out.as_fd()])?;
        key.write(File::from(into))
            .map_err(doing("handing the key to the worker"))
    }

    /// Has it make the disk larger.
    ///
    /// # Errors
    /// As sendmsg(2). One that has ended is found out by [`Self::hear`].
    pub(crate) fn grow(&self, bytes: u64) -> Result<()> {
        wire::send(self.socket.as_fd(), &Order::Grow(bytes), &[])?;
        Ok(())
    }

    /// Tells it to close the volume and end. One that has ended is found out by [`Self::hear`].
    ///
    /// # Errors
    /// As sendmsg(2).
    pub(crate) fn close(&self) -> Result<()> {
        wire::send(self.socket.as_fd(), &Order::Close, &[])?;
        Ok(())
    }

    /// Ends it at once and waits; answers how it ended, and what it leaves to a successor.
    ///
    /// # Errors
    /// Where it does not end within `patience`: it is in a system call that nothing interrupts, and may write still.
    pub(crate) fn end(mut self, patience: Duration) -> Result<(String, Option<OwnedFd>)> {
        let doing = doing("ending the worker");
        let Some(status) = self.kill(patience).map_err(doing)? else {
            return Err(
                Problem::unavailable("the worker cannot be ended, for its store does not answer")
                    .remedy("see to the filesystem that the store lies on"),
            );
        };
        Ok((status.to_string(), self.arena.take()))
    }

    fn kill(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        // One that has ended already is not killed: the child has not been waited for, so its number is its own.
        self.child.kill()?;
        let process = rustix::process::pidfd_open(Pid::from_child(&self.child), PidfdFlags::empty())?;
        let mut end = [PollFd::new(&process, PollFlags::IN)];
        let limit = Timespec::try_from(patience).map_err(|_| io::ErrorKind::InvalidInput)?;
        match rustix::event::poll(&mut end, Some(&limit))? {
            0 => Ok(None),
            _ => self.child.wait().map(Some),
        }
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// Where it ended otherwise than in peace.
    pub(crate) fn wait(mut self) -> Result<()> {
        let status = self.child.wait().map_err(doing("waiting for the worker"))?;
        if status.success() {
            return Ok(());
        }
        Err(Problem::internal(format!("the worker ended with {status}")))
    }
}

fn key_pipe() -> Result<(OwnedFd, OwnedFd)> {
    rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)
        .map_err(|error| doing("making a pipe for the key")(error.into()))
}
