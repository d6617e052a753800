//! `open`: opens a disk for the daemon, in a mount namespace that nobody else is in, and does what the daemon says.
//!
//! This process outlives the daemon that started it: the next daemon finds it by its socket. It is a supervisor as `serve`
//! is: it parses nothing that somebody else may have written to the store.

use super::serve::{THREADS, detach, no_longer_served, try_detach};
use crate::{
    arguments::{Open, Rotating},
    control::{Came, Control},
    exporter::Connection,
    filesystem::Mounted,
    growth, key_file, memory_group,
    minder::Minder,
    notice::notice,
    opened,
    problem::{doing, of_export},
    signals::Signals,
    witness_file::WitnessFile,
    worker::Setting,
    write_cache::WriteCache,
};
use cofferdam_linux::{
    loop_device::LoopDevice,
    memory,
    mount::{DetachedMount, shut_down},
    process,
};
use cofferdam_model::{
    Problem, Result,
    disk::{Answer, DATA, Order, Started},
};
use cofferdam_vault::VolumeKey;
use rustix::{
    fs::{Mode, OFlags, ResolveFlags},
    net::{AddressFamily, SocketFlags, SocketType},
};
use std::{
    fs::File,
    io::Write,
    os::fd::{AsFd, OwnedFd},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

/// Does it. Whatever keeps the disk from being opened is told to the daemon, on standard output.
///
/// # Errors
/// What goes wrong afterwards.
pub(crate) fn run(open: &Open) -> Result<ExitCode> {
    match Server::start(open) {
        Ok(server) => {
            say(&Started::Ready)?;
            server.obey()
        }
        Err(problem) => {
            say(&Started::Failed(problem))?;
            Ok(ExitCode::FAILURE)
        }
    }
}

fn say(started: &Started) -> Result<()> {
    let line = serde_json::to_string(started)
        .map_err(|error| Problem::internal(format!("a message has no JSON form: {error}")))?;
    let mut out = std::io::stdout();
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(doing("telling the daemon"))
}

/// An open disk.
struct Server {
    control: Control,
    signals: Signals,
    connection: Arc<Connection>,
    minder: Minder,
    shown: Shown,
}

/// The disk as the kernel sees it.
struct Shown {
    device: LoopDevice,
    mounted: Mounted<'static>,
    cache: WriteCache,
}

/// What becomes of the server after an order.
enum Next {
    Go(Box<Server>),
    End(ExitCode),
}

impl Server {
    fn start(open: &Open) -> Result<Self> {
        memory::undumpable().map_err(doing("keeping this process's memory out of dumps"))?;
        process::keep_descriptors().map_err(doing("keeping descriptors from other programs"))?;
        let signals = Signals::catch()?;
        let claim = opened::claim(&open.store)?;
        let cache = WriteCache::of(open.cache.write_cache, &claim, open.access.access);
        let setting = Setting {
            keys: key_file::keys_from_standard_input(open.rotating.map(Rotating::has_begun))?,
            claim,
            access: open.access.access,
            cache,
            volume: Some(open.volume.clone()),
            // What nobody can take back any more must not go on.
            outlives: false,
            patience: Duration::from_secs(open.patience),
        };
        let witness = open.witness.witness.as_deref().map(WitnessFile::at).transpose()?;
        if let Some(words) = memory_group::leave() {
            notice(words);
        }
        let (faults, told) = rustix::net::socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )
        .map_err(|error| doing("making a socket for faults")(error.into()))?;
        let control = Control::listen(&open.control, faults)?;
        let connection = Arc::new(Connection::new(THREADS).map_err(of_export)?);
        let minder = Minder::start(setting, Arc::clone(&connection), witness, Some(told))?;
        match Shown::new(&connection, cache) {
            Ok(shown) => Ok(Server {
                control,
                signals,
                connection,
                minder,
                shown,
            }),
            Err(problem) => {
                minder.close()?;
                Err(problem)
            }
        }
    }

    fn obey(mut self) -> Result<ExitCode> {
        loop {
            match self.control.wait(&mut self.signals, self.minder.ended())? {
                Came::End => return Err(no_longer_served(self.minder)),
                Came::Signal => {
                    self.signals.take()?;
                    match self.close()? {
                        Ok(()) => return Ok(ExitCode::SUCCESS),
                        Err((server, problem)) => {
                            notice(problem);
                            self = server;
                        }
                    }
                }
                Came::Order(order, descriptor, peer) => match self.carry_out(order, descriptor, peer)? {
                    Next::Go(server) => self = *server,
                    Next::End(code) => return Ok(code),
                },
            }
        }
    }

    fn carry_out(mut self, order: Order, descriptor: Option<OwnedFd>, peer: OwnedFd) -> Result<Next> {
        match order {
            Order::Watch => self.control.answer(peer, &Answer::Watched, None),
            Order::Root => {
                let mount = self.shown.root();
                self.hand_out(peer, mount);
            }
            Order::Data => {
                let mount = self.shown.data();
                self.hand_out(peer, mount);
            }
            Order::Rotate => {
                let answer = self.rotate(descriptor).unwrap_or_else(Answer::Refused);
                self.control.answer(peer, &answer, None);
            }
            Order::Rotation => {
                let rotation = Answer::Rotation(self.minder.rotation());
                self.control.answer(peer, &rotation, None);
            }
            Order::Grow(bytes) => {
                let grown = self.grow(bytes).map(|filesystem| Answer::Grown { filesystem });
                self.control
                    .answer(peer, &grown.unwrap_or_else(Answer::Refused), None);
            }
            Order::Close => match self.close_for(peer)? {
                None => return Ok(Next::End(ExitCode::SUCCESS)),
                Some(server) => self = server,
            },
            Order::Shut => return self.shut(&peer).map(Next::End),
        }
        Ok(Next::Go(Box::new(self)))
    }

    fn rotate(&self, key: Option<OwnedFd>) -> Result<Answer> {
        let pipe = key.ok_or_else(|| Problem::invalid("no key came with the order to rotate"))?;
        let key = VolumeKey::read(File::from(pipe)).map_err(doing("taking the new key"))?;
        self.minder.rotate(key)?;
        Ok(match self.minder.rotation() {
            Some(_) => Answer::Rotating,
            None => Answer::Rotated,
        })
    }

    /// Makes the disk larger; answers whether its filesystem is too.
    fn grow(&self, bytes: u64) -> Result<bool> {
        self.minder.grow(bytes)?;
        self.connection
            .take_size(&self.shown.device, bytes)
            .map_err(of_export)?;
        growth::fill(self.shown.mounted.root()?, bytes)
    }

    fn hand_out(&mut self, peer: OwnedFd, mount: Result<DetachedMount>) {
        match mount {
            Ok(mount) => self.control.answer(peer, &Answer::Mount, Some(mount.as_fd())),
            Err(problem) => self.control.answer(peer, &Answer::Refused(problem), None),
        }
    }

    /// Closes, and answers; the server itself where somebody still uses the disk.
    fn close_for(self, peer: OwnedFd) -> Result<Option<Self>> {
        match self.close()? {
            Ok(()) => {
                drop(crate::wire::send(peer.as_fd(), &Answer::Closed, &[]));
                Ok(None)
            }
            Err((mut server, problem)) => {
                server.control.answer(peer, &Answer::Refused(problem), None);
                Ok(Some(server))
            }
        }
    }

    /// Unmounts the disk and closes the store in peace. Where somebody still uses it, all goes on as before.
    fn close(self) -> Result<std::result::Result<(), (Self, Problem)>> {
        let Server {
            control,
            signals,
            connection,
            minder,
            shown,
        } = self;
        match shown.close()? {
            None => minder.close().map(Ok),
            Some((shown, problem)) => {
                let server = Server {
                    control,
                    signals,
                    connection,
                    minder,
                    shown,
                };
                Ok(Err((server, problem)))
            }
        }
    }

    /// Ends everything for whoever uses the disk: the filesystem first, so that nothing of it is answered from memory, then the
    /// disk below it. The worker closes the store in peace.
    fn shut(self, peer: &OwnedFd) -> Result<ExitCode> {
        let root = self.shown.mounted.root()?;
        let down = shut_down(root).map_err(doing("shutting the filesystem down"));
        let aborted = self
            .connection
            .abort_handle()
            .abort()
            .map_err(doing("ending the disk"));
        let closed = self.minder.close();
        let outcome = down.and(aborted).and(closed);
        let answer = match &outcome {
            Ok(()) => Answer::Closed,
            Err(problem) => Answer::Refused(problem.clone()),
        };
        // The next server may listen at the same place as soon as this is answered.
        drop(self.control);
        drop(crate::wire::send(peer.as_fd(), &answer, &[]));
        outcome.map(|()| ExitCode::SUCCESS)
    }
}

