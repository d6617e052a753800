//! What people see: answers and errors of every verb held against `tests/golden`, and how serving ends.
//! `BLESS=1 cargo test -p cofferdam-disk-server --test real` writes the files anew.

use crate::{
    ground::{alone, program, volume},
    transcript::Transcripts,
};
use e2e::{
    Outcome,
    command::{finish, run},
    disk::{Server, Volume, volume::BACK},
    failure::ensure,
    process::signal,
};
use rustix::process::Signal;
use std::{
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::Path,
    process::Command,
};

#[test]
fn verbs_answer_as_agreed() {
    alone(|place| {
        let mut seen = Transcripts::new(place);
        seen.run(
            "create",
            "create /srv/disk --size 16M --key-file /srv/key --new-key",
        )?;
        seen.run(
            "create-json",
            "create /srv/plain --size 16M --key-file /srv/key --no-filesystem --json",
        )?;
        seen.run("info", "info /srv/plain")?;
        seen.run("info-verified", "info /srv/plain --key-file /srv/key")?;
        seen.run("info-json", "info /srv/plain --key-file /srv/key --json")?;
        seen.run("check", "check /srv/plain --key-file /srv/key")?;
        seen.run("check-json", "check /srv/plain --key-file /srv/key --json")?;
        seen.run("help", "--help")?;
        for verb in ["create", "serve", "check", "info"] {
            seen.run(&format!("help-{verb}"), &format!("{verb} --help"))?;
        }
        seen.end()
    });
}

#[test]
fn errors_are_as_agreed_and_change_nothing() {
    alone(|place| {
        let mut seen = Transcripts::new(place);
        let volume = Volume::at(place, &program(), &place.path("disk"))?;
        volume.make("16M", &["--no-filesystem"])?;
        fs::write(place.path("other-key"), [7; 32])?;
        fs::set_permissions(place.path("other-key"), Permissions::from_mode(0o600))?;
        fs::write(place.path("open-key"), [7; 32])?;
        fs::set_permissions(place.path("open-key"), Permissions::from_mode(0o644))?;
        fs::write(place.path("short-key"), [7; 31])?;
        fs::set_permissions(place.path("short-key"), Permissions::from_mode(0o600))?;
        let full = place.directory("full")?;
        fs::write(full.join("file"), "precious")?;
        place.directory("empty")?;
        for (name, line) in [
            ("create-exists", "create /srv/disk --size 16M --key-file /srv/key"),
            (
                "create-not-empty",
                "create /srv/full --size 16M --key-file /srv/key",
            ),
            (
                "create-not-empty-new-key",
                "create /srv/full --size 16M --key-file /srv/new-key --new-key",
            ),
            (
                "create-key-exists",
                "create /srv/new --size 16M --key-file /srv/key --new-key",
            ),
            (
                "create-no-key",
                "create /srv/new --size 16M --key-file /srv/no-key",
            ),
            ("create-small", "create /srv/new --size 100K --key-file /srv/key"),
            ("create-odd", "create /srv/new --size 2000001 --key-file /srv/key"),
            (
                "create-no-size",
                "create /srv/new --size large --key-file /srv/key",
            ),
            (
                "create-no-parent",
                "create /srv/no/new --size 16M --key-file /srv/key",
            ),
            ("serve-missing", "serve /srv/no --key-file /srv/key"),
            ("serve-no-store", "serve /srv/full --key-file /srv/key"),
            ("serve-no-key", "serve /srv/disk --key-file /srv/no-key"),
            ("serve-open-key", "serve /srv/disk --key-file /srv/open-key"),
            ("serve-short-key", "serve /srv/disk --key-file /srv/short-key"),
            ("serve-key-directory", "serve /srv/disk --key-file /srv/full"),
            ("serve-wrong-key", "serve /srv/disk --key-file /srv/other-key"),
            (
                "serve-wrong-key-json",
                "serve /srv/disk --key-file /srv/other-key --json",
            ),
            (
                "serve-no-mount-point",
                "serve /srv/disk --key-file /srv/key --mount /srv/no",
            ),
            (
                "serve-no-filesystem",
                "serve /srv/disk --key-file /srv/key --mount /srv/empty",
            ),
            ("check-wrong-key", "check /srv/disk --key-file /srv/other-key"),
            ("check-no-store", "check /srv/full --key-file /srv/key"),
            ("info-wrong-key", "info /srv/disk --key-file /srv/other-key"),
            ("info-no-store", "info /srv/full"),
            ("work-by-hand", "work"),
            ("no-verb", ""),
        ] {
            seen.run(name, line)?;
        }
        ensure(fs::read(full.join("file"))? == b"precious", || {
            "changed".to_owned()
        })?;
        ensure(fs::read_dir(&full)?.count() == 1, || {
            "something was added".to_owned()
        })?;
        for left in ["new", "new-key"] {
            ensure(!place.path(left).exists(), || format!("{left} was left"))?;
        }
        volume.store_is_sound()?;
        let mut server = volume.serve_device()?;
        seen.run("serve-busy", "serve /srv/disk --key-file /srv/key")?;
        seen.run("check-busy", "check /srv/disk --key-file /srv/key")?;
        seen.run("info-busy", "info /srv/disk")?;
        server.stop()?;
        seen.end()
    });
}

