//! `exec` and `checkpoint`: more processes beside the data, or its memory on disk.

use super::{Scene, cases};
use crate::{Outcome, failure::ensure, process::until};
use std::time::Duration;

cases!("exec":
    exec_is_refused_in_a_container_that_holds_a_volume,
    exec_is_allowed_where_the_grant_says_so,
    exec_needs_every_volume_to_say_so,
    exec_is_free_in_a_container_that_holds_nothing,
    the_images_own_healthcheck_runs,
    a_healthcheck_from_outside_does_not_run,
    exec_without_a_daemon_is_refused,
    checkpoint_is_refused,
);

fn exec_is_refused_in_a_container_that_holds_a_volume(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    scene.keeper(&volume, &[])?;
    let holder = scene.hold(&volume, &[])?;
    let ran = scene.docker(&["exec", &holder, "cat", "/data/log"])?;
    ran.refused(&["cofferdam:", &volume])?.silent_on(&["0 holds"])?;
    scene
        .docker(&["exec", "--privileged", &holder, "true"])?
        .refused(&["cofferdam:"])?;
    Ok(())
}

fn exec_is_allowed_where_the_grant_says_so(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    scene.keeper(&volume, &["--exec"])?;
    let holder = scene.hold(&volume, &[])?;
    scene
        .docker(&["exec", &holder, "cat", "/data/log"])?
        .ok()?
        .says(&["holds"])?;
    Ok(())
}

fn exec_needs_every_volume_to_say_so(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    let app = scene.keeper(&volume, &["--exec"])?;
    let second = scene.volume("second", &[])?;
    scene.grant(&second, &app, &[])?;
    let holder = scene.hold(&volume, &["-v", &format!("{second}:/second")])?;
    scene
        .docker(&["exec", &holder, "true"])?
        .refused(&["cofferdam:", &second])?;
    Ok(())
}

fn exec_is_free_in_a_container_that_holds_nothing(scene: &mut Scene) -> Outcome {
    let line = ["run", "-d", "--runtime", "cofferdam", "tiny:1", "sleep", "60"];
    let id = scene.docker(&line)?.ok()?.text();
    scene
        .docker(&["exec", &id, "echo", "free"])?
        .ok()?
        .says(&["free"])?;
    Ok(())
}

/// The state that the engine's healthcheck comes to.
fn health(scene: &Scene, id: &str, wanted: &str) -> Outcome {
    until(
        &format!("the healthcheck says {wanted}"),
        Duration::from_secs(20),
        || {
            scene
                .docker(&["inspect", "-f", "{{.State.Health.Status}}", id])
                .is_ok_and(|ran| ran.text() == wanted)
        },
    )
}

fn the_images_own_healthcheck_runs(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    let app = scene.app("healthy", "health:1", &[])?;
    scene.grant(&volume, &app, &[])?;
    let mount = format!("{volume}:/data");
    let line = ["run", "-d", "--runtime", "cofferdam", "-v", &mount, "health:1"];
    let id = scene.docker(&line)?.ok()?.text();
    health(scene, &id, "healthy")?;
    scene.docker(&["exec", &id, "sh"])?.refused(&["cofferdam:"])?;
    // The same argv with anything else from the caller is another process.
    for disguise in [
        &["--env", "LD_PRELOAD=/data/x.so"][..],
        &["--workdir", "/data"],
        &["--user", "1234"],
        &["--privileged"],
        &["--tty"],
    ] {
        let line = [&["exec"], disguise, &[&id, "/bin/check"]].concat();
        scene.docker(&line)?.refused(&["cofferdam:"])?;
    }
    Ok(())
}

fn a_healthcheck_from_outside_does_not_run(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    let app = scene.app("healthy", "health:1", &[])?;
    scene.grant(&volume, &app, &[])?;
    let mount = format!("{volume}:/data");
    let line = [
        "run",
        "-d",
        "--runtime",
        "cofferdam",
        "-v",
        &mount,
        "--health-cmd",
        "touch /data/smuggled",
        "--health-retries",
        "1",
        "health:1",
    ];
    let id = scene.docker(&line)?.ok()?.text();
    health(scene, &id, "unhealthy")?;
    let there = scene.on_disk(&volume)?.join("smuggled").exists();
    ensure(!there, || {
        "a healthcheck of the caller's own ran beside the data".to_owned()
    })
}

fn exec_without_a_daemon_is_refused(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    scene.keeper(&volume, &["--exec"])?;
    let holder = scene.hold(&volume, &[])?;
    scene.host.daemon.kill()?;
    scene
        .docker(&["exec", &holder, "true"])?
        .refused(&["cofferdam:", "cofferdamd"])?;
    Ok(())
}

fn checkpoint_is_refused(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    scene.keeper(&volume, &[])?;
    let holder = scene.hold(&volume, &[])?;
    let image = scene.host.scratch().join("checkpoint");
    let line = [
        "--root",
        "/run/docker/runtime-runc/moby",
        "checkpoint",
        "--image-path",
        &image.to_string_lossy(),
        &holder,
    ];
    scene
        .host
        .runtime(&line)?
        .refused(&["cofferdam:", "checkpoint"])?;
    ensure(!image.exists(), || "an image was written".to_owned())
}
