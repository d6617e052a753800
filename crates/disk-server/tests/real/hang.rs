//! A worker that hangs is followed by another one; where none can follow, users get errors, and never wait for ever.

use crate::{
    ground::{alone, program, volume},
    load::{copy_until, tree},
    small_disk::{Frozen, small_disk},
};
use e2e::{
    Outcome,
    disk::{
        Server, Volume,
        ledger::{Ledger, Random},
        server::{children, has_gone},
    },
    failure::{During, ensure},
    process::{signal, until},
};
use rustix::{io::Errno, process::Signal};
use std::{fs, io, path::Path, process::Command, sync::atomic::AtomicBool, thread, time::Duration};

/// Seconds that a request may take in these tests.
const PATIENCE: [&str; 2] = ["--patience", "2"];

#[test]
fn a_worker_that_stands_still_is_followed_by_another() {
    alone(|place| {
        let volume = volume(place, "1G")?;
        let mut server = volume.serve(&PATIENCE)?;
        let source = place.directory("tree")?;
        tree(&source)?;
        let stopped = server.worker()?;
        signal(stopped, Signal::STOP)?;
        copy_until(&source, &volume.mount, &AtomicBool::new(true))?;
        ensure(has_gone(stopped), || "it still stands".to_owned())?;
        server.stop()?;
        ensure(server.log().contains("the worker: it hung"), || server.log())?;
        volume.is_sound()
    });
}

#[test]
fn without_a_successor_users_get_errors_and_the_mount_stays() {
    alone(|place| {
        let volume = volume(place, "1G")?;
        let mut server = volume.serve(&[])?;
        let mut ledger = Ledger::begin(&volume.mount)?;
        let (head, away) = (volume.store.join("head"), place.path("head"));
        let error = thread::scope(|scope| -> Outcome<io::Error> {
            let writer = scope.spawn(|| ledger.write(&volume.mount, &mut Random::seeded(1)));
            fs::rename(&head, &away)?;
            signal(server.worker()?, Signal::KILL)?;
            Ok(writer.join().expect("the writer"))
        })?;
        ends_with_errors(
            &volume,
            &mut server,
            &error,
            &["the head is damaged or was tampered with: there is none"],
        )?;
        fs::rename(&away, &head)?;
        volume.unmount()?;
        let mut server = volume.serve(&[])?;
        ledger.compare(&volume.mount)?;
        server.stop()?;
        volume.is_sound()
    });
}

#[test]
fn a_worker_that_ends_again_and_again_is_given_up() {
    alone(|place| {
        let volume = volume(place, "256M")?;
        let mut server = volume.serve(&[])?;
        let mut ledger = Ledger::begin(&volume.mount)?;
        let error = thread::scope(|scope| -> Outcome<io::Error> {
            let writer = scope.spawn(|| ledger.write(&volume.mount, &mut Random::seeded(1)));
            while !server.has_ended() {
                for worker in children(server.supervisor()) {
                    // It may have ended by itself meanwhile.
                    drop(signal(worker, Signal::KILL));
                }
                thread::sleep(Duration::from_millis(100));
            }
            Ok(writer.join().expect("the writer"))
        })?;
        ends_with_errors(&volume, &mut server, &error, &["the worker: it ended"])?;
        volume.unmount()?;
        let mut server = volume.serve(&[])?;
        ledger.compare(&volume.mount)?;
        server.stop()?;
        volume.is_sound()
    });
}

#[test]
fn a_mount_namespace_that_ends_with_its_server_does_not_wait_for_it() {
    alone(|place| {
        let volume = volume(place, "256M")?;
        for _ in 0..3 {
            let mut command = Command::new("unshare");
            command.args(["--mount", "--propagation", "private", "--"]);
            command.arg(&volume.program).arg("serve").arg(&volume.store);
            command.arg("--key-file").arg(&volume.key);
            command.arg("--mount").arg(&volume.mount);
            let mut server = Server::start(&mut command, &volume.logs)?;
            // Nobody else lives there, so the mount is seen through the server's own eyes.
            let root = format!("/proc/{}/root", server.supervisor());
            let mount = Path::new(&root).join(volume.mount.strip_prefix("/")?);
            ensure(!volume.is_mounted()?, || "mounted here too".to_owned())?;
            fs::write(mount.join("dirty"), vec![7; 16 << 20])?;
            // The worker first, and no other: what unmounts finds nobody who serves.
            let worker = server.worker()?;
            signal(server.supervisor(), Signal::STOP)?;
            signal(worker, Signal::KILL)?;
            until("the worker is gone", Duration::from_secs(60), || has_gone(worker))?;
            server.end_supervisor()?;
        }
        volume.store_is_sound()
    });
}

#[test]
fn a_store_that_stands_still_ends_in_errors() {
    alone(|place| {
        let small = small_disk(place, 400)?;
        let volume = Volume::at(place, &program(), &small.join("store"))?;
        volume.make("256M", &[])?;
        let mut server = volume.serve(&PATIENCE)?;
        let mut ledger = Ledger::begin(&volume.mount)?;
        let worker = server.worker()?;
        let frozen = Frozen::new(&small)?;
        let error = ledger.write(&volume.mount, &mut Random::seeded(1));
        let said = ["cannot be ended", "the filesystem that the store lies on"];
        ends_with_errors(&volume, &mut server, &error, &said)?;
        drop(frozen);
        until("the worker ends", Duration::from_secs(60), || has_gone(worker))?;
        volume.unmount()?;
        let mut server = volume.serve(&[])?;
        ledger.compare(&volume.mount)?;
        server.stop()?;
        volume.is_sound()
    });
}

/// A writer got an error, the supervisor has ended and says why and what to do, and nobody finds a plain directory.
fn ends_with_errors(volume: &Volume, server: &mut Server, error: &io::Error, said: &[&str]) -> Outcome {
    let is_of_a_dead_disk = |error: &io::Error| {
        [Errno::IO, Errno::ROFS]
            .map(|errno| Some(errno.raw_os_error()))
            .contains(&error.raw_os_error())
    };
    ensure(is_of_a_dead_disk(error), || format!("a writer got {error}"))?;
    let ended = server.wait()?;
    let log = server.log();
    ensure(ended.code() == Some(1), || format!("{ended}: {log}"))?;
    for words in said
        .iter()
        .chain(&["unmount what is mounted on it, and serve it again"])
    {
        ensure(log.contains(words), || format!("not said: {words}: {log}"))?;
    }
    ensure(volume.is_mounted()?, || "the mount is gone".to_owned())?;
    // What is not synced may be taken by the page cache.
    let late = fs::File::create(volume.mount.join("late"))
        .and_then(|file| file.sync_all())
        .err()
        .during("an error")?;
    ensure(is_of_a_dead_disk(&late), || format!("a late writer got {late}"))
}
