//! Another key while a volume is in use, and whatever is killed meanwhile.

use crate::{
    Outcome, Ran,
    cases::{
        Scene, cases,
        postgres::{SERVER, ask, client, start, stop, verify_checksums},
    },
    command::{run, same},
    disk::server::children,
    failure::{During, ensure},
    postgres_image::{self, IMAGE},
    process::{signal, until},
};
use rustix::process::Signal;
use std::{fs, path::Path, time::Duration};

cases!("sealed":
    a_database_is_encrypted_anew_while_it_writes_and_all_that_can_be_is_killed,
    a_rotation_goes_on_by_itself_after_daemon_and_server_were_killed,
    a_rotation_goes_on_where_the_server_alone_was_killed,
    what_a_crash_kept_from_the_registry_is_made_up_for,
    a_volume_that_is_rotated_can_be_taken_back,
    after_a_rotation_nothing_opens_with_the_key_before,
    a_volume_that_is_encrypted_anew_to_its_end_says_so,
);

/// How long encrypting anew may take here.
const PATIENCE: Duration = Duration::from_secs(120);

fn rotation(scene: &Scene, volume: &str) -> Outcome<Option<String>> {
    let shown = scene
        .cofferdam(&["--json", "volume", "show", volume])?
        .ok()?
        .json()?;
    let rotation = shown.pointer("/volume/sealed/rotation");
    Ok(rotation.and_then(|state| state.as_str()).map(str::to_owned))
}

fn ends(scene: &Scene, volume: &str) -> Outcome {
    until("everything is encrypted anew", PATIENCE, || {
        rotation(scene, volume).is_ok_and(|rotation| rotation.is_none())
    })
    .during(scene.cofferdam(&["volume", "show", volume])?.said())
}

/// What the ledger has of a volume, oldest first.
fn told(scene: &Scene, volume: &str) -> Outcome<String> {
    let all = scene.cofferdam(&["ledger", "tail", "--lines", "1000"])?.ok()?;
    let ours = all.out.lines().filter(|line| line.contains(volume));
    Ok(ours.collect::<Vec<_>>().join("\n"))
}

/// Which key the deed has, and whether it has one before that.
pub(super) fn wrapped(scene: &Scene, volume: &str) -> Outcome<String> {
    let deed = scene.directory_of(volume)?.join("deed.json");
    let script = "import base64, json, sys\n\
        deed = json.loads(base64.b64decode(json.load(open(sys.argv[1]))['payload']))\n\
        print(deed['key']['commitment'], 'key_before' in deed)";
    Ok(run("python3", &["-c", script, &deed.to_string_lossy()])?
        .ok()?
        .text())
}

fn a_database_is_encrypted_anew_while_it_writes_and_all_that_can_be_is_killed(scene: &mut Scene) -> Outcome {
    postgres_image::import(scene.host)?;
    let volume = scene.volume("pgdata", &["--size", "4G"])?;
    let server = scene.app("postgres", IMAGE, &[])?;
    scene.grant(&volume, &server, &[])?;
    let verify = ["--", "pg_checksums", "--check", "--pgdata=/data"];
    let verifier = scene.app("verify", IMAGE, &verify)?;
    scene.grant(&volume, &verifier, &["--read-only"])?;
    start(scene, &volume, &[])?;
    client(scene, &["pgbench", "-i", "-s", "20", "--quiet"])?.ok()?;
    let before = wrapped(scene, &volume)?;
    let network = format!("container:{SERVER}");
    let mut load = vec!["run", "--rm", "--network", &network];
    load.extend(["--env", "PGHOST=127.0.0.1", "--env", "PGUSER=postgres", IMAGE]);
    load.extend(["pgbench", "--client", "4", "--time", "12"]);
    let load = crate::command::start(&scene.host.command("docker", &load))?;
    scene
        .cofferdam(&["volume", "rotate", &volume, "--detach"])?
        .ok()?
        .says(&["being encrypted anew"])?;
    // The worker, in the middle of it: another one follows, and has both keys.
    for worker in children(scene.server_of(&volume)?) {
        signal(worker, Signal::KILL)?;
    }
    // The daemon: the next one finds the server, and what is left to do.
    scene.host.daemon.kill()?;
    scene.host.daemon.start()?;
    let loaded = load.end()?;
    ensure(loaded.is_ok(), || {
        format!("the database noticed: {}", loaded.said())
    })?;
    ends(scene, &volume)?;
    stop(scene)?;
    let after = wrapped(scene, &volume)?;
    ensure(after != before && after.ends_with("False"), || {
        format!("the deed's key was {before} and is {after}")
    })?;
    verify_checksums(scene, &volume)?;
    // Once more, and this time the server itself is killed: the database loses its disk, and nothing that it was promised.
    start(scene, &volume, &[])?;
    client(scene, &["pgbench", "--client", "4", "--time", "2"])?.ok()?;
    scene
        .cofferdam(&["volume", "rotate", &volume, "--detach"])?
        .ok()?;
    signal(scene.server_of(&volume)?, Signal::KILL)?;
    // What is left of it closes the store, and lets nobody else in before it has.
    until("the store is free again", PATIENCE, || {
        scene.docker(&["rm", "--force", SERVER]).is_ok() && start(scene, &volume, &[]).is_ok()
    })?;
    let consistent = "select (select sum(abalance) from pgbench_accounts) = (select sum(bbalance) from pgbench_branches) \
        and (select sum(tbalance) from pgbench_tellers) = (select sum(bbalance) from pgbench_branches)";
    same("the books balance", ask(scene, consistent)?, "t".to_owned())?;
    ends(scene, &volume)?;
    stop(scene)?;
    verify_checksums(scene, &volume)?;
    let told = told(scene, &volume)?;
    ensure(
        told.contains("under another key") && told.contains("its key before forgotten"),
        || told.clone(),
    )
}

