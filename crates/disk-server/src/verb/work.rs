//! `work`: the worker. It has the store and the key, and no rights; it is started by `serve` and by nobody else.
//!
//! Where its supervisor ends, it goes on until the connection ends: whoever uses the disk sees nothing of that.

use crate::{
    exporter::{Abort, Disk, Place, Serving},
    held_keys::HeldKeys,
    problem::{doing, of_fault},
    sealed::Sealed,
    signals,
    wire::{self, Order, Report},
};
use cofferdam_disk::{
    Arena, BLOCK, Claim, Directory, Fault, Keys, Rescue, Volume, Witness,
    volume::{Keeper, Options, Rotation, Succession, identify, reserve_keys},
};
use cofferdam_linux::{
    fuse::Channel,
    nowhere::Nowhere,
    sandbox::{Calls, Confinement, Strictness},
};
use cofferdam_model::{Problem, Result, disk};
use cofferdam_vault::VolumeKey;
use rustix::event::{PollFd, PollFlags, Timespec};
use std::{
    fs::File,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    process::ExitCode,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

/// How often the supervisor hears that all is well.
const RHYTHM: Timespec = Timespec {
    tv_sec: 1,
    tv_nsec: 0,
};

/// Opening and closing may take so many times as long as a request.
const LONGER: u32 = 10;

/// Buffers of 1 MiB for what is acknowledged and not written.
const BUFFERS: usize = 8;

/// Serves until it is told to close, or the connection ends.
///
/// # Errors
/// Where nobody has sent orders.
pub(crate) fn run() -> Result<ExitCode> {
    let socket = std::io::stdin()
        .as_fd()
        .try_clone_to_owned()
        .map_err(doing("taking the supervisor's socket"))?;
    match work(&socket) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        // Whoever hears of it says it; where nobody does, this process must.
        Err(problem) => match wire::send(socket.as_fd(), &Report::Failed(problem.clone()), &[]) {
            Ok(true) => Ok(ExitCode::FAILURE),
            Ok(false) | Err(_) => Err(problem),
        },
    }
}

fn work(socket: &OwnedFd) -> Result<()> {
    signals::leave_to_supervisor()?;
    leave(socket)?;
    let orders = wire::receive(socket.as_fd())?;
    let Some((
        Order::Serve {
            access,
            cache,
            volume: expected,
            witness,
            outlives,
            channels,
            rescue,
            rotation,
            patience,
        },
        descriptors,
    )) = orders
    else {
        return Err(Problem::invalid("no orders came; use cofferdam-disk serve"));
    };
    let rotation_was_asked = rotation.is_some();
    let lent = Lent::take(descriptors, channels, rescue)?;
    let (arena_file, arena) = Arena::new(BUFFERS).map_err(doing("taking memory for the disk"))?;
    wire::send(socket.as_fd(), &Report::Arena, &[arena_file.as_fd()])?;
    let places = lent
        .channels
        .into_iter()
        .map(Place::new)
        .collect::<std::io::Result<Vec<_>>>();
    let places = places.map_err(doing("taking locked memory"))?;
    reserve_keys().map_err(of_fault)?;
    let missing = confine(&lent.claim)?;
    let store = Directory::on(lent.claim, access.into()).map_err(doing("opening the store"))?;
    let keys = HeldKeys::read(lent.key, rotation)
        .map_err(doing("taking the key"))?
        .into_keys();
    if let Some(expected) = expected {
        holds(&store, &keys, &expected)?;
    }
    let options = Options {
        witness: witness.as_deref().and_then(Witness::parse),
        ..Options::default()
    };
    let succeeds = !lent.rescue.is_empty();
    let succession = Succession {
        arena: Some(arena),
        rescue: lent.rescue.into_iter().map(Rescue::new).collect(),
    };
    let patience = Duration::from_secs(patience);
    let open = || Volume::succeed(store, keys, &options, succession);
    let volume = alive_meanwhile(socket, patience * LONGER, open).map_err(of_fault)?;
    let volume = Arc::new(volume);
    let keeper = keeper(&volume, socket)?;
    let disk: Arc<dyn Disk> = Arc::new(Sealed::new(Arc::clone(&volume), cache));
    if succeeds && let Some(place) = places.first() {
        place.ask_again().map_err(doing("having the kernel ask again"))?;
    }
    let mut serving = Serving::start(places, lent.abort, &disk).map_err(doing("starting threads"))?;
    // Opening has begun one that was announced.
    let mut rotation = RotationTold::default();
    if rotation_was_asked {
        rotation.tell(socket.as_fd(), &volume);
    }
    wire::send(socket.as_fd(), &Report::Ready { missing }, &[])?;
    until_enough(socket, &volume, &serving, &mut rotation, patience, outlives)?;
    let close = || {
        serving.join().map_err(doing("serving the disk"))?;
        keeper.stop();
        volume.close().map_err(of_fault)
    };
    let witness = alive_meanwhile(socket, patience * LONGER, close)?;
    // Where the supervisor is gone nobody remembers this; the head says it too.
    drop(wire::send(
        socket.as_fd(),
        &Report::Closed(witness.to_string()),
        &[],
    ));
    Ok(())
}