#[test]
fn every_golden_file_has_its_case() {
    let cases = include_str!("command_line.rs");
    for entry in fs::read_dir(crate::transcript::golden()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.strip_suffix(".txt").unwrap();
        let verb = name.strip_prefix("help-").unwrap_or(name);
        assert!(cases.contains(&format!("\"{verb}\"")), "{name}");
    }
}

#[test]
fn signals_end_serving_in_peace() {
    alone(|place| {
        let volume = volume(place, "64M")?;
        let mut seen = Transcripts::new(place);
        for (name, which) in [
            ("served-term", Signal::TERM),
            ("served-int", Signal::INT),
            ("served-hup", Signal::HUP),
        ] {
            fs::remove_file(volume.mount.join("file")).err();
            let mut server = in_a_group(&volume)?;
            fs::write(volume.mount.join("file"), name)?;
            // As the end of a service does it: to every process; and a terminal to the foreground's.
            signal(server.worker()?, which)?;
            let group = rustix::process::Pid::from_raw(i32::try_from(server.supervisor())?);
            rustix::process::kill_process_group(group.expect("not 0"), which)?;
            let ended = server.wait()?;
            let line = server.line().map(|line| line.to_string()).unwrap_or_default();
            seen.compare(
                name,
                &format!("--- stdout\n{line}\n--- stderr\n{}--- {ended}\n", server.log()),
            )?;
            ensure(!volume.is_mounted()?, || "still mounted".to_owned())?;
            let info = finish(volume.command("info").arg("--json"))?.ok()?.json()?;
            ensure(info.get("clean") == Some(&true.into()), || info.to_string())?;
        }
        volume.is_sound()?;
        seen.end()
    });
}

#[test]
fn a_mount_in_use_is_unmounted_with_the_next_signal() {
    alone(|place| {
        let volume = volume(place, "64M")?;
        let mut server = volume.serve(&[])?;
        let user = fs::File::create(volume.mount.join("file"))?;
        signal(server.supervisor(), Signal::TERM)?;
        e2e::process::until("it says so", std::time::Duration::from_secs(60), || {
            server.log().contains("is still in use; end whoever uses it")
        })?;
        ensure(!server.has_ended(), || server.log())?;
        drop(user);
        server.stop()
    });
}

/// Served by a process group of its own.
fn in_a_group(volume: &Volume) -> Outcome<Server> {
    let mut command: Command = volume.command("serve");
    // By itself it is as quick as this machine.
    command
        .args(BACK)
        .arg("--mount")
        .arg(&volume.mount)
        .process_group(0);
    Server::start(&mut command, &volume.logs)
}

#[test]
fn an_older_copy_of_a_store_is_refused() {
    alone(|place| {
        let volume = volume(place, "64M")?;
        let (older, newer) = (place.path("older"), place.path("newer"));
        let witness = place.path("witness").to_string_lossy().into_owned();
        let remembering = ["--witness", &witness];
        let mut server = volume.serve(&remembering)?;
        fs::write(volume.mount.join("file"), "old")?;
        server.stop()?;
        run("cp", &[Path::new("-a"), &volume.store, &older])?.ok()?;
        let mut server = volume.serve(&remembering)?;
        fs::write(volume.mount.join("file"), "new")?;
        server.stop()?;
        fs::rename(&volume.store, &newer)?;
        fs::rename(&older, &volume.store)?;
        for verb in ["serve", "check"] {
            let mut command = volume.command(verb);
            command.args(remembering);
            finish(&command)?.refused(&["the store is older than its witness"])?;
        }
        fs::remove_dir_all(&volume.store)?;
        fs::rename(&newer, &volume.store)?;
        let mut server = volume.serve(&remembering)?;
        let found = fs::read(volume.mount.join("file"))?;
        ensure(found == b"new", || String::from_utf8_lossy(&found).into_owned())?;
        server.stop()
    });
}
