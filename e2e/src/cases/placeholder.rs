//! Going round the wrapper: whoever does finds the empty placeholder, never data.

use super::{Scene, cases};
use crate::{
    Outcome,
    command::{run, same},
    failure::{During, ensure},
};
use std::fs;

cases!("placeholder":
    plain_runc_sees_only_the_note,
    plain_runc_cannot_write_through_it,
    plain_runc_beside_a_holder_sees_only_the_note,
    docker_cp_finds_nothing_in_a_running_container,
    docker_cp_puts_nothing_into_a_volume,
    docker_export_and_commit_take_nothing_along,
    the_hosts_mount_table_shows_nothing,
    the_note_says_what_to_do,
    every_user_of_the_host_sees_the_same_nothing,
);

/// What plain runc shows at the volume's place.
fn by_plain_runc(scene: &Scene, volume: &str, argv: &[&str]) -> Outcome<crate::Ran> {
    let mount = format!("{volume}:/data");
    let mut line = vec!["run", "--rm", "--volume", &mount, "tiny:1"];
    line.extend(argv);
    scene.docker(&line)
}

fn plain_runc_sees_only_the_note(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    let seen = by_plain_runc(scene, &volume, &["ls", "-A", "/data"])?.ok()?;
    same("what plain runc sees", seen.text(), "SEALED".to_owned())
}

fn plain_runc_cannot_write_through_it(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    for script in [
        "touch /data/x",
        "mkdir /data/x",
        "rm /data/SEALED",
        "echo x > /data/SEALED",
        "chmod 777 /data",
    ] {
        by_plain_runc(scene, &volume, &["sh", "-c", script])?.refused(&["Read-only file system"])?;
    }
    Ok(())
}

fn plain_runc_beside_a_holder_sees_only_the_note(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.keeper(&volume, &[])?;
    scene.hold(&volume, &[])?;
    let seen = by_plain_runc(scene, &volume, &["ls", "-A", "/data"])?.ok()?;
    same("what plain runc sees", seen.text(), "SEALED".to_owned())
}

fn docker_cp_finds_nothing_in_a_running_container(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.keeper(&volume, &[])?;
    let holder = scene.hold(&volume, &[])?;
    scene
        .docker(&["cp", &format!("{holder}:/data/log"), "-"])?
        .refused(&[])?;
    let target = scene.host.scratch().join("copied");
    scene.docker(&["cp", &format!("{holder}:/data/."), &target.to_string_lossy()])?;
    ensure(!target.join("log").exists(), || {
        "docker cp took the log out".to_owned()
    })?;
    scene
        .docker(&[
            "export",
            &holder,
            "--output",
            &scene.host.scratch().join("export.tar").to_string_lossy(),
        ])?
        .ok()?;
    let listed = run(
        "tar",
        &["-tf", &scene.host.scratch().join("export.tar").to_string_lossy()],
    )?
    .ok()?;
    listed.silent_on(&["data/log", "data/beats"])?;
    Ok(())
}

fn docker_cp_puts_nothing_into_a_volume(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.keeper(&volume, &[])?;
    let holder = scene.hold(&volume, &[])?;
    let smuggled = scene.host.scratch().join("smuggled");
    fs::write(&smuggled, "x")?;
    scene.docker(&[
        "cp",
        &smuggled.to_string_lossy(),
        &format!("{holder}:/data/smuggled"),
    ])?;
    let there = scene.on_disk(&volume)?.join("smuggled").exists();
    ensure(!there, || "docker cp wrote into the volume".to_owned())
}

fn the_hosts_mount_table_shows_nothing(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.keeper(&volume, &[])?;
    let holder = scene.hold(&volume, &[])?;
    let shown = scene.mounts_of_volumes()?;
    ensure(shown.is_empty(), || {
        format!("the host's mount table shows {shown:?}")
    })?;
    // dockerd's and the shims' tables are the host's; the container's own has it.
    let pid = scene
        .docker(&["inspect", "-f", "{{.State.Pid}}", &holder])?
        .ok()?
        .text();
    let inside = fs::read_to_string(format!("/proc/{pid}/mountinfo"))?;
    inside
        .lines()
        .find(|line| line.contains(" /data "))
        .during("the volume in the container's own table")?;
    Ok(())
}

fn the_note_says_what_to_do(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let note = by_plain_runc(scene, &volume, &["cat", "/data/SEALED"])?.ok()?;
    same("lines of the note", note.out.lines().count(), 2)?;
    note.says(&["--runtime"])?;
    Ok(())
}

fn every_user_of_the_host_sees_the_same_nothing(scene: &mut Scene) -> Outcome {
    let volume = scene.usual_plain()?;
    scene.run_usual(&volume)?.ok()?;
    let state = scene.on_disk(&volume)?;
    let tried = run(
        "setpriv",
        &[
            "--reuid",
            "1000",
            "--regid",
            "1000",
            "--clear-groups",
            "ls",
            &state.to_string_lossy(),
        ],
    )?;
    tried.refused(&["Permission denied"])?;
    Ok(())
}

fn docker_export_and_commit_take_nothing_along(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    scene.keeper(&volume, &[])?;
    let holder = scene.hold(&volume, &[])?;
    let archive = scene.host.scratch().join("exported.tar");
    let path = archive.to_string_lossy().into_owned();
    scene.docker(&["export", "--output", &path, &holder])?.ok()?;
    let listed = run("tar", &["-tf", &path])?
        .ok()?
        .says(&["bin/keep"])?
        .silent_on(&["data/log"])?;
    fs::remove_file(archive)?;
    scene.docker(&["commit", &holder, "taken:1"])?.ok()?;
    let looked = scene
        .docker(&["run", "--rm", "taken:1", "ls", "-A", "/data"])?
        .ok()?;
    scene.docker(&["image", "rm", "taken:1"])?.ok()?;
    ensure(looked.text().is_empty(), || {
        format!("{looked:?} after {listed:?}")
    })
}
