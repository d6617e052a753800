//! What a container really runs: its environment and its root filesystem, beside what its image says.

use super::{Launch, Scene, cases};
use crate::{Outcome, failure::ensure, process::until};
use std::{fs, path::PathBuf, time::Duration};

cases!("measured":
    an_environment_from_outside_is_refused_and_its_values_are_told_nobody,
    a_name_that_the_rule_allows_may_be_in_the_environment,
    no_rule_allows_what_leads_to_other_code,
    a_root_filesystem_that_was_changed_before_the_start_is_refused,
    a_change_that_the_rule_allows_is_none,
    a_container_that_wrote_something_starts_again,
    what_was_copied_in_after_the_end_is_refused,
    what_was_copied_over_the_images_code_while_it_ran_is_refused_at_the_next_start,
    an_end_that_nobody_saw_leaves_no_trust_in_what_was_written,
    a_healthcheck_runs_no_code_that_was_copied_in,
);

/// A secret that must turn up nowhere.
const SECRET: &str = "s3cr3t-7f1a";

fn an_environment_from_outside_is_refused_and_its_values_are_told_nobody(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let secret = format!("API_TOKEN={SECRET}");
    let ran = scene.run(&volume, &["--env", &secret], "tiny:1", &[])?;
    ran.refused(&["cofferdam:", &volume, "API_TOKEN", "from outside"])?
        .silent_on(&[SECRET])?;
    scene.cofferdam(&["why"])?.ok()?.silent_on(&[SECRET])?;
    scene
        .cofferdam(&["ledger", "tail", "--lines", "50"])?
        .ok()?
        .silent_on(&[SECRET])?;
    scene.run_usual(&volume)?.ok()?;
    // What the engine adds of its own accord is nobody's.
    scene
        .run(&volume, &["--tty", "--hostname", "box-1"], "tiny:1", &[])?
        .ok()?;
    Ok(())
}

fn a_name_that_the_rule_allows_may_be_in_the_environment(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    let app = scene.app("app", "tiny:1", &["--allow-env", "API_TOKEN"])?;
    scene.grant(&volume, &app, &[])?;
    let secret = format!("API_TOKEN={SECRET}");
    scene.run(&volume, &["--env", &secret], "tiny:1", &[])?.ok()?;
    scene
        .run(&volume, &["--env", &secret, "--env", "OTHER=1"], "tiny:1", &[])?
        .refused(&["cofferdam:", "OTHER"])?;
    scene
        .cofferdam(&["app", "show", &app])?
        .ok()?
        .says(&["API_TOKEN"])?;
    Ok(())
}

fn no_rule_allows_what_leads_to_other_code(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    for entry in ["LD_PRELOAD=/data/evil.so", "PATH=/data:/bin", "BASH_ENV=/data/x"] {
        scene
            .run(&volume, &["--env", entry], "tiny:1", &[])?
            .refused(&["cofferdam:", "leads to other code"])?;
    }
    let app = scene.named("other");
    scene
        .cofferdam(&[
            "app",
            "create",
            &app,
            "--image",
            "tiny:1",
            "--allow-env",
            "LD_PRELOAD",
        ])?
        .refused(&["no rule can allow it"])?;
    Ok(())
}

/// A file that prints the data, for `docker cp`.
fn evil(scene: &Scene) -> Outcome<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let path = scene.host.scratch().join("copied-in");
    fs::write(&path, "#!/bin/sh\necho stolen\ncat /data/log\n")?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(path)
}

/// Makes a container of the usual kind and does not start it.
fn create(scene: &Scene, volume: &str, image: &str) -> Outcome<String> {
    Launch::of(image).volume(volume, "/data").created(scene)
}

fn copy(scene: &Scene, id: &str, place: &str) -> Outcome {
    let evil = evil(scene)?;
    let line = ["cp", &evil.to_string_lossy(), &format!("{id}:{place}")];
    scene.docker(&line)?.ok().map(drop)
}

fn start(scene: &Scene, id: &str) -> Outcome<crate::Ran> {
    scene.docker(&["start", "--attach", id])
}

fn a_root_filesystem_that_was_changed_before_the_start_is_refused(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    for place in ["/bin/app", "/tmp/evil", "/etc/ld.so.preload"] {
        let id = create(scene, &volume, "tiny:1")?;
        copy(scene, &id, place)?;
        start(scene, &id)?
            .refused(&["cofferdam:", "root filesystem is not the image's", place])?
            .silent_on(&["stolen"])?;
    }
    let id = create(scene, &volume, "tiny:1")?;
    start(scene, &id)?.ok()?;
    Ok(())
}

