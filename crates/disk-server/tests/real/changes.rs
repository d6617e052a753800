//! Another key and a larger disk, on the whole stack, under load, with workers and servers killed in the middle.

use crate::{
    ground::{alone, volume},
    load::{fio, fio_until},
    open::{Opened, file, made, open, open_rotating, write_durably},
};
use cofferdam_linux::packet;
use cofferdam_model::{
    ErrorKind,
    disk::{Answer, Order, PACKET_MAX},
};
use e2e::{
    Outcome,
    disk::{Place, Volume, server::children},
    failure::{During, Failure, ensure},
    process::until,
};
use rustix::fs::{Mode, OFlags};
use std::{
    fs::{self, OpenOptions},
    io::{Read, Write},
    os::{fd::AsFd, unix::fs::OpenOptionsExt},
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(180);

/// Puts a new key in the place of the volume's, which is moved aside.
fn new_key(place: &Place, volume: &Volume) -> Outcome<PathBuf> {
    let before = place.path("key-before");
    fs::rename(&volume.key, &before)?;
    let mut key = [0; 32];
    fs::File::open("/dev/urandom")?.read_exact(&mut key)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&volume.key)?;
    file.write_all(&key)?;
    Ok(before)
}

#[test]
fn a_rotation_under_load_outlives_killed_workers_and_a_killed_server() {
    alone(|place| {
        let volume = volume(place, "1G")?;
        let mut server = volume.serve(&[])?;
        fio(&volume.mount, 48)?;
        server.stop()?;
        let before = new_key(place, &volume)?;
        let both = ["--previous-key-file", before.to_str().during("a path")?];
        let mut server = volume.serve(&both)?;
        let enough = &AtomicBool::new(false);
        thread::scope(|scope| -> Outcome {
            let fio = scope.spawn(|| fio_until(&volume.mount, 24, enough));
            let killed = (0..2).try_for_each(|_| {
                thread::sleep(Duration::from_millis(120));
                server.kill_worker()
            });
            enough.store(true, Ordering::SeqCst);
            fio.join().expect("fio's thread panicked")?;
            killed
        })?;
        // Whatever is left of the rotation, the next server ends it.
        server.kill()?;
        volume.unmount()?;
        let mut server = volume.serve(&both)?;
        until("nothing is under the key before", PATIENCE, || {
            server.log().contains("needed no longer")
        })
        .during(server.log())?;
        fio(&volume.mount, 24)?;
        server.stop()?;
        volume.is_sound()?;
        // The key before opens nothing.
        fs::rename(&before, &volume.key)?;
        let refused = volume.check()?;
        ensure(
            !refused.is_ok() && refused.said().contains("not the volume's key"),
            || refused.said(),
        )
    });
}

impl Opened {
    fn rotate(&self, key: &[u8]) -> Outcome<Answer> {
        let (out, into) = rustix::pipe::pipe()?;
        let order = serde_json::to_vec(&Order::Rotate)?;
        packet::send(self.socket.as_fd(), &order, &[out.as_fd()])?;
        fs::File::from(into).write_all(key)?;
        let packet = packet::receive(self.socket.as_fd(), PACKET_MAX)?;
        serde_json::from_slice(&packet.bytes).during("an answer")
    }
}

