//! Ordinary launches: learned from a container that runs without Cofferdam, then started with a sealed volume, stopped, started and
//! restarted, with no hand on the rule.

use super::{Scene, cases};
use crate::{Outcome, failure::ensure, process::until};
use std::{fs, time::Duration};

cases!("survey":
    a_service_with_its_image_alone,
    a_service_with_a_configuration_that_is_bound,
    a_service_whose_root_filesystem_is_read_only,
    a_service_that_is_not_root,
    a_service_with_an_init,
    a_service_with_a_healthcheck,
    a_service_that_its_environment_configures,
    a_service_with_a_tmpfs,
    a_service_with_a_restart_policy,
    a_service_that_writes_its_own_configuration,
    a_volume_that_two_services_share,
    a_job_that_runs_once,
    what_no_rule_can_let_in_is_told_and_no_app_is_made,
);

/// Stays, and writes to its data as often as it can.
const BEATS: [&str; 3] = [
    "sh",
    "-c",
    "while :; do date >> /data/beats; sleep 0.2; done 2> /dev/null",
];

/// Learns the app from a container that plain runc runs with a volume of Docker's own.
fn learn(scene: &Scene, label: &str, options: &[&str], image: &str, argv: &[&str]) -> Outcome<String> {
    let app = scene.named(label);
    let line = [
        &[
            "run",
            "--detach",
            "--runtime",
            "runc",
            "--volume",
            "learning:/data",
        ],
        options,
        &[image],
        argv,
    ];
    let id = scene.docker(&line.concat())?.ok()?.text();
    std::thread::sleep(Duration::from_millis(300));
    scene
        .cofferdam(&["app", "learn", &app, "--container", &id[..12]])?
        .ok()?
        .says(&["is what container"])?;
    scene.docker(&["rm", "--force", &id])?.ok()?;
    scene.docker(&["volume", "rm", "learning"])?.ok()?;
    Ok(app)
}

/// Starts it with a sealed volume, and sees it work after each of the usual turns.
fn lives(scene: &Scene, volume: &str, options: &[&str], image: &str, argv: &[&str]) -> Outcome {
    let mount = format!("{volume}:/data");
    let line = [
        &["run", "--detach", "--runtime", "cofferdam", "--volume", &mount],
        options,
        &[image],
        argv,
    ];
    let id = scene.docker(&line.concat())?.ok()?.text();
    for turn in [
        &["stop", "--time", "1"][..],
        &["start"],
        &["restart", "--time", "1"],
    ] {
        if turn != ["start"] {
            runs(scene, &id)?;
        }
        scene.docker(&[turn, &[&id]].concat())?.ok()?;
    }
    runs(scene, &id)?;
    scene.docker(&["rm", "--force", &id])?.ok()?;
    scene.nothing_is_held()
}

fn runs(scene: &Scene, id: &str) -> Outcome {
    until("it runs and holds its volume", Duration::from_secs(10), || {
        scene
            .docker(&["inspect", "--format", "{{.State.Running}}", id])
            .is_ok_and(|ran| ran.text() == "true")
            && scene.attachments().is_ok_and(|held| !held.is_empty())
    })
}

fn surveyed(scene: &Scene, options: &[&str], image: &str, argv: &[&str]) -> Outcome {
    let app = learn(scene, "app", options, image, argv)?;
    let volume = scene.volume("data", &["--size", "64M"])?;
    scene.grant(&volume, &app, &[])?;
    lives(scene, &volume, options, image, argv)
}

fn a_service_with_its_image_alone(scene: &mut Scene) -> Outcome {
    surveyed(scene, &[], "tiny:1", &BEATS)
}

fn a_service_with_a_configuration_that_is_bound(scene: &mut Scene) -> Outcome {
    let place = scene.host.scratch().join("survey");
    fs::create_dir_all(&place)?;
    fs::write(place.join("app.conf"), "listen 80\n")?;
    let directory = format!("{}:/etc/app:ro", place.display());
    let file = format!("{}:/etc/app.conf:ro", place.join("app.conf").display());
    surveyed(
        scene,
        &["--volume", &directory, "--volume", &file],
        "tiny:1",
        &BEATS,
    )
}

