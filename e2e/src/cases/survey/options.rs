//! The options that people give to `docker run`.

use super::{BEATS, Work, beats, becomes, learned, lives, refused, surveyed};
use crate::{
    Outcome,
    cases::{Launch, Scene, cases},
    failure::ensure,
    process::{signal, until},
};
use rustix::process::Signal;
use std::time::Duration;

cases!("survey":
    a_service_with_an_init,
    a_service_with_a_tmpfs,
    a_service_whose_image_has_a_healthcheck,
    a_service_that_is_given_a_healthcheck,
    a_service_with_a_restart_policy,
    a_volume_that_two_services_share,
    a_job_that_runs_once,
    what_no_rule_can_let_in_is_told_and_no_app_is_made,
);

fn beating(options: &[&str]) -> Launch {
    Launch::of("tiny:1").options(options).argv(&BEATS)
}

fn a_service_with_an_init(scene: &mut Scene) -> Outcome {
    let there = scene
        .docker(&["info", "--format", "{{.InitBinary}}"])?
        .ok()?
        .text();
    let found = crate::binaries::find(&there).is_some();
    ensure(found, || format!("Docker's init {there} is not installed"))?;
    let launch = beating(&["--init"]);
    let changed = [launch.clone().argv(&["sh", "-c", "cat /data/beats"])];
    surveyed(scene, &launch, "/data", Work::of(&beats), &changed)
}

fn a_service_with_a_tmpfs(scene: &mut Scene) -> Outcome {
    let launch = beating(&["--tmpfs", "/tmp", "--tmpfs", "/run/app:size=1m"]);
    let changed = [launch.clone().options(&["--tmpfs", "/bin:exec"])];
    surveyed(scene, &launch, "/data", Work::of(&beats), &changed)
}

fn healthy(scene: &Scene, id: &str, _turns: usize) -> Outcome {
    becomes(scene, id, "healthy")
}

fn a_service_whose_image_has_a_healthcheck(scene: &mut Scene) -> Outcome {
    let launch = Launch::of("health:1");
    let changed = [launch.clone().argv(&["/bin/check"])];
    surveyed(scene, &launch, "/data", Work::of(&healthy), &changed)
}

/// As most compose files do.
fn a_service_that_is_given_a_healthcheck(scene: &mut Scene) -> Outcome {
    let check = |command: &str| {
        let options = ["--health-interval", "1s", "--health-retries", "2"];
        beating(&options).options(&["--health-cmd", command])
    };
    let launch = check("test -s /data/beats");
    surveyed(scene, &launch, "/data", Work::of(&healthy), &[])?;
    // Another one starts with it, and is never run.
    let volume = scene.named("data");
    let other = check("cat /data/beats")
        .volume(&volume, "/data")
        .detached(scene)?;
    becomes(scene, &other, "unhealthy")?;
    let told = scene.docker(&["inspect", "--format", "{{json .State.Health.Log}}", &other])?;
    told.ok()?.says(&["cofferdam:"])?.silent_on(&["UTC"])?;
    scene.docker(&["rm", "--force", &other])?.ok().map(drop)
}

/// It comes again by itself: when it has crashed, and with the engine.
fn a_service_with_a_restart_policy(scene: &mut Scene) -> Outcome {
    let launch = beating(&["--restart", "unless-stopped"]);
    let work = Work::of(&beats);
    let app = learned(scene, "app", &launch, "/data", &work)?;
    let volume = scene.volume("data", &["--size", "64M"])?;
    scene.grant(&volume, &app, &[])?;
    let launch = launch.volume(&volume, "/data");
    lives(scene, &launch, &work)?;
    let id = launch.detached(scene)?;
    let first_process = || {
        let format = "{{.State.Pid}}";
        let found = scene.docker(&["inspect", "--format", format, &id]);
        found.map_or(0, |ran| ran.text().parse::<u32>().unwrap_or_default())
    };
    for _ in 0..3 {
        work.again(scene, &id)?;
        let before = first_process();
        signal(before, Signal::KILL)?;
        until("Docker starts it again", Duration::from_secs(20), || {
            ![0, before].contains(&first_process())
        })?;
    }
    work.again(scene, &id)?;
    scene.host.engine.stop()?;
    scene.nothing_is_held()?;
    scene.host.engine.start(&[])?;
    work.again(scene, &id)?;
    scene.docker(&["rm", "--force", &id])?.ok()?;
    refused(scene, &launch.options(&["--entrypoint", "/bin/keep"]), &volume)
}

