//! Sealed volumes, which every volume is unless somebody wants a plain one: nothing of what is written inside is anywhere on
//! the host, and nothing but the deed that the tenant has signed opens them.

use super::{Scene, cases};
use crate::{
    Outcome, Ran,
    command::{run, same},
    failure::{During, ensure},
    process::{signal, until},
};
use rustix::process::Signal;
use serde_json::Value;
use std::{
    fs,
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};

cases!("sealed":
    what_is_written_inside_is_nowhere_on_the_host,
    it_is_closed_with_the_last_container_and_opens_again,
    two_containers_share_one_server,
    the_daemon_finds_it_again_after_a_crash,
    its_size_is_its_quota,
    a_deed_that_was_changed_opens_nothing,
    an_older_deed_opens_nothing,
    another_volumes_store_or_deed_opens_nothing,
    an_older_copy_of_the_store_opens_nothing,
    a_store_that_was_tampered_with_says_so,
    a_registry_that_lies_grants_nothing,
    a_registry_that_lies_lets_nobody_exec,
    volumes_that_are_made_at_once_have_one_tenants_key,
    a_host_without_its_identity_opens_nothing,
    a_volume_moves_to_another_host_with_its_grants,
    a_host_that_is_no_recipient_does_not_get_it_open,
    who_was_taken_away_as_a_recipient_cannot_open_what_comes_later,
    a_killed_server_ends_in_errors_and_opens_again,
    seal_now_takes_it_from_who_has_it_open,
    revoke_now_takes_it_from_who_has_it_open,
    removing_it_destroys_its_keys_first,
    a_making_cut_short_leaves_nothing,
    the_ledger_has_it_all,
    a_ledger_that_was_changed_says_where,
    a_ledger_that_cannot_be_written_closes_the_road,
);

/// Something that is nowhere by chance.
const MARKER: &str = "cofferdam-marker-7d1f63";

/// A volume with an app that writes the marker and then waits.
fn marked(scene: &Scene) -> Outcome<String> {
    let volume = scene.volume("data", &["--size", "64M"])?;
    scene.script("writer", &volume, &script(), &["--exec"])?;
    Ok(volume)
}

fn script() -> String {
    format!("echo {MARKER} > /data/marker && sync && echo written && exec sleep 1000")
}

/// Starts the writer and waits until it has written; answers the container's id.
fn write(scene: &Scene, volume: &str) -> Outcome<String> {
    let mount = format!("{volume}:/data");
    let script = script();
    let line = [
        "run",
        "--detach",
        "--runtime",
        "cofferdam",
        "-v",
        &mount,
        "tiny:1",
        "sh",
        "-c",
        &script,
    ];
    let id = scene.docker(&line)?.ok()?.text();
    until("the marker is written", Duration::from_secs(10), || {
        scene
            .docker(&["logs", &id])
            .is_ok_and(|logs| logs.out.contains("written"))
    })
    .during(scene.docker(&["logs", &id])?.said())?;
    Ok(id)
}

/// Ends the writer and waits until the volume is closed.
fn end(scene: &Scene, id: &str) -> Outcome {
    scene.docker(&["rm", "--force", id])?.ok()?;
    scene.nothing_is_held()
}

fn holds_marker(path: &Path) -> Outcome<bool> {
    let ran = run("grep", &["-rqaF", MARKER, &path.to_string_lossy()])?;
    Ok(ran.is_ok())
}

