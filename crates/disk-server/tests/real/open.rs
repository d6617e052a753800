//! `cofferdam-disk open`, as the daemon uses it: the key through a pipe, orders through a socket, mounts as descriptors.

use crate::ground::{alone, program};
use cofferdam_linux::{mount::DetachedMount, packet};
use cofferdam_model::{
    ErrorKind, Problem,
    disk::{Answer, Order, PACKET_MAX, Started},
};
use e2e::{
    Outcome,
    disk::{Place, Volume},
    failure::{During, Failure, ensure},
    process::until,
};
use rustix::fs::{Mode, OFlags};
use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

const ID: &str = "00112233445566778899aabbccddeeff";

/// A server, and the daemon's end of its socket.
pub(crate) struct Opened {
    pub(crate) child: Child,
    pub(crate) control: PathBuf,
    pub(crate) socket: OwnedFd,
}

impl Drop for Opened {
    /// It is in a mount namespace of its own, where the place does not find it.
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) fn made(place: &Place) -> Outcome<Volume> {
    let volume = Volume::at(place, &program(), &place.path("store"))?;
    volume.make("64M", &["--volume", ID])?;
    Ok(volume)
}

fn begin(place: &Place, volume: &Volume, id: &str) -> Outcome<(Child, Started)> {
    begin_with(place, volume, id, &[], &fs::read(&volume.key)?)
}

fn begin_with(
    place: &Place,
    volume: &Volume,
    id: &str,
    more: &[&str],
    keys: &[u8],
) -> Outcome<(Child, Started)> {
    let mut child = Command::new(program())
        .arg("open")
        .arg(&volume.store)
        .args(["--volume", id])
        .arg("--control")
        .arg(place.path("control"))
        .arg("--witness")
        .arg(place.path("witness"))
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(place.path("open.log"))?)
        .spawn()
        .during("cofferdam-disk")?;
    let mut input = child.stdin.take().during("its standard input")?;
    input.write_all(keys)?;
    drop(input);
    let mut line = String::new();
    BufReader::new(child.stdout.take().during("its standard output")?).read_line(&mut line)?;
    Ok((child, serde_json::from_str(&line).during(line.clone())?))
}

pub(crate) fn open(place: &Place, volume: &Volume) -> Outcome<Opened> {
    opened(place, begin(place, volume, ID)?)
}

/// Opened with the volume's key and the one before it.
pub(crate) fn open_rotating(place: &Place, volume: &Volume, before: &[u8], state: &str) -> Outcome<Opened> {
    let keys = [&fs::read(&volume.key)?, before].concat();
    opened(
        place,
        begin_with(place, volume, ID, &["--rotating", state], &keys)?,
    )
}

fn opened(place: &Place, (child, started): (Child, Started)) -> Outcome<Opened> {
    ensure(started == Started::Ready, || format!("{started:?}"))?;
    let control = place.path("control");
    let socket = connect(&control)?;
    Ok(Opened {
        child,
        control,
        socket,
    })
}

pub(crate) fn connect(control: &std::path::Path) -> Outcome<OwnedFd> {
    packet::connect(control, Duration::from_secs(60)).during("the socket for orders")
}

impl Opened {
    pub(crate) fn ask(&self, order: Order) -> Outcome<(Answer, Option<OwnedFd>)> {
        packet::send(self.socket.as_fd(), &serde_json::to_vec(&order)?, &[])?;
        let packet = packet::receive(self.socket.as_fd(), PACKET_MAX)?;
        Ok((
            serde_json::from_slice(&packet.bytes)?,
            packet.descriptors.into_iter().next(),
        ))
    }

    pub(crate) fn mount(&self, order: Order) -> Outcome<DetachedMount> {
        match self.ask(order)? {
            (Answer::Mount, Some(mount)) => Ok(mount.into()),
            (answer, _) => Err(Failure::new(format!("{order:?}: {answer:?}"))),
        }
    }

    pub(crate) fn refused(&self, order: Order) -> Outcome<Problem> {
        match self.ask(order)? {
            (Answer::Refused(problem), None) => Ok(problem),
            (answer, _) => Err(Failure::new(format!("{order:?}: {answer:?}"))),
        }
    }

    pub(crate) fn ends_after(&mut self, order: Order) -> Outcome {
        let (answer, _) = self.ask(order)?;
        ensure(answer == Answer::Closed, || format!("{order:?}: {answer:?}"))?;
        let code = self.child.wait()?;
        ensure(code.success(), || format!("ended with {code}"))?;
        ensure(!self.control.exists(), || "the socket is left".to_owned())
    }
}

pub(crate) fn file(directory: impl AsFd, name: &str, flags: OFlags) -> Outcome<File> {
    let opened = rustix::fs::openat(
        directory,
        name,
        flags | OFlags::CLOEXEC,
        Mode::from_raw_mode(0o600),
    );
    Ok(File::from(opened.during(name)?))
}

pub(crate) fn write_durably(mount: &DetachedMount, name: &str, text: &[u8]) -> Outcome<File> {
    let mut written = file(mount, name, OFlags::RDWR | OFlags::CREATE)?;
    written.write_all(text)?;
    written.sync_all()?;
    Ok(written)
}