#[test]
fn a_server_rotates_by_order_once_and_says_how_far_it_is() {
    alone(|place| {
        let volume = made(place)?;
        let mut opened = open(place, &volume)?;
        ensure(opened.ask(Order::Rotation)?.0 == Answer::Rotation(None), || {
            "a rotation before there is one".to_owned()
        })?;
        let root = opened.mount(Order::Root)?;
        drop(write_durably(&root, "file", &[7; 20 << 20])?);
        let before = fs::read(&volume.key)?;
        new_key(place, &volume)?;
        let key = fs::read(&volume.key)?;
        ensure(matches!(opened.rotate(&key[1..])?, Answer::Refused(_)), || {
            "31 bytes were taken for a key".to_owned()
        })?;
        let begun = opened.rotate(&key)?;
        ensure(begun == Answer::Rotating, || format!("{begun:?}"))?;
        // A worker that is killed now is followed by one that has both keys.
        let worker = children(opened.child.id());
        for pid in worker {
            let pid = rustix::process::Pid::from_raw(i32::try_from(pid)?).during("a pid")?;
            rustix::process::kill_process(pid, rustix::process::Signal::KILL)?;
        }
        drop(write_durably(&root, "other", &[8; 1 << 20])?);
        until("nothing is under the key before", PATIENCE, || {
            let rotation = opened.ask(Order::Rotation);
            matches!(rotation, Ok((Answer::Rotation(None), _)))
        })?;
        // Asked once more for the same key, it has nothing to do.
        let again = opened.rotate(&key)?;
        ensure(again == Answer::Rotated, || format!("{again:?}"))?;
        drop(root);
        opened.ends_after(Order::Close)?;
        volume.is_sound()?;
        // One that has ended is opened with both all the same, and with neither alone that is not the volume's.
        let mut opened = open_rotating(place, &volume, &before, "begun")?;
        let mut text = Vec::new();
        file(opened.mount(Order::Root)?, "file", OFlags::RDONLY)?.read_to_end(&mut text)?;
        ensure(text == [7; 20 << 20], || "another content".to_owned())?;
        opened.ends_after(Order::Close)
    });
}

/// Takes the right to make files in the store away, or gives it back: chattr(1), which root has to obey too.
fn set_unchangeable(volume: &Volume, yes: bool) -> Outcome {
    let store = volume.store.to_string_lossy();
    e2e::command::run("chattr", &[if yes { "+i" } else { "-i" }, &*store])?
        .ok()
        .map(drop)
}

#[test]
fn a_rotation_that_the_store_refuses_is_not_taken_for_one_that_has_ended() {
    alone(|place| {
        let volume = made(place)?;
        let opened = open(place, &volume)?;
        let root = opened.mount(Order::Root)?;
        drop(write_durably(&root, "file", b"under the key before")?);
        let before = fs::read(&volume.key)?;
        new_key(place, &volume)?;
        let key = fs::read(&volume.key)?;
        // The head cannot be replaced.
        set_unchangeable(&volume, true)?;
        let refused = opened.rotate(&key);
        set_unchangeable(&volume, false)?;
        let refused = refused?;
        ensure(matches!(refused, Answer::Refused(_)), || format!("{refused:?}"))?;
        let rotation = opened.ask(Order::Rotation)?.0;
        ensure(matches!(rotation, Answer::Rotation(Some(_))), || {
            format!("{rotation:?}")
        })?;
        let again = opened.rotate(&key)?;
        ensure(again != Answer::Rotated, || format!("{again:?}"))?;
        // A store that failed is closed for good; what comes next has both keys.
        drop(root);
        drop(opened);
        until("the store is free", PATIENCE, || {
            open_rotating(place, &volume, &before, "announced").is_ok_and(|mut opened| {
                let mut text = Vec::new();
                let read = opened
                    .mount(Order::Root)
                    .and_then(|root| file(&root, "file", OFlags::RDONLY))
                    .is_ok_and(|mut file| file.read_to_end(&mut text).is_ok());
                read && text == b"under the key before" && opened.ends_after(Order::Close).is_ok()
            })
        })
    });
}