fn what_is_written_inside_is_nowhere_on_the_host(scene: &mut Scene) -> Outcome {
    let volume = marked(scene)?;
    let id = write(scene, &volume)?;
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    ensure(!table.contains("/dev/loop"), || {
        format!("the host's mount table shows the disk:\n{table}")
    })?;
    // Whoever consumes the loop devices: the disk server's own namespace, and the container's.
    let pid = scene
        .docker(&["inspect", "-f", "{{.State.Pid}}", &id])?
        .ok()?
        .text();
    let server = scene.server_of(&volume)?.to_string();
    for entry in fs::read_dir("/proc")?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.parse::<u32>().is_err() || name == server {
            continue;
        }
        let table = fs::read_to_string(format!("/proc/{name}/mountinfo")).unwrap_or_default();
        let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
        ensure(
            !table.contains(" ext4 /dev/loop") || namespace(&name) == namespace(&pid) || is_shim(&name),
            || format!("process {name} has it mounted:\n{table}"),
        )?;
    }
    for place in [
        "/var/lib/cofferdam",
        "/run/cofferdam",
        "/var/lib/docker/containers",
    ] {
        // The script itself, with the marker in it, is what Docker and the registry know of the container.
        if place == "/var/lib/cofferdam" {
            let store = scene.directory_of(&volume)?;
            ensure(!holds_marker(&store)?, || "the marker is in the store".to_owned())?;
        } else if place == "/run/cofferdam" {
            ensure(!holds_marker(Path::new(place))?, || {
                format!("the marker is in {place}")
            })?;
        }
    }
    end(scene, &id)?;
    let store = scene.directory_of(&volume)?;
    ensure(!holds_marker(&store)?, || {
        "the marker is in the closed store".to_owned()
    })
}

/// The engine's shim is in the mount namespace that the runtime made.
fn is_shim(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("containerd-shim"))
}

fn it_is_closed_with_the_last_container_and_opens_again(scene: &mut Scene) -> Outcome {
    let volume = marked(scene)?;
    for _ in 0..3 {
        let id = write(scene, &volume)?;
        scene.server_of(&volume)?;
        end(scene, &id)?;
        ensure(scene.server_of(&volume).is_err(), || {
            "its server goes on".to_owned()
        })?;
    }
    let reader = format!("grep -c {MARKER} /data/marker");
    scene.script("reader", &volume, &reader, &["--read-only"])?;
    scene
        .run(&volume, &[], "tiny:1", &["sh", "-c", &reader])?
        .ok()?
        .says(&["1"])?;
    Ok(())
}

fn two_containers_share_one_server(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &["--access", "shared", "--size", "64M"])?;
    scene.keeper(&volume, &[])?;
    let first = scene.hold(&volume, &["--user", "1000"])?;
    let server = scene.server_of(&volume)?;
    let second = scene.hold(&volume, &["--user", "1001"])?;
    same("the server", scene.server_of(&volume)?, server)?;
    scene.docker(&["rm", "--force", &first])?.ok()?;
    until("one holder is left", Duration::from_secs(5), || {
        scene.attachments().is_ok_and(|held| held.len() == 1)
    })?;
    same("the server", scene.server_of(&volume)?, server)?;
    scene.docker(&["rm", "--force", &second])?.ok()?;
    scene.nothing_is_held()
}

fn the_daemon_finds_it_again_after_a_crash(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &["--access", "shared", "--size", "64M"])?;
    scene.keeper(&volume, &[])?;
    let first = scene.hold(&volume, &["--user", "1000"])?;
    let server = scene.server_of(&volume)?;
    scene.host.daemon.kill()?;
    scene.host.daemon.start()?;
    let second = scene.hold(&volume, &["--user", "1001"])?;
    same("the server", scene.server_of(&volume)?, server)?;
    scene.host.daemon.stop()?;
    scene.docker(&["kill", &first, &second])?.ok()?;
    scene.host.daemon.start()?;
    scene.nothing_is_held()
}

fn its_size_is_its_quota(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &["--size", "32M"])?;
    let fill = "dd if=/dev/zero of=/data/fill bs=1M count=64; ls /data/fill && rm /data/fill && echo x > /data/x && cat /data/x";
    scene.script("filler", &volume, fill, &[])?;
    let ran = scene.run(&volume, &[], "tiny:1", &["sh", "-c", fill])?.ok()?;
    ensure(ran.said().contains("No space left"), || ran.said())?;
    ran.says(&["x"])?;
    Ok(())
}

/// The deed as JSON.
fn deed(scene: &Scene, volume: &str) -> Outcome<(std::path::PathBuf, Vec<u8>)> {
    let path = scene.directory_of(volume)?.join("deed.json");
    let bytes = fs::read(&path)?;
    Ok((path, bytes))
}

fn opens_with(scene: &Scene, volume: &str, refusal: &[&str]) -> Outcome {
    let ran = scene.run_usual(volume)?;
    ran.refused(&[["cofferdam:"].as_slice(), refusal].concat())?;
    ensure(scene.server_of(volume).is_err(), || {
        "it is open all the same".to_owned()
    })
}