/// Leaves the mount namespace in which the disk will be mounted, before there is anything that it could wait for.
fn leave(socket: &OwnedFd) -> Result<()> {
    let order = wire::receive(socket.as_fd())
        .map_err(|problem| problem.remedy("this verb is not for people; use cofferdam-disk serve"))?;
    let Some((Order::Leave, descriptors)) = order else {
        return Err(Problem::invalid("no orders came; use cofferdam-disk serve"));
    };
    match descriptors.into_iter().next() {
        Some(known) => {
            Nowhere::from(known)
                .enter()
                .map_err(doing("entering the empty mount namespace"))?;
            wire::send(socket.as_fd(), &Report::Left, &[])?;
        }
        None => {
            let made = Nowhere::make().map_err(doing("making an empty mount namespace"))?;
            wire::send(socket.as_fd(), &Report::Left, &[made.as_fd()])?;
        }
    }
    Ok(())
}

/// What the supervisor lends.
struct Lent {
    claim: Claim,
    key: OwnedFd,
    abort: Abort,
    channels: Vec<Channel>,
    rescue: Vec<OwnedFd>,
}

impl Lent {
    fn take(descriptors: Vec<OwnedFd>, channels: usize, rescue: usize) -> Result<Self> {
        let mut descriptors = descriptors.into_iter();
        let mut next = || {
            descriptors
                .next()
                .ok_or_else(|| Problem::internal("the supervisor sent too few descriptors"))
        };
        let claim = Claim::from_descriptors(next()?, next()?);
        let (key, abort) = (next()?, Abort::from(next()?));
        let channels = (0..channels)
            .map(|_| next().map(Channel::from))
            .collect::<Result<Vec<_>>>()?;
        let rescue = (0..rescue).map(|_| next()).collect::<Result<Vec<_>>>()?;
        Ok(Lent {
            claim,
            key,
            abort,
            channels,
            rescue,
        })
    }
}

/// Gives up every right that serving does not need, before the store is looked at; answers what could not be given up, or be had.
fn confine(claim: &Claim) -> Result<Vec<String>> {
    let [root, _] = claim.descriptors();
    let report = Confinement {
        beneath: &[root],
        calls: Calls::of_a_file_server(),
        files: Strictness::BestEffort,
    }
    .apply()
    .map_err(doing("confining the worker"))?;
    Ok(report
        .lacking()
        .iter()
        .map(|(measure, why)| format!("not confined as it should be: {measure}: {why}"))
        .collect())
}

fn keeper(volume: &Arc<Volume<Directory>>, socket: &OwnedFd) -> Result<Keeper<Directory>> {
    let socket = socket
        .try_clone()
        .map_err(doing("starting the volume's keeper"))?;
    let remember = Box::new(move |witness: Witness| {
        drop(wire::send(
            socket.as_fd(),
            &Report::Witness(witness.to_string()),
            &[],
        ));
    });
    Keeper::start(Arc::clone(volume), remember).map_err(doing("starting the volume's keeper"))
}

/// Waits for the order to close, or for the connection's end; says every second that all is well, while it is.
fn until_enough(
    socket: &OwnedFd,
    volume: &Volume<Directory>,
    serving: &Serving,
    rotation: &mut RotationTold,
    patience: Duration,
    outlives: bool,
) -> Result<()> {
    let mut heard = Some(socket.as_fd());
    loop {
        let waited = wait(heard, serving.ended())?;
        if waited.ended {
            return Ok(());
        }
        if waited.spoken
            && let Some(from) = heard
        {
            match wire::receive::<Order>(from)? {
                Some((Order::Close, _)) => return Ok(()),
                Some((Order::Rotate, key)) => {
                    let begun = alive_meanwhile(socket, patience * LONGER, || rotate(volume, key));
                    // Nothing is said of one that has not begun: it would be taken for one that has ended.
                    if refusing(from, begun) {
                        rotation.tell(from, volume);
                    }
                }
                Some((Order::Grow(bytes), _)) => {
                    let grow = || volume.grow(bytes).map_err(of_fault);
                    let grown = alive_meanwhile(socket, patience * LONGER, grow);
                    if refusing(from, grown) {
                        drop(wire::send(from, &Report::Grown, &[]));
                    }
                }
                Some((Order::Leave | Order::Serve { .. }, _)) => {}
                None if outlives => heard = None,
                // Nobody could take the disk back any more: whoever uses it gets `EIO`.
                None => {
                    let abort = serving.abort_handle().and_then(|abort| abort.abort());
                    return abort.map_err(doing("ending the disk"));
                }
            }
        }
        let Some(to) = heard else {
            continue;
        };
        rotation.tell_news(to, volume);
        for fault in volume.take_damage() {
            drop(wire::send(to, &of_damage(&fault), &[]));
        }
        if serving.longest() < patience {
            drop(wire::send(to, &Report::Alive, &[]));
        }
    }
}