#[test]
fn the_mount_is_in_no_mount_namespace_but_the_servers_own() {
    alone(|place| {
        let volume = made(place)?;
        let mut opened = open(place, &volume)?;
        let missing = opened.refused(Order::Data)?;
        ensure(missing.kind == ErrorKind::Missing, || missing.to_string())?;
        let root = opened.mount(Order::Root)?;
        rustix::fs::mkdirat(&root, "data", Mode::RWXU)?;
        drop(write_durably(&root, "data/file", b"sealed")?);
        let mut text = String::new();
        file(opened.mount(Order::Data)?, "file", OFlags::RDONLY)?.read_to_string(&mut text)?;
        ensure(text == "sealed", || text.clone())?;
        let server = opened.child.id().to_string();
        let mounts = |process: &str| fs::read_to_string(format!("/proc/{process}/mountinfo"));
        // By its device: other tests have disks of theirs open.
        let own = mounts(&server)?;
        let mount = own
            .lines()
            .find(|line| line.contains(" ext4 "))
            .during("its mount")?;
        let device = format!(" {} ", mount.split(' ').nth(2).during("its device")?);
        for entry in fs::read_dir("/proc")?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.parse::<u32>().is_ok() && name != server {
                let table = mounts(&name).unwrap_or_default();
                ensure(!table.contains(&device), || format!("process {name} has it"))?;
            }
        }
        let line = fs::read(format!("/proc/{server}/cmdline"))?;
        let key = fs::read(&volume.key)?;
        ensure(!line.windows(key.len()).any(|part| part == key), || {
            "the key is in the command line".to_owned()
        })?;
        drop(root);
        opened.ends_after(Order::Close)?;
        volume.is_sound()
    });
}

#[test]
fn a_daemon_that_comes_later_finds_it() {
    alone(|place| {
        let volume = made(place)?;
        let mut opened = open(place, &volume)?;
        drop(write_durably(&opened.mount(Order::Root)?, "file", b"before")?);
        opened.socket = connect(&opened.control)?;
        let mut text = String::new();
        file(opened.mount(Order::Root)?, "file", OFlags::RDONLY)?.read_to_string(&mut text)?;
        ensure(text == "before", || text.clone())?;
        opened.ends_after(Order::Close)
    });
}

#[test]
fn what_is_used_is_not_closed_and_goes_on() {
    alone(|place| {
        let volume = made(place)?;
        let mut opened = open(place, &volume)?;
        let root = opened.mount(Order::Root)?;
        let busy = opened.refused(Order::Close)?;
        ensure(busy.kind == ErrorKind::Busy, || busy.to_string())?;
        drop(write_durably(&root, "one", b"1")?);
        drop(write_durably(&opened.mount(Order::Root)?, "other", b"2")?);
        drop(root);
        opened.ends_after(Order::Close)?;
        volume.is_sound()
    });
}

#[test]
fn what_is_shut_can_be_neither_read_nor_written_by_who_has_it_open() {
    alone(|place| {
        let volume = made(place)?;
        let mut opened = open(place, &volume)?;
        let root = opened.mount(Order::Root)?;
        let mut held = write_durably(&root, "file", b"durable")?;
        opened.ends_after(Order::Shut)?;
        let mut byte = [0];
        let io = Some(rustix::io::Errno::IO.raw_os_error());
        let read = std::os::unix::fs::FileExt::read_at(&held, &mut byte, 0);
        ensure(
            read.as_ref().is_err_and(|error| error.raw_os_error() == io),
            || format!("read: {read:?}"),
        )?;
        let written = held.write(b"more");
        ensure(
            written.as_ref().is_err_and(|error| error.raw_os_error() == io),
            || format!("written: {written:?}"),
        )?;
        drop((held, root));
        let mut opened = open(place, &volume)?;
        let mut text = String::new();
        file(opened.mount(Order::Root)?, "file", OFlags::RDONLY)?.read_to_string(&mut text)?;
        ensure(text == "durable", || text.clone())?;
        opened.ends_after(Order::Close)?;
        volume.is_sound()
    });
}

#[test]
fn a_store_of_another_volume_is_refused_and_stays_as_it_is() {
    alone(|place| {
        let volume = made(place)?;
        let before = fs::read(volume.store.join("head"))?;
        let (mut child, started) = begin(place, &volume, "ffeeddccbbaa99887766554433221100")?;
        child.wait()?;
        let Started::Failed(problem) = started else {
            return Err(Failure::new("it was opened"));
        };
        ensure(
            problem.kind == ErrorKind::Corrupt && problem.message.contains(ID),
            || problem.to_string(),
        )?;
        ensure(fs::read(volume.store.join("head"))? == before, || {
            "the head was changed".to_owned()
        })
    });
}

#[test]
fn where_the_server_is_killed_nobody_reads_on_and_the_store_is_closed_in_peace() {
    alone(|place| {
        let volume = made(place)?;
        let mut opened = open(place, &volume)?;
        let root = opened.mount(Order::Root)?;
        let held = write_durably(&root, "file", b"durable")?;
        let later = write_durably(&root, "later", &[7; 1 << 20])?;
        rustix::fs::fadvise(&later, 0, None, rustix::fs::Advice::DontNeed)?;
        opened.child.kill()?;
        opened.child.wait()?;
        until(
            "what is not in memory is not read",
            Duration::from_secs(20),
            || std::os::unix::fs::FileExt::read_at(&later, &mut [0; 4096], 512 << 10).is_err(),
        )?;
        drop((held, later, root));
        until("the store is closed in peace", Duration::from_secs(60), || {
            volume.check().is_ok_and(|ran| ran.is_ok())
        })?;
        let mut opened = open(place, &volume)?;
        let mut text = String::new();
        file(opened.mount(Order::Root)?, "file", OFlags::RDONLY)?.read_to_string(&mut text)?;
        ensure(text == "durable", || text.clone())?;
        opened.ends_after(Order::Close)
    });
}