fn a_deed_that_was_changed_opens_nothing(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let (path, bytes) = deed(scene, &volume)?;
    let mut changed = bytes.clone();
    let at = changed.len() / 2;
    if let Some(byte) = changed.get_mut(at) {
        *byte ^= 1;
    }
    fs::write(&path, &changed)?;
    opens_with(scene, &volume, &["deed"])?;
    fs::remove_file(&path)?;
    opens_with(scene, &volume, &["has no deed"])?;
    fs::write(&path, &bytes)?;
    scene.run_usual(&volume)?.ok()?;
    Ok(())
}

fn an_older_deed_opens_nothing(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let (path, granted) = deed(scene, &volume)?;
    let app = scene.named("app");
    scene.cofferdam(&["revoke", &volume, &app])?.ok()?;
    scene.grant(&volume, &app, &["--read-only"])?;
    // The one in which the app might write.
    fs::write(&path, &granted)?;
    opens_with(scene, &volume, &["an older one was put back"])
}

fn another_volumes_store_or_deed_opens_nothing(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let other = scene.volume("other", &["--size", "64M"])?;
    scene.grant(&other, &scene.named("app"), &[])?;
    let (ours, theirs) = (scene.directory_of(&volume)?, scene.directory_of(&other)?);
    let aside = ours.join("aside");
    let swap = |name: &str| -> Outcome {
        fs::rename(ours.join(name), &aside)?;
        fs::rename(theirs.join(name), ours.join(name))?;
        Ok(fs::rename(&aside, theirs.join(name))?)
    };
    swap("deed.json")?;
    opens_with(scene, &volume, &["deed"])?;
    swap("store")?;
    opens_with(scene, &volume, &["deed"])?;
    swap("deed.json")?;
    opens_with(scene, &volume, &["key"])?;
    swap("store")?;
    scene.run_usual(&volume)?.ok()?;
    scene.run_usual(&other)?.ok()?;
    Ok(())
}

fn an_older_copy_of_the_store_opens_nothing(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    scene.nothing_is_held()?;
    let store = scene.directory_of(&volume)?.join("store");
    let copy = scene.host.scratch().join("older");
    run("cp", &["-a", &store.to_string_lossy(), &copy.to_string_lossy()])?.ok()?;
    scene.run_usual(&volume)?.ok()?;
    scene.nothing_is_held()?;
    fs::remove_dir_all(&store)?;
    run("cp", &["-a", &copy.to_string_lossy(), &store.to_string_lossy()])?.ok()?;
    opens_with(scene, &volume, &["older"])?;
    let told = scene.cofferdam(&["ledger", "tail"])?.ok()?;
    told.says(&["TAMPERING", "older"])?;
    fs::remove_dir_all(&copy)?;
    Ok(())
}

fn a_store_that_was_tampered_with_says_so(scene: &mut Scene) -> Outcome {
    let volume = marked(scene)?;
    let id = write(scene, &volume)?;
    end(scene, &id)?;
    let store = scene.directory_of(&volume)?.join("store");
    for entry in fs::read_dir(&store)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with("head") {
            let mut file = fs::File::options().read(true).write(true).open(entry.path())?;
            let mut byte = [0];
            file.seek(SeekFrom::Start(40))?;
            file.read_exact(&mut byte)?;
            file.seek(SeekFrom::Start(40))?;
            file.write_all(&[byte[0] ^ 1])?;
        }
    }
    let mount = format!("{volume}:/data");
    let script = script();
    let line = [
        "run",
        "--rm",
        "--runtime",
        "cofferdam",
        "-v",
        &mount,
        "tiny:1",
        "sh",
        "-c",
        &script,
    ];
    scene.docker(&line)?.refused(&["cofferdam:", "tampered"])?;
    scene
        .cofferdam(&["ledger", "tail"])?
        .ok()?
        .says(&["TAMPERING", &volume])?;
    Ok(())
}