/// Writes 48 MiB that nothing compresses.
const FILL: &str = "head -c 48000000 /dev/urandom > /data/filled && sync && md5sum /data/filled";

fn filled(scene: &Scene, volume: &str) -> Outcome<String> {
    scene.script("fill", volume, FILL, &[])?;
    let ran = scene.run(volume, &["--user", "1000"], "tiny:1", &["sh", "-c", FILL])?;
    let sum = ran.ok()?.text();
    scene.nothing_is_held()?;
    Ok(sum)
}

const SUM: &str = "md5sum /data/filled";

fn sum(scene: &Scene, volume: &str) -> Outcome<Ran> {
    scene.run(volume, &["--user", "1000"], "tiny:1", &["sh", "-c", SUM])
}

fn a_rotation_goes_on_by_itself_after_daemon_and_server_were_killed(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &["--size", "256M"])?;
    let content = filled(scene, &volume)?;
    scene.script("sum", &volume, SUM, &[])?;
    // Nobody holds it: the daemon opens it for that alone.
    scene
        .cofferdam(&["volume", "rotate", &volume, "--detach"])?
        .ok()?;
    let server = scene.server_of(&volume);
    scene.host.daemon.kill()?;
    // It may have come to its end before.
    if let Ok(server) = server {
        signal(server, Signal::KILL)?;
    }
    scene.host.daemon.start()?;
    ends(scene, &volume)?;
    scene.nothing_is_held()?;
    same("what was written", sum(scene, &volume)?.ok()?.text(), content)?;
    let told = told(scene, &volume)?;
    ensure(told.contains("for cofferdamd itself"), || told.clone())?;
    // How much of it is used is known to a daemon, too, that has never had it open.
    scene.nothing_is_held()?;
    scene.host.daemon.stop()?;
    scene.host.daemon.start()?;
    let shown = scene
        .cofferdam(&["--json", "volume", "show", &volume])?
        .ok()?
        .json()?;
    let used = shown
        .get("used")
        .and_then(serde_json::Value::as_u64)
        .during("bytes used")?;
    ensure((48_000_000..80_000_000).contains(&used), || used.to_string())
}

fn a_rotation_goes_on_where_the_server_alone_was_killed(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &["--size", "512M"])?;
    let content = filled(scene, &volume)?;
    scene.script("sum", &volume, SUM, &[])?;
    scene
        .cofferdam(&["volume", "rotate", &volume, "--detach"])?
        .ok()?;
    scene
        .cofferdam(&["volume", "rm", &volume, "--yes"])?
        .refused(&["is being encrypted anew", "--now"])?;
    signal(scene.server_of(&volume)?, Signal::KILL)?;
    ensure(rotation(scene, &volume)?.is_some(), || {
        "it had ended before the server was killed".to_owned()
    })?;
    ends(scene, &volume)?;
    scene.nothing_is_held()?;
    same("what was written", sum(scene, &volume)?.ok()?.text(), content)
}

/// The deed is written before the registry's record of it.
fn what_a_crash_kept_from_the_registry_is_made_up_for(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &["--size", "512M"])?;
    let content = filled(scene, &volume)?;
    scene.script("sum", &volume, SUM, &[])?;
    let key = format!("volume/{volume}");
    // Announced in the deed alone.
    scene
        .cofferdam(&["volume", "rotate", &volume, "--detach"])?
        .ok()?;
    signal(scene.server_of(&volume)?, Signal::KILL)?;
    super::deed::forge(scene, &key, &key, "old['sealed'].pop('rotation')")?;
    ensure(wrapped(scene, &volume)?.ends_with("True"), || {
        "it had ended before".to_owned()
    })?;
    scene.cofferdam(&["volume", "rotate", &volume])?.ok()?;
    ensure(wrapped(scene, &volume)?.ends_with("False"), || {
        "its deed has two keys".to_owned()
    })?;
    // Ended in the deed alone.
    scene.nothing_is_held()?;
    super::deed::forge(scene, &key, &key, "old['sealed']['rotation'] = 'begun'")?;
    ends(scene, &volume)?;
    scene.cofferdam(&["volume", "rotate", &volume])?.ok()?;
    scene.nothing_is_held()?;
    same("what was written", sum(scene, &volume)?.ok()?.text(), content)
}

