//! Ephemeral volumes: a key that is nowhere but in memory, and nothing left once the last container has ended.

use crate::{
    Outcome,
    cases::{Scene, cases},
    command::{run, same},
    failure::ensure,
    process::{signal, until},
};
use rustix::process::Signal;
use std::time::Duration;
cases!("sealed":
    an_ephemeral_volume_is_gone_with_its_last_container,
    an_ephemeral_volume_lives_as_long_as_one_container_holds_it,
    an_ephemeral_volume_has_no_key_to_share,
    a_registry_that_lies_makes_no_ephemeral_volume_of_a_sealed_one,
    a_registry_that_lies_makes_no_ephemeral_volume_of_an_open_one,
    what_a_crash_leaves_of_an_ephemeral_volume_is_taken_away,
);

fn lines(scene: &Scene, volume: &str) -> Outcome<usize> {
    Ok(scene.run_usual(volume)?.ok()?.out.lines().count())
}

fn an_ephemeral_volume_is_gone_with_its_last_container(scene: &mut Scene) -> Outcome {
    let volume = scene.usual_of(&["--ephemeral", "--size", "64M"])?;
    let kept = scene.directory_of(&volume)?;
    ensure(!kept.exists(), || {
        "there is something before anybody opened it".to_owned()
    })?;
    for _ in 0..2 {
        same("lines in the log", lines(scene, &volume)?, 1)?;
        scene.nothing_is_held()?;
        ensure(!kept.exists(), || "something of it is left".to_owned())?;
    }
    // Only what writes it puts it together: neither Docker nor the registry is told it.
    let script = "echo ephemeral-\"\"mark-5c0ffe > /data/marker && sync && sleep 1";
    scene.script("writer", &volume, script, &[])?;
    scene
        .run(&volume, &["--user", "1000"], "tiny:1", &["sh", "-c", script])?
        .ok()?;
    scene.nothing_is_held()?;
    let found = run(
        "grep",
        &[
            "-rlaF",
            "--devices=skip",
            "ephemeral-mark-5c0ffe",
            "/var/lib/cofferdam",
        ],
    )?;
    ensure(!found.is_ok(), || {
        format!("it can be read on the host: {}", found.out)
    })?;
    scene
        .cofferdam(&["volume", "show", &volume])?
        .ok()?
        .says(&["ephemeral"])?;
    scene.cofferdam(&["volume", "rm", &volume, "--yes"])?.ok()?;
    Ok(())
}

fn an_ephemeral_volume_lives_as_long_as_one_container_holds_it(scene: &mut Scene) -> Outcome {
    let volume = scene.usual_of(&["--ephemeral", "--size", "64M", "--access", "shared"])?;
    scene.keeper(&volume, &[])?;
    let holder = scene.hold(&volume, &["--user", "1000"])?;
    same("lines in the log", lines(scene, &volume)?, 2)?;
    // The daemon can go and come: the server has the key.
    scene.host.daemon.stop()?;
    scene.host.daemon.start()?;
    same("lines in the log", lines(scene, &volume)?, 3)?;
    scene.docker(&["rm", "--force", &holder])?.ok()?;
    scene.nothing_is_held()?;
    same("lines in the log", lines(scene, &volume)?, 1)?;
    let holder = scene.hold(&volume, &["--user", "1000"])?;
    scene.cofferdam(&["volume", "seal", &volume, "--now"])?.ok()?;
    scene.docker(&["rm", "--force", &holder])?.ok()?;
    scene.nothing_is_held()?;
    same("lines in the log", lines(scene, &volume)?, 1)
}

fn an_ephemeral_volume_has_no_key_to_share(scene: &mut Scene) -> Outcome {
    let volume = scene.usual_of(&["--ephemeral", "--size", "64M"])?;
    let status = scene.cofferdam(&["--json", "status"])?.ok()?.json()?;
    let ours = status
        .get("recipient")
        .and_then(|text| text.as_str())
        .unwrap_or_default();
    scene
        .cofferdam(&["volume", "share", &volume, "--recipient", ours])?
        .refused(&["nowhere but in memory"])?;
    scene
        .cofferdam(&["volume", "create", &volume])?
        .refused(&["exists already", "ephemeral"])?;
    Ok(())
}

/// A lie in the registry must not have a sealed volume wiped as an ephemeral one's last life.
fn a_registry_that_lies_makes_no_ephemeral_volume_of_a_sealed_one(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    same("lines in the log", lines(scene, &volume)?, 1)?;
    scene.nothing_is_held()?;
    let key = format!("volume/{volume}");
    let edit = "before = dict(old); old.pop('sealed'); old.pop('owner', None); old['ephemeral'] = True";
    super::deed::forge(scene, &key, &key, edit)?;
    super::opens_with(scene, &volume, &["sealed by its deed"])?;
    let kept = scene.directory_of(&volume)?;
    ensure(kept.join("store").is_dir(), || {
        "its store was taken away".to_owned()
    })
}

/// Nor be joined by its registry's word alone while it is open, nor be wiped when it closes.
fn a_registry_that_lies_makes_no_ephemeral_volume_of_an_open_one(scene: &mut Scene) -> Outcome {
    let volume = scene.usual_of(&["--size", "64M", "--access", "shared"])?;
    scene.keeper(&volume, &[])?;
    let holder = scene.hold(&volume, &["--user", "1000"])?;
    let key = format!("volume/{volume}");
    super::deed::forge(scene, &key, &key, "old.pop('sealed'); old['ephemeral'] = True")?;
    scene.run_usual(&volume)?.refused(&["sealed by its deed"])?;
    let kept = scene.directory_of(&volume)?;
    scene.docker(&["rm", "--force", &holder])?.ok()?;
    scene.nothing_is_held()?;
    ensure(kept.join("store").is_dir(), || {
        "its store was taken away".to_owned()
    })
}

/// A crash: server and container go at once, and the daemon comes back to what is left.
fn what_a_crash_leaves_of_an_ephemeral_volume_is_taken_away(scene: &mut Scene) -> Outcome {
    let volume = scene.usual_of(&["--ephemeral", "--size", "64M"])?;
    scene.keeper(&volume, &[])?;
    let holder = scene.hold(&volume, &["--user", "1000"])?;
    let kept = scene.directory_of(&volume)?;
    ensure(kept.join("store").is_dir(), || "it has no store".to_owned())?;
    let server = scene.server_of(&volume)?;
    scene.host.daemon.stop()?;
    signal(server, Signal::KILL)?;
    scene.docker(&["rm", "--force", &holder])?.ok()?;
    scene.host.daemon.start()?;
    until("what is left is taken away", Duration::from_secs(5), || {
        !kept.exists()
    })?;
    same("lines in the log", lines(scene, &volume)?, 1)
}