/// Writes a grant into the registry by hand, as who has its file can.
fn forge(scene: &mut Scene, volume: &str, app: &str, exec: bool) -> Outcome {
    let grant = format!(r#"{{"volume":"{volume}","app":"{app}","write":true,"exec":{exec}}}"#);
    let entry = format!(
        "import sqlite3, sys\n\
         db = sqlite3.connect('/var/lib/cofferdam/registry.sqlite')\n\
         tables = [row[0] for row in db.execute(\"select name from sqlite_master where type='table'\")]\n\
         for table in tables:\n\
         \x20   columns = [row[1] for row in db.execute(f'pragma table_info({{table}})')]\n\
         \x20   if 'key' in columns and 'value' in columns:\n\
         \x20       row = db.execute(f\"select * from {{table}} where key = 'app/{app}'\").fetchone()\n\
         \x20       values = dict(zip(columns, row))\n\
         \x20       values['key'], values['value'] = 'grant/{volume}/{app}', sys.argv[1].encode()\n\
         \x20       marks = ','.join('?' for _ in columns)\n\
         \x20       db.execute(f'insert or replace into {{table}} values ({{marks}})', [values[c] for c in columns])\n\
         \x20       db.commit()\n\
         \x20       print('written')\n"
    );
    scene.host.daemon.stop()?;
    let written = run("python3", &["-c", &entry, &grant])?;
    scene.host.daemon.start()?;
    written.ok()?.says(&["written"]).map(drop)
}

/// Whoever can write the registry can give himself every grant there; the deed, which he cannot sign, still says no.
fn a_registry_that_lies_grants_nothing(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &["--size", "64M"])?;
    let app = scene.app("app", "tiny:1", &[])?;
    forge(scene, &volume, &app, false)?;
    let shown = scene.cofferdam(&["volume", "show", &volume])?.ok()?;
    shown.says(&[&app])?;
    opens_with(scene, &volume, &["the deed of", "grants", "nothing"])
}

fn a_registry_that_lies_lets_nobody_exec(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let keeper = scene.keeper(&volume, &[])?;
    let holder = scene.hold(&volume, &[])?;
    forge(scene, &volume, &keeper, true)?;
    scene
        .docker(&["exec", &holder, "cat", "/data/log"])?
        .refused(&["cofferdam:", "the deed of"])?;
    scene.grant(&volume, &keeper, &["--exec"])?;
    scene.docker(&["exec", &holder, "cat", "/data/log"])?.ok()?;
    Ok(())
}

fn volumes_that_are_made_at_once_have_one_tenants_key(scene: &mut Scene) -> Outcome {
    let names: Vec<String> = (0..4)
        .map(|number| scene.named(&format!("at-once-{number}")))
        .collect();
    let app = scene.app("app", "tiny:1", &[])?;
    let making = names
        .iter()
        .map(|name| {
            let arguments = ["volume", "create", name.as_str(), "--size", "64M"];
            crate::command::start(&scene.host.command("cofferdam", &arguments))
        })
        .collect::<Outcome<Vec<_>>>()?;
    for running in making {
        running.end()?.ok()?;
    }
    for name in names {
        scene.grant(&name, &app, &[])?;
        scene.run_usual(&name)?.ok()?;
    }
    Ok(())
}

fn a_host_without_its_identity_opens_nothing(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let (identity, aside) = (
        Path::new("/var/lib/cofferdam/keys/host.identity"),
        scene.host.scratch().join("identity"),
    );
    scene.host.daemon.stop()?;
    fs::rename(identity, &aside)
        .or_else(|_| fs::copy(identity, &aside).and_then(|_| fs::remove_file(identity)))?;
    scene.host.daemon.start()?;
    let refused = opens_with(scene, &volume, &["recipient"]);
    scene.host.daemon.stop()?;
    fs::copy(&aside, identity)?;
    scene.host.daemon.start()?;
    refused?;
    scene.run_usual(&volume)?.ok()?;
    Ok(())
}

/// Another host: another registry, other keys, with the same Docker.
struct Elsewhere(PathBuf);

impl Elsewhere {
    /// Has the daemon be that host's.
    fn go(scene: &mut Scene, name: &str) -> Outcome<Self> {
        let state = scene.host.scratch().join(name);
        scene.host.daemon.stop()?;
        scene
            .host
            .settings(&format!("[paths]\nstate = \"{}\"", state.display()))?;
        scene.host.daemon.start()?;
        Ok(Elsewhere(state))
    }

    /// And this one's again.
    fn leave(scene: &mut Scene) -> Outcome {
        scene.host.daemon.stop()?;
        scene.host.settings("")?;
        scene.host.daemon.start()
    }