/// Begins a rotation.
fn rotate(volume: &Volume<Directory>, descriptors: Vec<OwnedFd>) -> Result<()> {
    let pipe = descriptors
        .into_iter()
        .next()
        .ok_or_else(|| Problem::internal("no key came with the order"))?;
    let key = VolumeKey::read(File::from(pipe)).map_err(doing("taking the new key"))?;
    volume.rotate(key).map_err(of_fault)
}

/// Tells the supervisor where an order could not be carried out; answers whether it was.
fn refusing(to: BorrowedFd<'_>, done: Result<()>) -> bool {
    match done {
        Ok(()) => true,
        Err(problem) => {
            drop(wire::send(to, &Report::Refused(problem), &[]));
            false
        }
    }
}

/// What the supervisor was told of the rotation.
#[derive(Debug, Default)]
struct RotationTold(bool);

impl RotationTold {
    /// Tells how far it is.
    fn tell(&mut self, to: BorrowedFd<'_>, volume: &Volume<Directory>) {
        let rotation = volume.rotation();
        self.0 = rotation.is_some();
        drop(wire::send(to, &Report::Rotation(rotation.map(in_bytes)), &[]));
    }

    /// The same, where there is one, or has been until now.
    fn tell_news(&mut self, to: BorrowedFd<'_>, volume: &Volume<Directory>) {
        if self.0 {
            self.tell(to, volume);
        }
    }
}

fn in_bytes(rotation: Rotation) -> disk::Rotation {
    let bytes = |cells: u64| cells.saturating_mul(BLOCK as u64);
    disk::Rotation {
        left: bytes(rotation.left),
        all: bytes(rotation.all),
        damaged: bytes(rotation.damaged),
    }
}

fn of_damage(fault: &Fault) -> Report {
    Report::Fault {
        what: fault.to_string(),
        tampering: matches!(fault, Fault::Corrupt { .. } | Fault::RolledBack { .. }),
    }
}

/// Whether the store holds the volume that is meant; nothing is written to another one.
fn holds(store: &Directory, keys: &Keys, expected: &str) -> Result<()> {
    let found = identify(store, Some(keys)).map_err(of_fault)?.volume;
    let found: String = found.iter().map(|byte| format!("{byte:02x}")).collect();
    if found == expected {
        return Ok(());
    }
    Err(
        Problem::corrupt(format!("the store holds the volume {found}, and not {expected}"))
            .remedy("put the store back to where it belongs, and look who can write to it"),
    )
}

/// Does what takes its time, and says every second that all is well: at most for as long as `limit`.
fn alive_meanwhile<T>(socket: &OwnedFd, limit: Duration, work: impl FnOnce() -> T) -> T {
    thread::scope(|scope| {
        let (done, is_done) = mpsc::channel::<()>();
        let begun = Instant::now();
        scope.spawn(move || {
            while is_done.recv_timeout(Duration::from_secs(1)) == Err(mpsc::RecvTimeoutError::Timeout)
                && begun.elapsed() < limit
            {
                drop(wire::send(socket.as_fd(), &Report::Alive, &[]));
            }
        });
        let result = work();
        drop(done);
        result
    })
}

struct Waited {
    spoken: bool,
    ended: bool,
}

fn wait(socket: Option<BorrowedFd<'_>>, ended: BorrowedFd<'_>) -> Result<Waited> {
    let mut both = vec![PollFd::from_borrowed_fd(ended, PollFlags::IN)];
    both.extend(socket.map(|socket| PollFd::from_borrowed_fd(socket, PollFlags::IN)));
    match rustix::event::poll(&mut both, Some(&RHYTHM)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(error) => return Err(doing("waiting for orders")(error.into())),
    }
    let came = |index: usize| both.get(index).is_some_and(|which| !which.revents().is_empty());
    Ok(Waited {
        ended: came(0),
        spoken: came(1),
    })
}