impl Shown {
    fn new(connection: &Connection, cache: WriteCache) -> Result<Self> {
        let device = connection.export().map_err(of_export)?;
        growth::catch_up(&device)?;
        match Mounted::hidden(device.path(), cache) {
            Ok(mounted) => Ok(Shown {
                device,
                mounted,
                cache,
            }),
            Err(problem) => {
                detach(device)?;
                Err(problem)
            }
        }
    }

    fn root(&self) -> Result<DetachedMount> {
        DetachedMount::clone_of(self.mounted.root()?).map_err(doing("cloning the disk's mount"))
    }

    fn data(&self) -> Result<DetachedMount> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let data = rustix::fs::openat2(self.mounted.root()?, DATA, flags, Mode::empty(), beneath)
            .map_err(|error| doing("opening the volume's data")(error.into()))?;
        DetachedMount::clone_of(data.as_fd()).map_err(doing("cloning the disk's mount"))
    }

    /// Takes the disk away from the kernel; itself, mounted as before, where somebody else has a copy of the mount.
    fn close(mut self) -> Result<Option<(Self, Problem)>> {
        if let Err(problem) = self.mounted.unmount() {
            return Ok(Some((self, problem)));
        }
        let (device, problem) = match try_detach(self.device) {
            Ok(()) => return Ok(None),
            Err(busy) => busy,
        };
        let cache = self.cache;
        let mounted = Mounted::hidden_again(device.as_fd(), cache)?;
        Ok(Some((
            Shown {
                device,
                mounted,
                cache,
            },
            problem,
        )))
    }
}