    fn recipient(scene: &Scene) -> Outcome<String> {
        let status = scene.cofferdam(&["--json", "status"])?.ok()?.json()?;
        let recipient = status.get("recipient").and_then(Value::as_str);
        Ok(recipient.during("this host's recipient")?.to_owned())
    }

    /// Copies a volume's directory there and has it adopted; the daemon is that host's.
    fn adopt(&self, scene: &Scene, directory: &Path) -> Outcome {
        self.try_to_adopt(scene, directory)?.ok().map(drop)
    }

    /// The same where this host is no recipient: it stays closed, and leaves nothing.
    fn cannot_adopt(&self, scene: &Scene, directory: &Path) -> Outcome {
        self.try_to_adopt(scene, directory)?.refused(&["recipient"])?;
        let listed = scene.cofferdam(&["--json", "volume", "ls"])?.ok()?.json()?;
        same("volumes", listed.as_array().map(Vec::len), Some(0))
    }

    fn try_to_adopt(&self, scene: &Scene, directory: &Path) -> Outcome<Ran> {
        let incoming = self.0.join("incoming");
        let copy = ["-a", &directory.to_string_lossy(), &incoming.to_string_lossy()];
        run("cp", &copy)?.ok()?;
        scene.cofferdam(&["volume", "adopt", &incoming.to_string_lossy()])
    }
}

/// Does something as another host, and comes back whatever came of it.
fn elsewhere(scene: &mut Scene, name: &str, work: impl FnOnce(&mut Scene, &Elsewhere) -> Outcome) -> Outcome {
    let there = Elsewhere::go(scene, name)?;
    let outcome = work(scene, &there);
    Elsewhere::leave(scene)?;
    outcome
}

fn a_volume_moves_to_another_host_with_its_grants(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    scene.nothing_is_held()?;
    let directory = scene.directory_of(&volume)?;
    let mut recipient = String::new();
    elsewhere(scene, "host-b", |scene, _| {
        recipient = Elsewhere::recipient(scene)?;
        Ok(())
    })?;
    let shared = scene
        .cofferdam(&["volume", "share", &volume, "--recipient", &recipient])?
        .ok()?;
    shared.says(&[&recipient])?;
    elsewhere(scene, "host-b", |scene, there| {
        there.adopt(scene, &directory)?;
        // Nothing was granted here: the grant has come with the volume, and so has the app.
        scene
            .run_usual(&volume)?
            .ok()?
            .says(&["1000 was here\n1000 was here"])?;
        scene
            .run(&volume, &[], "tiny:1", &["sh", "-c", "cat /data/log"])?
            .refused(&["cofferdam:", "argv differs"])?;
        let app = scene.named("app");
        // Its tenant's key is where it was.
        scene
            .cofferdam(&["revoke", &volume, &app])?
            .refused(&["is not on this host"])?;
        scene.nothing_is_held()
    })
}

fn a_host_that_is_no_recipient_does_not_get_it_open(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    scene.nothing_is_held()?;
    let directory = scene.directory_of(&volume)?;
    elsewhere(scene, "host-c", |scene, there| {
        there.cannot_adopt(scene, &directory)
    })
}

fn who_was_taken_away_as_a_recipient_cannot_open_what_comes_later(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    scene.nothing_is_held()?;
    let directory = scene.directory_of(&volume)?;
    let mut recipient = String::new();
    elsewhere(scene, "host-d", |scene, _| {
        recipient = Elsewhere::recipient(scene)?;
        Ok(())
    })?;
    scene
        .cofferdam(&["volume", "share", &volume, "--recipient", &recipient])?
        .ok()?;
    scene
        .cofferdam(&["volume", "unshare", &volume, "--recipient", &recipient])?
        .ok()?;
    let ours = Elsewhere::recipient(scene)?;
    scene
        .cofferdam(&["volume", "unshare", &volume, "--recipient", &ours])?
        .refused(&["is this host"])?;
    elsewhere(scene, "host-d", |scene, there| {
        there.cannot_adopt(scene, &directory)
    })?;
    scene.run_usual(&volume)?.ok()?;
    Ok(())
}

