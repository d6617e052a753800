//! Plans: what would be decided is what is decided, and nothing of it happens.

use super::{Scene, cases};
use crate::{
    Outcome, Ran,
    command::{same, start},
    failure::{During, ensure},
    gate::Gate,
    process::{signal, with_arguments},
};
use rustix::process::Signal;
use serde_json::Value;
use std::{thread::sleep, time::Duration};

cases!("plan":
    what_would_start_is_said_and_leaves_nothing_behind,
    what_would_be_refused_is_refused_for_the_same_reason,
    what_nobody_is_asked_about_is_said_and_does_not_run,
    host_paths_and_neighbours_are_planned_too,
    a_marked_container_never_runs_whatever_the_mark,
    a_marked_container_never_runs_without_a_daemon,
    what_is_left_of_a_plan_never_runs,
    a_deed_that_grants_nothing_is_planned_for,
    every_form_of_docker_run_is_planned,
    what_docker_itself_refuses_is_shown,
    what_is_not_understood_is_said_and_not_run,
    an_interrupted_plan_leaves_nothing,
    a_plan_is_in_the_ledger_as_one,
);

/// What a container prints that runs although it must not.
const RAN: &str = "it ran";

fn plan(scene: &Scene, docker: &[&str]) -> Outcome<Ran> {
    scene.cofferdam(&[&["--json", "plan", "--", "docker"], docker].concat())
}

/// The plan, which must say that it would start, or not.
fn planned(ran: &Ran, starts: bool) -> Outcome<Value> {
    let wanted = if starts { 0 } else { 4 };
    ensure(ran.code == Some(wanted), || {
        format!("{}: code {:?}, not {wanted}: {}", ran.line, ran.code, ran.said())
    })?;
    let plan = ran.json()?;
    same("allowed", plan.get("allowed"), Some(&Value::from(starts)))?;
    Ok(plan)
}

fn nothing_is_left(scene: &Scene) -> Outcome {
    let containers = scene.docker(&["ps", "--all", "--quiet"])?.ok()?.text();
    ensure(containers.is_empty(), || {
        format!("containers are left: {containers}")
    })?;
    let volumes = scene
        .docker(&["volume", "ls", "--quiet", "--filter", "driver=local"])?
        .ok()?
        .text();
    ensure(volumes.is_empty(), || {
        format!("Docker's volumes are left: {volumes}")
    })?;
    scene.nothing_is_held()
}

/// Nothing of a volume has begun.
fn is_untouched(scene: &Scene, volume: &str) -> Outcome {
    let shown = scene
        .cofferdam(&["--json", "volume", "show", volume])?
        .ok()?
        .json()?;
    same("its owner", shown.pointer("/volume/owner"), None)?;
    same("its epoch", shown.pointer("/volume/epoch"), Some(&Value::from(0)))
}

fn what_would_start_is_said_and_leaves_nothing_behind(scene: &mut Scene) -> Outcome {
    for kind in [&["--plain"][..], &[]] {
        let volume = scene.usual_of(kind)?;
        let mount = format!("{volume}:/data");
        for how in [&["--rm"][..], &["--interactive", "--tty", "--name", "planned"]] {
            let line = [&["run"], how, &["-v", &mount, "-v", "/anonymous", "tiny:1"]].concat();
            // The anonymous volume is one from outside.
            let refused = plan(scene, &line)?;
            planned(&refused, false)?;
            nothing_is_left(scene)?;
            let line = [&["run"], how, &["-v", &mount, "tiny:1"]].concat();
            let ran = plan(scene, &line)?;
            let plan = planned(&ran, true)?;
            same("asked", plan.get("asked"), Some(&Value::from(true)))?;
            nothing_is_left(scene)?;
            is_untouched(scene, &volume)?;
        }
        let told = scene.cofferdam(&["plan", "--", "docker", "run", "-v", &mount, "tiny:1"])?;
        told.ok()?
            .says(&["would start", &volume, "allowed as", "generic.cedar/read"])?;
        scene.run_usual(&volume)?.ok()?;
        scene.nothing_is_held()?;
        scene.cofferdam(&["volume", "rm", &volume, "--yes"])?.ok()?;
    }
    Ok(())
}