#[test]
fn a_disk_that_is_rotated_grows_and_is_shut_without_waiting_for_the_end() {
    alone(|place| {
        let volume = Volume::at(place, &crate::ground::program(), &place.path("store"))?;
        volume.make("2G", &["--volume", "00112233445566778899aabbccddeeff"])?;
        let mut opened = open(place, &volume)?;
        let root = opened.mount(Order::Root)?;
        drop(write_durably(&root, "file", &vec![7; 900 << 20])?);
        new_key(place, &volume)?;
        let begun = opened.rotate(&fs::read(&volume.key)?)?;
        ensure(begun == Answer::Rotating, || format!("{begun:?}"))?;
        let (grown, _) = opened.ask(Order::Grow(3 << 30))?;
        ensure(matches!(grown, Answer::Grown { .. }), || format!("{grown:?}"))?;
        drop(root);
        opened.ends_after(Order::Shut)?;
        let before = place.path("key-before");
        let info = e2e::command::run(
            crate::ground::program(),
            &[
                "info".as_ref(),
                volume.store.as_os_str(),
                "--key-file".as_ref(),
                volume.key.as_os_str(),
                "--previous-key-file".as_ref(),
                before.as_os_str(),
                "--json".as_ref(),
            ],
        )?
        .ok()?
        .json()?;
        let is_rotating = info.get("rotating").and_then(serde_json::Value::as_bool);
        ensure(is_rotating == Some(true), || {
            format!("it was waited for the whole of it: {info}")
        })?;
        let mut opened = open_rotating(place, &volume, &fs::read(&before)?, "begun")?;
        until("nothing is under the key before", PATIENCE, || {
            let rotation = opened.ask(Order::Rotation);
            matches!(rotation, Ok((Answer::Rotation(None), _)))
        })?;
        opened.ends_after(Order::Close)?;
        volume.is_sound()
    });
}

#[test]
fn a_store_from_before_the_rotation_is_refused_where_it_is_known_to_have_begun() {
    alone(|place| {
        let volume = made(place)?;
        let before = fs::read(&volume.key)?;
        new_key(place, &volume)?;
        match open_rotating(place, &volume, &before, "begun") {
            Err(failure) => ensure(failure.to_string().contains("an older head"), || {
                failure.to_string()
            }),
            Ok(_) => Err(Failure::new("it was opened")),
        }
    });
}

#[test]
fn disk_and_filesystem_grow_while_they_are_used() {
    alone(|place| {
        let volume = made(place)?;
        let mut opened = open(place, &volume)?;
        let root = opened.mount(Order::Root)?;
        let of = |fd: std::os::fd::BorrowedFd<'_>| -> Outcome<u64> {
            let facts = rustix::fs::fstatvfs(fd)?;
            Ok(facts.f_blocks * facts.f_frsize)
        };
        let small = of(root.as_fd())?;
        drop(write_durably(&root, "file", &[7; 8 << 20])?);
        for wrong in [32 << 20, (64 << 20) + 1] {
            let refused = opened.refused(Order::Grow(wrong))?;
            ensure(refused.kind == ErrorKind::Invalid, || refused.to_string())?;
        }
        let (answer, _) = opened.ask(Order::Grow(256 << 20))?;
        let Answer::Grown { filesystem } = answer else {
            return Err(Failure::new(format!("{answer:?}")));
        };
        let may = rustix::thread::capabilities(None)?
            .effective
            .contains(rustix::thread::CapabilitySet::SYS_RESOURCE);
        ensure(filesystem == may, || {
            format!("{filesystem}, with the right to it: {may}")
        })?;
        let now = of(root.as_fd())?;
        ensure(if may { now > 3 * small } else { now == small }, || {
            format!("{small} {now}")
        })?;
        drop(write_durably(&root, "meanwhile", &[9; 1 << 20])?);
        drop(root);
        opened.ends_after(Order::Close)?;
        // Where it could not grow then, it has now.
        let mut opened = open(place, &volume)?;
        let root = opened.mount(Order::Root)?;
        let now = of(root.as_fd())?;
        ensure(now > 3 * small, || format!("{small} {now}"))?;
        drop(write_durably(&root, "large", &vec![1; 150 << 20])?);
        for (name, byte, length) in [("file", 7, 8 << 20), ("meanwhile", 9, 1 << 20)] {
            let mut text = Vec::new();
            file(&root, name, OFlags::RDONLY)?.read_to_end(&mut text)?;
            ensure(text == vec![byte; length], || format!("another {name}"))?;
        }
        rustix::fs::mkdirat(&root, "data", Mode::RWXU)?;
        drop(root);
        opened.ends_after(Order::Close)?;
        volume.is_sound()
    });
}
