//! Ephemeral volumes: a key that is nowhere but in memory, and nothing left once the last container has ended.

use crate::{
    Outcome,
    cases::{Scene, cases},
    command::{run, same},
    failure::ensure,
};
cases!("sealed":
    an_ephemeral_volume_is_gone_with_its_last_container,
    an_ephemeral_volume_lives_as_long_as_one_container_holds_it,
    an_ephemeral_volume_has_no_key_to_share,
    a_registry_that_lies_makes_no_ephemeral_volume_of_a_sealed_one,
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
