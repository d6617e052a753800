//! The ground below goes away: a full disk, a registry that cannot be written, a filesystem without
//! idmapped mounts. Each is closed, with a reason, and nothing is lost.

use super::{Scene, cases};
use crate::{
    Outcome,
    command::run,
    failure::ensure,
    host::{STATE, mount},
};
use std::fs;

cases!("lost_ground":
    a_full_disk_refuses_and_loses_nothing,
    a_read_only_registry_refuses_and_says_so,
    a_full_disk_refuses_and_loses_nothing_of_a_sealed_volume,
    a_filesystem_without_idmapped_mounts_is_refused,
    a_sealed_volume_needs_no_idmapped_mounts_below_it,
    a_damaged_registry_is_not_taken_for_an_empty_one,
);

/// Runs the rest with the state on another filesystem, with a daemon of its own; then everything is as before.
fn with_state_on(scene: &mut Scene, arguments: &[&str], act: impl FnOnce(&mut Scene) -> Outcome) -> Outcome {
    scene.host.daemon.stop()?;
    let mut words = arguments.to_vec();
    words.push(STATE);
    mount(&words)?;
    let result = scene.host.daemon.start().and_then(|()| {
        let opened = scene.open();
        opened.and_then(|()| act(scene))
    });
    let cleaned = scene.host.remove_containers();
    if scene.host.daemon.runs() {
        scene.host.daemon.stop()?;
    }
    run("umount", &["--lazy", STATE])?.ok()?;
    scene.host.daemon.start()?;
    result.and(cleaned)
}

fn a_full_disk_refuses_and_loses_nothing(scene: &mut Scene) -> Outcome {
    on_a_full_disk(scene, "24M", "--plain")
}

fn a_full_disk_refuses_and_loses_nothing_of_a_sealed_volume(scene: &mut Scene) -> Outcome {
    on_a_full_disk(scene, "160M", "--size=64M")
}

fn on_a_full_disk(scene: &mut Scene, size: &str, option: &str) -> Outcome {
    let image = scene.host.scratch().join("small.ext4");
    let path = image.to_string_lossy().into_owned();
    run("rm", &["-f", &path])?.ok()?;
    run("truncate", &["--size", size, &path])?.ok()?;
    run("mkfs.ext4", &["-q", "-F", "-m", "0", &path])?.ok()?;
    with_state_on(scene, &["-o", "loop", &path], |scene| {
        let volume = scene.usual_of(&[option])?;
        scene.run_usual(&volume)?.ok()?;
        let filler = format!("{STATE}/filler");
        run(
            "dd",
            &["if=/dev/zero", &format!("of={filler}"), "bs=4k", "conv=fsync"],
        )?
        .refused(&["No space"])?;
        scene
            .cofferdam(&["volume", "create", &scene.named("second"), option])?
            .refused(&["full"])?;
        scene.run_usual(&volume)?.refused(&["cofferdam:", "full"])?;
        scene.nothing_is_held()?;
        fs::remove_file(filler)?;
        scene.run_usual(&volume)?.ok()?.says(&["1000 was here"])?;
        scene.cofferdam(&["volume", "show", &volume])?.ok()?;
        Ok(())
    })
}

fn a_read_only_registry_refuses_and_says_so(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    let freeze = || run("mount", &["-o", "remount,ro,bind", STATE]);
    let thaw = || run("mount", &["-o", "remount,rw,bind", STATE]);
    scene.host.daemon.stop()?;
    freeze()?.ok()?;
    let started = scene.host.daemon.start();
    let refusals = if started.is_ok() {
        // Where it starts to serve readers, it must refuse what needs a record.
        let create = scene.cofferdam(&["volume", "create", &scene.named("second")]);
        let opened = scene.run_usual(&volume);
        scene.host.daemon.stop()?;
        Some((create, opened))
    } else {
        None
    };
    let log = scene.host.daemon.log();
    thaw()?.ok()?;
    scene.host.daemon.start()?;
    match refusals {
        Some((create, opened)) => {
            create?.refused(&[])?;
            opened?.refused(&["cofferdam:"])?;
        }
        None => ensure(
            log.contains("read-only") || log.contains("readonly") || log.contains("Read-only"),
            || log,
        )?,
    }
    scene
        .run_usual(&volume)?
        .ok()?
        .says(&["1000 was here\n1000 was here"])?;
    Ok(())
}

fn a_filesystem_without_idmapped_mounts_is_refused(scene: &mut Scene) -> Outcome {
    with_state_on(scene, &["-t", "ramfs", "ramfs"], |scene| {
        let volume = scene.usual_plain()?;
        // The volume belongs to whoever comes first; the ids then agree without a map, or it is refused.
        scene.run_usual(&volume)?;
        let second = scene.run(&volume, &["--user", "1001:1001"], "tiny:1", &[])?;
        second.refused(&["cofferdam:", &volume])?;
        scene.nothing_is_held()
    })
}

/// What is mapped of a sealed volume is its own ext4, whatever its store lies on.
fn a_sealed_volume_needs_no_idmapped_mounts_below_it(scene: &mut Scene) -> Outcome {
    with_state_on(scene, &["-t", "ramfs", "ramfs"], |scene| {
        let volume = scene.usual()?;
        scene.run_usual(&volume)?.ok()?;
        scene
            .run(&volume, &["--user", "1001:1001"], "tiny:1", &[])?
            .ok()?
            .says(&["1000 was here\n1001 was here"])?;
        scene.nothing_is_held()
    })
}

fn a_damaged_registry_is_not_taken_for_an_empty_one(scene: &mut Scene) -> Outcome {
    scene.usual()?;
    let registry = format!("{STATE}/registry.sqlite");
    let kept = format!("{STATE}/registry.kept");
    scene.host.daemon.stop()?;
    fs::copy(&registry, &kept)?;
    let length = fs::metadata(&registry)?.len();
    fs::write(&registry, vec![0xa5; usize::try_from(length)?])?;
    let log = scene.host.daemon.start_in_vain();
    fs::rename(&kept, &registry)?;
    scene.host.daemon.start()?;
    let log = log?;
    ensure(log.contains("registry"), || {
        format!("its log should name the registry:\n{log}")
    })
}