fn a_killed_server_ends_in_errors_and_opens_again(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.keeper(&volume, &[])?;
    let holder = scene.hold(&volume, &[])?;
    let server = scene.server_of(&volume)?;
    // Its worker serves on without it: the container sees nothing of that.
    signal(server, Signal::KILL)?;
    scene.docker(&["rm", "--force", &holder])?.ok()?;
    until("it opens again", Duration::from_secs(20), || {
        scene.run_usual(&volume).is_ok_and(|ran| ran.is_ok())
    })?;
    scene.nothing_is_held()
}

/// A holder that has a file open, and one mapped.
fn taken_back(scene: &mut Scene, take: impl FnOnce(&Scene, &str) -> Outcome) -> Outcome {
    let volume = scene.usual()?;
    scene.keeper(&volume, &[])?;
    let holder = scene.hold(&volume, &[])?;
    let pid = scene
        .docker(&["inspect", "-f", "{{.State.Pid}}", &holder])?
        .ok()?
        .text();
    // Root outside has a file open in the container's own mount namespace, and a nested one has the mount.
    let mut held = fs::File::open(format!("/proc/{pid}/root/data/beats"))?;
    let mut nested = std::process::Command::new("nsenter")
        .args(["--mount", "--target", &pid, "unshare", "--mount", "sleep", "1000"])
        .spawn()?;
    let mut byte = [0];
    held.read_exact(&mut byte)?;
    let inside = format!("/proc/{}/root/data/beats", nested.id());
    until("the nested namespace is there", Duration::from_secs(5), || {
        fs::read(&inside).is_ok()
    })?;
    let result = take(scene, &volume).and_then(|()| {
        held.seek(SeekFrom::Start(0))?;
        let read = held.read(&mut byte);
        ensure(read.is_err(), || format!("an open file is still read: {read:?}"))?;
        let read = fs::read(&inside);
        ensure(read.is_err(), || {
            "a nested mount namespace still reads".to_owned()
        })?;
        until("the container is killed", Duration::from_secs(10), || {
            !Path::new(&format!("/proc/{pid}/root/data")).exists()
        })?;
        until("its server has ended", Duration::from_secs(10), || {
            scene.server_of(&volume).is_err()
        })
    });
    drop(held);
    nested.kill()?;
    nested.wait()?;
    result?;
    scene.docker(&["rm", "--force", &holder])?.ok()?;
    scene.nothing_is_held()
}

fn seal_now_takes_it_from_who_has_it_open(scene: &mut Scene) -> Outcome {
    taken_back(scene, |scene, volume| {
        scene
            .cofferdam(&["volume", "seal", volume])?
            .refused(&["is held by", "--now"])?;
        scene
            .cofferdam(&["volume", "seal", volume, "--now"])?
            .ok()
            .map(drop)
    })?;
    let volume = scene.named("data");
    scene.run_usual(&volume)?.ok()?;
    Ok(())
}

fn revoke_now_takes_it_from_who_has_it_open(scene: &mut Scene) -> Outcome {
    taken_back(scene, |scene, volume| {
        scene
            .cofferdam(&["revoke", volume, &scene.named("keeper"), "--now"])?
            .ok()
            .map(drop)
    })?;
    let volume = scene.named("data");
    let ran = scene.run(&volume, &[], "tiny:1", &["/bin/keep"])?;
    ran.refused(&["cofferdam:"])?;
    scene.run_usual(&volume)?.ok()?;
    Ok(())
}

fn removing_it_destroys_its_keys_first(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    let directory = scene.directory_of(&volume)?;
    let deed = fs::File::open(directory.join("deed.json"))?;
    scene.cofferdam(&["volume", "rm", &volume, "--yes"])?.ok()?;
    let mut left = Vec::new();
    (&deed).read_to_end(&mut left)?;
    ensure(left.iter().all(|byte| *byte == 0), || {
        "the deed's bytes are left".to_owned()
    })?;
    until("its data is deleted", Duration::from_secs(10), || {
        !directory.exists()
    })
}