fn a_change_that_the_rule_allows_is_none(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    let app = scene.app("app", "tiny:1", &["--allow-changed", "/etc/app"])?;
    scene.grant(&volume, &app, &[])?;
    let id = create(scene, &volume, "tiny:1")?;
    copy(scene, &id, "/etc/app")?;
    start(scene, &id)?.ok()?;
    let id = create(scene, &volume, "tiny:1")?;
    copy(scene, &id, "/etc/apple")?;
    start(scene, &id)?.refused(&["/etc/apple"])?;
    Ok(())
}

/// An app that leaves things in its own root filesystem.
fn writer(scene: &Scene) -> Outcome<String> {
    let volume = scene.volume("data", &[])?;
    let script =
        "mkdir -p /run /var/lib/app && date > /run/app.pid && date > /var/lib/app/state && date > /data/log";
    let app = scene.app("writer", "tiny:1", &["--", "sh", "-c", script])?;
    scene.grant(&volume, &app, &[])?;
    Launch::of("tiny:1")
        .volume(&volume, "/data")
        .argv(&["sh", "-c", script])
        .created(scene)
}

fn a_container_that_wrote_something_starts_again(scene: &mut Scene) -> Outcome {
    let id = writer(scene)?;
    for _ in 0..3 {
        start(scene, &id)?.ok()?;
    }
    scene.docker(&["restart", &id])?.ok()?;
    scene.nothing_is_held()?;
    scene.host.daemon.stop()?;
    scene.host.daemon.start()?;
    start(scene, &id)?.ok()?;
    Ok(())
}

fn what_was_copied_in_after_the_end_is_refused(scene: &mut Scene) -> Outcome {
    let id = writer(scene)?;
    start(scene, &id)?.ok()?;
    scene.nothing_is_held()?;
    copy(scene, &id, "/run/app.pid")?;
    start(scene, &id)?.refused(&["cofferdam:", "/run/app.pid"])?;
    Ok(())
}

fn what_was_copied_over_the_images_code_while_it_ran_is_refused_at_the_next_start(
    scene: &mut Scene,
) -> Outcome {
    let volume = scene.volume("data", &[])?;
    scene.keeper(&volume, &[])?;
    let holder = scene.hold(&volume, &[])?;
    copy(scene, &holder, "/bin/keep")?;
    scene.docker(&["stop", "--time", "5", &holder])?.ok()?;
    scene.nothing_is_held()?;
    start(scene, &holder)?
        .refused(&["cofferdam:", "/bin/keep"])?
        .silent_on(&["stolen"])?;
    Ok(())
}

/// While the daemon is away, nobody looks at what an ended container was like.
fn an_end_that_nobody_saw_leaves_no_trust_in_what_was_written(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    let script = "mkdir -p /run; date > /run/app.pid; sleep 300";
    let app = scene.app("writer", "tiny:1", &["--", "sh", "-c", script])?;
    scene.grant(&volume, &app, &[])?;
    let id = Launch::of("tiny:1")
        .volume(&volume, "/data")
        .argv(&["sh", "-c", script])
        .detached(scene)?;
    scene.host.daemon.stop()?;
    scene.docker(&["kill", &id])?.ok()?;
    scene.host.daemon.start()?;
    scene.nothing_is_held()?;
    scene
        .docker(&["start", &id])?
        .refused(&["cofferdam:", "/run/app.pid", "make the container anew"])?;
    Ok(())
}

fn a_healthcheck_runs_no_code_that_was_copied_in(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    let app = scene.app("healthy", "health:1", &[])?;
    scene.grant(&volume, &app, &[])?;
    let id = create(scene, &volume, "health:1")?;
    scene.docker(&["start", &id])?.ok()?;
    let is = |wanted: &str| {
        until(wanted, Duration::from_secs(20), || {
            scene
                .docker(&["inspect", "-f", "{{.State.Health.Status}}", &id])
                .is_ok_and(|ran| ran.text() == wanted)
        })
    };
    is("healthy")?;
    copy(scene, &id, "/bin/check")?;
    is("unhealthy")?;
    let told = scene.docker(&["inspect", "-f", "{{json .State.Health.Log}}", &id])?;
    ensure(!told.text().contains("stolen"), || told.text())
}