/// Plans a launch and does it: refused both times, with the same words.
fn refused_alike(scene: &Scene, options: &[&str], argv: &[&str]) -> Outcome<Value> {
    let line = [options, &["tiny:1"], argv].concat();
    let ran = plan(scene, &[&["run", "--rm"], &line[..]].concat())?;
    let plan = planned(&ran, false)?;
    let message = plan.pointer("/explained/refused/message").and_then(Value::as_str);
    let message = message.during("why it would be refused")?.to_owned();
    let really = [&["run", "--rm", "--runtime", "cofferdam"], &line[..]].concat();
    let really = scene.docker(&really)?;
    // Docker writes quotes with a backslash.
    let said = really.said().replace('\\', "");
    ensure(said.contains(&message.replace('\\', "")), || {
        format!("planned: {message}\nreally: {said}")
    })?;
    really.refused(&["cofferdam:"])?;
    Ok(plan)
}

fn what_would_be_refused_is_refused_for_the_same_reason(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let mount = format!("{volume}:/data");
    let usual = |more: &[&'static str]| {
        [&["-v", &mount], more]
            .concat()
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    let ways: [(Vec<String>, &[&str]); 8] = [
        (usual(&[]), &["sh", "-c", "cat /data/log"]),
        (usual(&["-e", "A=1", "-e", "B=2"]), &[]),
        (usual(&["-e", "LD_PRELOAD=/x"]), &[]),
        (usual(&["--tmpfs", "/usr/lib"]), &[]),
        (usual(&["--workdir", "/data"]), &[]),
        (usual(&["--pid", "host"]), &[]),
        (usual(&["--cap-add", "SYS_ADMIN"]), &[]),
        (usual(&["--network", "host", "--cap-add", "NET_ADMIN"]), &[]),
    ];
    for (options, argv) in &ways {
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        refused_alike(scene, &options, argv)?;
        is_untouched(scene, &volume)?;
    }
    // Whoever holds it keeps it, and a plan disturbs nobody.
    scene.keeper(&volume, &[])?;
    let holder = scene.hold(&volume, &[])?;
    refused_alike(scene, &["-v", &mount], &[])?;
    scene.docker(&["rm", "--force", &holder])?.ok()?;
    scene.nothing_is_held()?;
    scene.cofferdam(&["revoke", &volume, &scene.named("app")])?.ok()?;
    let plan = refused_alike(scene, &["-v", &mount], &[])?;
    let line = plan
        .pointer("/explained/remedy/command/line")
        .and_then(Value::as_str);
    same(
        "the command",
        line,
        Some(format!("cofferdam grant {volume} {}", scene.named("app")).as_str()),
    )?;
    nothing_is_left(scene)
}

fn what_nobody_is_asked_about_is_said_and_does_not_run(scene: &mut Scene) -> Outcome {
    let ran = plan(scene, &["run", "--rm", "tiny:1", "echo", RAN])?.silent_on(&[RAN])?;
    let plan = planned(&ran, true)?;
    same("asked", plan.get("asked"), Some(&Value::from(false)))?;
    scene
        .cofferdam(&["plan", "--", "docker", "run", "tiny:1", "echo", RAN])?
        .ok()?
        .says(&["without being asked about"])?
        .silent_on(&[RAN])?;
    nothing_is_left(scene)
}

fn host_paths_and_neighbours_are_planned_too(scene: &mut Scene) -> Outcome {
    let free = scene.host.scratch().join("planned");
    std::fs::create_dir_all(&free)?;
    let free = format!("{}:/free", free.display());
    let ran = plan(scene, &["run", "-v", &free, "tiny:1", "true"])?;
    let plan_of = planned(&ran, true)?;
    same("asked", plan_of.get("asked"), Some(&Value::from(true)))?;
    let plan_of = refused_alike(scene, &["-v", &free, "-v", "/etc:/x:ro"], &["true"])?;
    let refused = |index: usize| plan_of.pointer(&format!("/host_paths/{index}/refused")).is_some();
    let paths = plan_of.get("host_paths").and_then(Value::as_array).map(Vec::len);
    same("how many host paths", paths, Some(2))?;
    ensure(refused(0) != refused(1), || {
        "one of them alone is forbidden".to_owned()
    })?;
    let reaching = ["--cap-add", "SYS_ADMIN"];
    let plan_of = refused_alike(scene, &reaching, &["true"])?;
    let line = plan_of
        .pointer("/explained/remedy/command/line")
        .and_then(Value::as_str);
    typed(scene, line.during("a command")?)?.ok()?;
    let ran = plan(scene, &["run", "--cap-add", "SYS_ADMIN", "tiny:1", "true"])?;
    planned(&ran, true)?;
    let told = [
        "plan",
        "--",
        "docker",
        "run",
        "--cap-add",
        "SYS_ADMIN",
        "tiny:1",
        "true",
    ];
    scene
        .cofferdam(&told)?
        .ok()?
        .says(&["could reach other containers", "allowed as default.tool"])?;
    nothing_is_left(scene)
}

/// Types a line into a shell.
pub(super) fn typed(scene: &Scene, line: &str) -> Outcome<Ran> {
    crate::command::finish(&scene.host.command("sh", &["-c", line]))
}

/// Marks that are ids, and marks that are not.
const MARKS: [&str; 6] = [
    "COFFERDAM_PLAN=00000000000000000000000000007f3a",
    "COFFERDAM_PLAN=7f3a",
    "COFFERDAM_PLAN=",
    "COFFERDAM_PLAN=../../../../../../../../../etc/",
    "COFFERDAM_PLAN=0000000000000000000000000000\u{1b}[2J",
    "COFFERDAM_PLAN=a=b",
];

fn a_marked_container_never_runs_whatever_the_mark(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let mount = format!("{volume}:/data");
    for mark in MARKS {
        for options in [
            &[][..],
            &["-v", &mount],
            &["-v", "/etc:/x"],
            &["--restart", "always", "--detach"],
        ] {
            let line = [
                &["run", "--runtime", "cofferdam", "-e", mark],
                options,
                &["tiny:1", "echo", RAN],
            ]
            .concat();
            scene
                .docker(&line)?
                .refused(&["cofferdam:", "plan"])?
                .silent_on(&[RAN, "\u{1b}["])?;
        }
    }
    // Two ids are none.
    let two = [
        "run",
        "--runtime",
        "cofferdam",
        "-e",
        MARKS[0],
        "-e",
        "COFFERDAM_PLAN=x",
        "tiny:1",
        "echo",
        RAN,
    ];
    scene.docker(&two)?.refused(&["cofferdam:"])?.silent_on(&[RAN])?;
    sleep(Duration::from_secs(2));
    let running = scene.docker(&["ps", "--quiet"])?.ok()?.text();
    ensure(running.is_empty(), || format!("running: {running}"))?;
    is_untouched(scene, &volume)
}

fn a_marked_container_never_runs_without_a_daemon(scene: &mut Scene) -> Outcome {
    scene.host.daemon.stop()?;
    for mark in MARKS {
        let line = ["run", "--runtime", "cofferdam", "-e", mark, "tiny:1", "echo", RAN];
        scene
            .docker(&line)?
            .refused(&["cofferdam:", "nothing was started"])?
            .silent_on(&[RAN])?;
    }
    let ran = scene.cofferdam(&["plan", "--", "docker", "run", "tiny:1", "echo", RAN])?;
    same("the exit code", ran.code, Some(3))?;
    ran.silent_on(&[RAN])?;
    scene.host.daemon.start()
}

fn what_is_left_of_a_plan_never_runs(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let mount = format!("{volume}:/data");
    let line = [
        "create",
        "--runtime",
        "cofferdam",
        "--restart",
        "always",
        "-e",
        MARKS[0],
        "-v",
        &mount,
        "tiny:1",
    ];
    let id = scene.docker(&line)?.ok()?.text();
    for verb in ["start", "restart", "start"] {
        scene
            .docker(&[verb, &id])?
            .refused(&["cofferdam:", "this was a plan"])?;
    }
    scene.host.daemon.stop()?;
    // Docker itself asks for the volume before it asks the runtime.
    scene.docker(&["start", &id])?.refused(&[])?;
    scene.host.daemon.start()?;
    // Its id is taken: another container cannot have a plan put in its place.
    let other = [
        "run",
        "--runtime",
        "cofferdam",
        "-e",
        MARKS[0],
        "tiny:1",
        "echo",
        RAN,
    ];
    scene
        .docker(&other)?
        .refused(&["cofferdam:"])?
        .silent_on(&[RAN])?;
    is_untouched(scene, &volume)
}

fn a_deed_that_grants_nothing_is_planned_for(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let mount = format!("{volume}:/data");
    let app = scene.named("app");
    // With another rule the deed is signed anew, and what it grants goes with it.
    scene
        .cofferdam(&[
            "app",
            "create",
            &app,
            "--replace",
            "--image",
            "tiny:1",
            "--allow-env",
            "A",
        ])?
        .ok()?
        .says(&["its rule was replaced"])?;
    let line = ["run", "-e", "A=1", "-v", &mount, "tiny:1"];
    planned(&plan(scene, &line)?, true)?;
    scene.run(&volume, &["-e", "A=1"], "tiny:1", &[])?.ok()?;
    scene
        .cofferdam(&["app", "create", &app, "--image", "tiny:1"])?
        .refused(&["another rule", "--replace"])?;
    let kept = scene.directory_of(&volume)?.join("deed.json");
    let deed = std::fs::read(&kept)?;
    std::fs::write(&kept, b"{}")?;
    scene.nothing_is_held()?;
    let planned_with_none = plan(scene, &line)?;
    let really = scene.run(&volume, &["-e", "A=1"], "tiny:1", &[]);
    std::fs::write(&kept, deed)?;
    planned(&planned_with_none, false)?;
    really?.refused(&["cofferdam:"])?;
    planned(&plan(scene, &line)?, true)?;
    Ok(())
}

fn every_form_of_docker_run_is_planned(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let mount = format!("{volume}:/data");
    let more = ["-v", &mount, "tiny:1"];
    let forms: [&[&str]; 6] = [
        &["container", "run"],
        &["-H", "unix:///run/docker.sock", "run", "-d"],
        &[
            "--host=unix:///run/docker.sock",
            "container",
            "run",
            "--rm",
            "-it",
        ],
        &["create"],
        &["--debug", "container", "create", "--rm"],
        &["run", "--runtime", "cofferdam"],
    ];
    for form in forms {
        planned(&plan(scene, &[form, &more].concat())?, true)?;
        nothing_is_left(scene)?;
    }
    Ok(())
}

fn what_docker_itself_refuses_is_shown(scene: &mut Scene) -> Outcome {
    let refused = |line: &[&str], words: &[&str]| {
        let ran = scene.cofferdam(&[&["plan", "--", "docker"], line].concat())?;
        same("the exit code", ran.code, Some(1))?;
        ran.refused(words).map(drop)
    };
    refused(&["run", "--pull", "never", "nothing:7"], &["nothing:7"])?;
    refused(&["run", "--no-such-option", "tiny:1"], &["no-such-option"])?;
    let taken = scene
        .docker(&["create", "--name", "taken", "tiny:1"])?
        .ok()?
        .text();
    refused(
        &["run", "--name", "taken", "tiny:1"],
        &["taken", "already in use"],
    )?;
    scene.docker(&["inspect", &taken])?.ok()?;
    scene.docker(&["rm", "taken"])?.ok()?;
    nothing_is_left(scene)
}

fn what_is_not_understood_is_said_and_not_run(scene: &mut Scene) -> Outcome {
    let lines: [&[&str]; 6] = [
        &["docker", "compose", "up"],
        &["podman", "run", "tiny:1", "echo", RAN],
        &["docker", "ps"],
        &["docker", "run", "--runtime", "runc", "tiny:1", "echo", RAN],
        &["docker", "run", "--runtime=runc", "tiny:1", "echo", RAN],
        &["docker", "run", "--cidfile", "/tmp/x", "tiny:1", "echo", RAN],
    ];
    for line in lines {
        let ran = scene.cofferdam(&[&["plan", "--"], line].concat())?;
        same("the exit code", ran.code, Some(2))?;
        ran.refused(&["cofferdam:"])?.silent_on(&[RAN])?;
    }
    // Where it is another runtime by that name, it ran, and is told of.
    let ran = scene.cofferdam(&[
        "plan",
        "--runtime",
        "runc",
        "--",
        "docker",
        "run",
        "tiny:1",
        "sleep",
        "60",
    ])?;
    ran.refused(&["was started", "removed again"])?;
    nothing_is_left(scene)
}

fn an_interrupted_plan_leaves_nothing(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let mount = format!("{volume}:/data");
    let gate = Gate::shut()?;
    let line = [
        "plan",
        "--runtime",
        "gated",
        "--",
        "docker",
        "run",
        "-v",
        &mount,
        "tiny:1",
    ];
    let command = scene.host.command("cofferdam", &line);
    let running = start(&command)?;
    gate.bundle()?;
    let ours = with_arguments(&["cofferdam", "plan", "gated"]);
    for pid in ours {
        signal(pid, Signal::INT).unwrap_or_default();
    }
    sleep(Duration::from_millis(500));
    gate.open()?;
    let ran = running.end()?;
    ran.refused(&["interrupted"])?;
    is_untouched(scene, &volume)?;
    nothing_is_left(scene)
}

fn a_plan_is_in_the_ledger_as_one(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let mount = format!("{volume}:/data");
    let ran = plan(scene, &["run", "-v", &mount, "tiny:1", "sh"])?;
    let plan_of = planned(&ran, false)?;
    let id = plan_of
        .pointer("/explained/id")
        .and_then(Value::as_str)
        .during("a decision")?;
    scene
        .cofferdam(&["ledger", "tail", "--lines", "3"])?
        .ok()?
        .says(&["plan", &volume])?;
    scene
        .cofferdam(&["why"])?
        .ok()?
        .says(&["plan", "would be refused"])?;
    scene
        .cofferdam(&["why", id])?
        .ok()?
        .says(&[&volume, "would be refused", "command"])?;
    Ok(())
}