fn a_making_cut_short_leaves_nothing(scene: &mut Scene) -> Outcome {
    let stores = || {
        fs::read_dir("/var/lib/cofferdam/volumes")
            .map(|all| all.count())
            .during("the volumes")
    };
    let before = stores()?;
    for delay in [5, 20, 60, 120] {
        let name = scene.named(&format!("cut{delay}"));
        let create = crate::command::start(
            &scene
                .host
                .command("cofferdam", &["volume", "create", &name, "--size", "1G"]),
        )?;
        std::thread::sleep(Duration::from_millis(delay));
        scene.host.daemon.kill()?;
        create.end()?;
        scene.host.daemon.start()?;
        if scene.cofferdam(&["volume", "show", &name])?.is_ok() {
            scene.cofferdam(&["volume", "rm", &name, "--yes"])?.ok()?;
        }
    }
    until("nothing of them is left", Duration::from_secs(20), || {
        stores().is_ok_and(|now| now == before)
    })
}

fn key(scene: &Scene) -> Outcome<String> {
    let shown = scene.cofferdam(&["--json", "ledger", "key"])?.ok()?.json()?;
    Ok(shown
        .get("key")
        .and_then(Value::as_str)
        .during("the key")?
        .to_owned())
}

fn the_ledger_has_it_all(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    scene
        .run(&volume, &[], "tiny:1", &["sh", "-c", "id"])?
        .refused(&["cofferdam:"])?;
    scene.nothing_is_held()?;
    let told = scene.cofferdam(&["ledger", "tail", "--lines", "60"])?.ok()?;
    let told = told.silent_on(&["AGE-SECRET-KEY"])?;
    told.says(&[
        &format!("key of {volume} released"),
        &format!("{volume} opened"),
        &format!("{volume} closed"),
        "open allowed",
        "open refused",
        "/v1/grants",
    ])?;
    let file = scene.host.scratch().join("ledger.jsonl");
    let (file, key) = (file.to_string_lossy().into_owned(), key(scene)?);
    scene.cofferdam(&["ledger", "export", &file])?.ok()?;
    scene
        .cofferdam(&["ledger", "verify", &file, "--key", &key])?
        .ok()?
        .says(&["as they were written"])?;
    let proof = scene.cofferdam(&["ledger", "prove", "3"])?.ok()?;
    let path = scene.host.scratch().join("proof.json");
    fs::write(&path, &proof.out)?;
    let path = path.to_string_lossy().into_owned();
    scene
        .cofferdam(&["ledger", "prove", "--verify", &path, "--key", &key])?
        .ok()?
        .says(&["is in the ledger"])?;
    fs::remove_file(file)?;
    Ok(())
}

fn a_ledger_that_was_changed_says_where(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    let file = scene.host.scratch().join("changed.jsonl");
    let (shown, key) = (file.to_string_lossy().into_owned(), key(scene)?);
    scene.cofferdam(&["ledger", "export", &shown])?.ok()?;
    let whole = fs::read_to_string(&file)?;
    let lines: Vec<&str> = whole.lines().collect();
    let at = lines
        .iter()
        .position(|line| line.contains(&volume) && line.contains("act"))
        .during("an act on the volume")?;
    let without: Vec<&str> = lines
        .iter()
        .enumerate()
        .filter(|(index, _)| *index != at)
        .map(|(_, line)| *line)
        .collect();
    let mut swapped = lines.clone();
    swapped.swap(at, at + 2);
    let changed: Vec<String> = lines
        .iter()
        .enumerate()
        .map(|(index, line)| {
            if index == at {
                line.replace(&volume, "other.volume")
            } else {
                (*line).to_owned()
            }
        })
        .collect();
    for (what, text) in [
        ("removed", without.join("\n")),
        ("reordered", swapped.join("\n")),
        ("changed", changed.join("\n")),
    ] {
        fs::write(&file, text + "\n")?;
        scene
            .cofferdam(&["ledger", "verify", &shown, "--key", &key])?
            .refused(&["record"])
            .during(what)?;
    }
    fs::remove_file(&file)?;
    Ok(())
}

fn a_ledger_that_cannot_be_written_closes_the_road(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    scene.nothing_is_held()?;
    // A file that is not the ledger any more: as if somebody had rotated it away.
    let log = Path::new("/var/lib/cofferdam/ledger/ledger.log");
    let aside = Path::new("/var/lib/cofferdam/ledger/ledger.aside");
    fs::rename(log, aside)?;
    let refused = opens_with(scene, &volume, &["ledger"]);
    fs::rename(aside, log)?;
    refused?;
    // It goes on where it was, and no other one was begun meanwhile.
    scene.run_usual(&volume)?.ok()?;
    Ok(())
}