fn a_service_whose_root_filesystem_is_read_only(scene: &mut Scene) -> Outcome {
    surveyed(scene, &["--read-only", "--tmpfs", "/tmp"], "tiny:1", &BEATS)
}

fn a_service_that_is_not_root(scene: &mut Scene) -> Outcome {
    surveyed(scene, &["--user", "1000:1000"], "tiny:1", &BEATS)
}

fn a_service_with_an_init(scene: &mut Scene) -> Outcome {
    let there = scene
        .docker(&["info", "--format", "{{.InitBinary}}"])?
        .ok()?
        .text();
    let found = crate::binaries::find(&there).is_some();
    ensure(found, || format!("Docker's init {there} is not installed"))?;
    surveyed(scene, &["--init"], "tiny:1", &BEATS)
}

fn a_service_with_a_healthcheck(scene: &mut Scene) -> Outcome {
    surveyed(scene, &[], "health:1", &[])
}

fn a_service_that_its_environment_configures(scene: &mut Scene) -> Outcome {
    let options = ["--env", "DATABASE_URL=postgres://x", "--env", "API_TOKEN=secret"];
    surveyed(scene, &options, "tiny:1", &BEATS)
}

fn a_service_with_a_tmpfs(scene: &mut Scene) -> Outcome {
    surveyed(scene, &["--tmpfs", "/run/app:size=1m"], "tiny:1", &BEATS)
}

fn a_service_with_a_restart_policy(scene: &mut Scene) -> Outcome {
    surveyed(scene, &["--restart", "unless-stopped"], "tiny:1", &BEATS)
}

/// As images do whose entrypoint fills in a template.
fn a_service_that_writes_its_own_configuration(scene: &mut Scene) -> Outcome {
    let script = "date > /etc/app.conf; mkdir -p /run; echo $$ > /run/app.pid; \
        while :; do date >> /data/beats; sleep 0.2; done 2> /dev/null";
    surveyed(scene, &[], "tiny:1", &["sh", "-c", script])
}

fn a_volume_that_two_services_share(scene: &mut Scene) -> Outcome {
    let writer = learn(scene, "writer", &[], "tiny:1", &BEATS)?;
    let script = "while :; do tail -n 1 /data/beats; sleep 0.2; done 2> /dev/null";
    let reader = learn(scene, "reader", &[], "tiny:1", &["sh", "-c", script])?;
    let volume = scene.volume("data", &["--access", "shared", "--size", "64M"])?;
    scene.grant(&volume, &writer, &[])?;
    scene.grant(&volume, &reader, &["--read-only"])?;
    let mount = format!("{volume}:/data");
    let line = [
        "run",
        "--detach",
        "--runtime",
        "cofferdam",
        "--volume",
        &mount,
        "tiny:1",
    ];
    let one = scene.docker(&[&line[..], &BEATS].concat())?.ok()?.text();
    let two = scene
        .docker(&[&line[..], &["sh", "-c", script]].concat())?
        .ok()?
        .text();
    until(
        "the second reads what the first writes",
        Duration::from_secs(10),
        || {
            scene
                .docker(&["logs", &two])
                .is_ok_and(|ran| ran.out.lines().count() > 1)
        },
    )?;
    scene.docker(&["rm", "--force", &one, &two])?.ok()?;
    scene.nothing_is_held()
}

fn a_job_that_runs_once(scene: &mut Scene) -> Outcome {
    let script = "sleep 1; date >> /data/done; wc -l < /data/done";
    let app = learn(scene, "job", &[], "tiny:1", &["sh", "-c", script])?;
    let volume = scene.volume("data", &["--size", "64M"])?;
    scene.grant(&volume, &app, &[])?;
    for count in ["1", "2"] {
        let ran = scene.run(&volume, &[], "tiny:1", &["sh", "-c", script])?.ok()?;
        ensure(ran.text() == count, || ran.said())?;
    }
    Ok(())
}

fn what_no_rule_can_let_in_is_told_and_no_app_is_made(scene: &mut Scene) -> Outcome {
    let app = scene.named("app");
    let options = ["--env", "LD_PRELOAD=", "--cap-add", "SYS_ADMIN"];
    let line = [
        &["run", "--detach", "--runtime", "runc"],
        &options[..],
        &["tiny:1"],
        &BEATS,
    ]
    .concat();
    let id = scene.docker(&line)?.ok()?.text();
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