fn a_volume_that_two_services_share(scene: &mut Scene) -> Outcome {
    let script = "trap 'exit 0' TERM; while :; do tail -n 1 /data/beats; sleep 0.1; done 2> /dev/null";
    let (writer, reader) = (beating(&[]), Launch::of("tiny:1").argv(&["sh", "-c", script]));
    let volume = scene.volume("data", &["--access", "shared", "--size", "64M"])?;
    let work = Work::of(&beats);
    let app = learned(scene, "writer", &writer, "/data", &work)?;
    scene.grant(&volume, &app, &[])?;
    // It has nothing to read while it is learned from.
    let app = learned(scene, "reader", &reader, "/data", &Work::of(&|_, _, _| Ok(())))?;
    scene.grant(&volume, &app, &["--read-only"])?;
    let one = writer.clone().volume(&volume, "/data").detached(scene)?;
    let two = reader.clone().volume(&volume, "/data:ro").detached(scene)?;
    for turn in [&[][..], &["stop"], &["start"], &["restart"]] {
        if !turn.is_empty() {
            scene.docker(&[turn, &[&one, &two]].concat())?.ok()?;
        }
        if turn != ["stop"] {
            work.again(scene, &one)?;
            work.again(scene, &two)?;
        }
    }
    scene.docker(&["rm", "--force", &one, &two])?.ok()?;
    let third = reader.argv(&["sh", "-c", "cat /data/beats"]);
    refused(scene, &third.volume(&volume, "/data:ro"), &volume)
}

fn a_job_that_runs_once(scene: &mut Scene) -> Outcome {
    let script = "sleep 1; date >> /data/done; wc -l < /data/done";
    let job = Launch::of("tiny:1").argv(&["sh", "-c", script]);
    let app = learned(scene, "job", &job, "/data", &Work::of(&|_, _, _| Ok(())))?;
    let volume = scene.volume("data", &["--size", "64M"])?;
    scene.grant(&volume, &app, &[])?;
    let job = job.volume(&volume, "/data");
    for count in ["1", "2"] {
        let ran = job.run(scene)?.ok()?;
        ensure(ran.text() == count, || ran.said())?;
    }
    refused(scene, &job.argv(&["cat", "/data/done"]), &volume)
}

fn what_no_rule_can_let_in_is_told_and_no_app_is_made(scene: &mut Scene) -> Outcome {
    let app = scene.named("app");
    let id = beating(&[
        "--env",
        "LD_PRELOAD=",
        "--cap-add",
        "SYS_ADMIN",
        "--tmpfs",
        "/data",
    ])
    .by("runc")
    .detached(scene)?;
    let learned = scene
        .cofferdam(&["app", "learn", &app, "--container", &id])?
        .ok()?;
    learned.says(&["no rule fits", "LD_PRELOAD", "SYS_ADMIN"])?;
    scene
        .cofferdam(&["app", "show", &app])?
        .refused(&["does not exist"])?;
    scene
        .cofferdam(&["app", "learn", &app, "--container", "nobody-knows-me"])?
        .refused(&["no engine has a container"])?;
    scene.docker(&["stop", "--time", "0", &id])?.ok()?;
    scene
        .cofferdam(&["app", "learn", &app, "--container", &id])?
        .refused(&["does not run"])?;
    Ok(())
}