fn a_volume_that_is_rotated_can_be_taken_back(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &["--size", "512M"])?;
    let content = filled(scene, &volume)?;
    scene.script("sum", &volume, SUM, &[])?;
    scene.keeper(&volume, &[])?;
    let holder = scene.hold(&volume, &["--user", "1000"])?;
    scene
        .cofferdam(&["volume", "rotate", &volume, "--detach"])?
        .ok()?;
    scene.cofferdam(&["volume", "seal", &volume, "--now"])?.ok()?;
    scene.docker(&["rm", "--force", &holder])?.ok()?;
    scene.nothing_is_held()?;
    // Nobody opens it again of his own accord; whoever opens it next has the rest of it done.
    std::thread::sleep(Duration::from_secs(3));
    scene.nothing_is_held()?;
    let sum = sum(scene, &volume)?.ok()?.text();
    same("what was written", sum, content)?;
    ends(scene, &volume)?;
    scene.nothing_is_held()
}

fn copy(from: &Path, to: &Path) -> Outcome {
    run("cp", &["-a", &from.to_string_lossy(), &to.to_string_lossy()])?
        .ok()
        .map(drop)
}

fn after_a_rotation_nothing_opens_with_the_key_before(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &["--size", "256M"])?;
    let content = filled(scene, &volume)?;
    scene.script("sum", &volume, SUM, &[])?;
    let ours = scene.directory_of(&volume)?;
    let (kept, aside) = (
        scene.host.scratch().join("before"),
        scene.host.scratch().join("after"),
    );
    copy(&ours, &kept)?;
    scene
        .cofferdam(&["volume", "rotate", &volume])?
        .ok()?
        .says(&["encrypted anew"])?;
    scene.nothing_is_held()?;
    copy(&ours, &aside)?;
    let sum_opens_with = |expected: &[&str]| sum(scene, &volume)?.refused(expected).map(drop);
    // The store of before, under the key that somebody may have: not beside the deed of now, nor with its own.
    fs::remove_dir_all(ours.join("store"))?;
    copy(&kept.join("store"), &ours.join("store"))?;
    sum_opens_with(&["not the volume's key"])?;
    fs::copy(kept.join("deed.json"), ours.join("deed.json"))?;
    sum_opens_with(&["an older one was put back"])?;
    // A store of before is one, whatever the deed and the registry are made to say.
    for name in ["store", "deed.json"] {
        run("rm", &["-rf", &ours.join(name).to_string_lossy()])?.ok()?;
        copy(&aside.join(name), &ours.join(name))?;
    }
    same("what was written", sum(scene, &volume)?.ok()?.text(), content)?;
    for path in [kept, aside] {
        fs::remove_dir_all(path)?;
    }
    Ok(())
}

fn a_volume_that_is_encrypted_anew_to_its_end_says_so(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    let (first, recipients) = (wrapped(scene, &volume)?, recipients(scene, &volume)?);
    for _ in 0..2 {
        scene
            .cofferdam(&["volume", "rotate", &volume])?
            .ok()?
            .says(&["the key before is forgotten"])?;
    }
    ensure(wrapped(scene, &volume)? != first, || {
        "it has the key that it had".to_owned()
    })?;
    same("recipients", self::recipients(scene, &volume)?, recipients)?;
    scene.run_usual(&volume)?.ok()?;
    scene
        .cofferdam(&["volume", "show", &volume])?
        .ok()?
        .says(&["key", "one"])?;
    let plain = scene.volume("plain", &["--plain"])?;
    scene
        .cofferdam(&["volume", "rotate", &plain])?
        .refused(&["has no key"])?;
    let ephemeral = scene.volume("ephemeral", &["--ephemeral", "--size", "64M"])?;
    scene
        .cofferdam(&["volume", "rotate", &ephemeral])?
        .refused(&["nowhere but in memory"])
        .map(drop)
}

fn recipients(scene: &Scene, volume: &str) -> Outcome<String> {
    let shown = scene
        .cofferdam(&["--json", "volume", "show", volume])?
        .ok()?
        .json()?;
    Ok(shown.get("recipients").during("recipients")?.to_string())
}
