//! The wrapper as a runtime: what it passes through, and what it says when it cannot.

use super::{Scene, cases};
use crate::{
    Outcome,
    command::same,
    failure::{During, ensure},
    gate::Gate,
};
use std::{
    fs,
    time::{Duration, Instant},
};

cases!("wrapper":
    verbs_that_bring_no_bundle_pass_through_untouched,
    without_a_daemon_a_guarded_container_is_refused,
    a_daemon_that_hangs_is_waited_for_five_seconds,
    the_refusal_is_in_the_engines_log_as_json,
    settings_that_others_can_write_are_refused,
    a_real_runtime_that_is_not_there_is_named,
    the_environment_steers_nothing,
    crun_is_wrapped_as_well_as_runc,
);

fn verbs_that_bring_no_bundle_pass_through_untouched(scene: &mut Scene) -> Outcome {
    for line in [
        &["--version"][..],
        &["list"],
        &["features"],
        &["state", "nobody"],
        &["delete", "nobody"],
        &["nonsense"],
    ] {
        let (ours, theirs) = (scene.host.runtime(line)?, scene.host.runc(line)?);
        same(&format!("exit code of {line:?}"), ours.code, theirs.code)?;
        same(
            &format!("output of {line:?}"),
            without_times(&ours.said()),
            without_times(&theirs.said()),
        )?;
    }
    Ok(())
}

/// runc's log lines begin with the time.
fn without_times(text: &str) -> String {
    text.lines()
        .map(|line| line.split_once("level=").map_or(line, |(_, rest)| rest))
        .collect::<Vec<_>>()
        .join("\n")
}

fn without_a_daemon_a_guarded_container_is_refused(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let gate = Gate::shut()?;
    let running = scene.begin("gated", &volume, &[], &[])?;
    gate.bundle()?;
    scene.host.daemon.kill()?;
    gate.open()?;
    running.end()?.refused(&["cofferdam:", "cofferdamd"])?;
    scene.host.daemon.start()?;
    scene.nothing_is_held()
}

fn a_daemon_that_hangs_is_waited_for_five_seconds(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let gate = Gate::shut()?;
    let running = scene.begin("gated", &volume, &[], &[])?;
    gate.bundle()?;
    scene.host.daemon.freeze()?;
    let asking = || crate::process::with_arguments(&["cofferdam-runtime", " create "]);
    gate.open()?;
    crate::process::until("the wrapper asks", Duration::from_secs(5), || {
        !asking().is_empty()
    })?;
    let begun = Instant::now();
    // The engine tells the plugin before it tells us, so the wrapper's own end is looked for.
    let ended = crate::process::until("the wrapper gives up", Duration::from_secs(8), || {
        asking().is_empty()
    });
    let waited = begun.elapsed();
    scene.host.daemon.thaw()?;
    let ran = running.end()?;
    ended?;
    ensure(waited > Duration::from_secs(4), || {
        format!("it gave up after {waited:?}")
    })?;
    ran.refused(&["cofferdam:", "cofferdamd"])?;
    scene.nothing_is_held()
}

fn the_refusal_is_in_the_engines_log_as_json(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let gate = Gate::shut()?;
    let running = scene.begin("gated", &volume, &[], &["sh"])?;
    let bundle = gate.bundle()?;
    let arguments = fs::read_to_string("/run/gate/arrived")?;
    let log = arguments
        .split_whitespace()
        .skip_while(|word| *word != "--log")
        .nth(1)
        .during("--log")?;
    let (kept, log) = (scene.host.scratch().join("log.json"), log.to_owned());
    // The shim reads and removes its log, so a second name is given to the same file.
    fs::write(&log, "")?;
    if kept.exists() {
        fs::remove_file(&kept)?;
    }
    fs::copy(&log, &kept)?;
    let id = bundle
        .file_name()
        .during("the id")?
        .to_string_lossy()
        .into_owned();
    let line = [
        "--root",
        "/run/docker/runtime-runc/moby",
        "--log",
        &kept.to_string_lossy(),
        "--log-format",
        "json",
        "create",
        "--bundle",
        &bundle.to_string_lossy(),
        &id,
    ];
    scene.host.runtime(&line)?.refused(&["cofferdam:"])?;
    gate.open()?;
    running.end()?.refused(&["cofferdam:"])?;
    let written = fs::read_to_string(&kept)?;
    let last = written.lines().last().during("a line in the log")?;
    let entry: serde_json::Value = serde_json::from_str(last).during(last)?;
    same(
        "level",
        entry.get("level").and_then(|level| level.as_str()),
        Some("error"),
    )?;
    let message = entry
        .get("msg")
        .and_then(|text| text.as_str())
        .unwrap_or_default();
    ensure(
        message.starts_with("cofferdam: ") && !message.contains('\n'),
        || last.to_owned(),
    )
}

fn settings_that_others_can_write_are_refused(scene: &mut Scene) -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    let settings = crate::host::SETTINGS;
    fs::set_permissions(settings, fs::Permissions::from_mode(0o666))?;
    let ran = scene.docker(&["run", "--rm", "--runtime", "cofferdam", "tiny:1", "true"]);
    fs::set_permissions(settings, fs::Permissions::from_mode(0o644))?;
    ran?.refused(&["cofferdam:", "config.toml"])?;
    Ok(())
}

fn a_real_runtime_that_is_not_there_is_named(scene: &mut Scene) -> Outcome {
    let settings = scene.host.scratch().join("wrong.toml");
    fs::write(&settings, "[runtime]\nprogram = \"/usr/bin/not-a-runtime\"\n")?;
    let path = settings.to_string_lossy();
    scene
        .host
        .runtime(&["--cofferdam-config", &path, "list"])?
        .refused(&["/usr/bin/not-a-runtime"])?;
    fs::write(&settings, "[runtime]\nprogramme = \"/usr/bin/runc\"\n")?;
    scene
        .host
        .runtime(&["--cofferdam-config", &path, "list"])?
        .refused(&["programme"])?;
    Ok(())
}

fn the_environment_steers_nothing(scene: &mut Scene) -> Outcome {
    let trap = scene.host.scratch().join("trap");
    fs::create_dir_all(&trap)?;
    let mut command = scene.host.command("cofferdam-runtime", &["--version"]);
    command
        .env("PATH", &trap)
        .env("COFFERDAM_CONFIG", "/nowhere")
        .env("RUNC", "/bin/false");
    let ran = crate::command::run(command.get_program(), &["--version"])?;
    let mut steered = std::process::Command::new(command.get_program());
    steered
        .arg("--version")
        .env_clear()
        .env("PATH", &trap)
        .env("COFFERDAM_CONFIG", "/nowhere");
    let output = steered.output()?;
    same(
        "output",
        String::from_utf8_lossy(&output.stdout).into_owned(),
        ran.out,
    )
}

fn crun_is_wrapped_as_well_as_runc(scene: &mut Scene) -> Outcome {
    // crun 1.8 takes a host with both versions of cgroups for one with neither; this host is ours alone.
    let both = "/sys/fs/cgroup/unified";
    if fs::read_to_string("/proc/self/mountinfo")?.contains(both) {
        crate::command::run("umount", &[both])?.ok()?;
    }
    scene.host.settings_for("crun", "")?;
    let result = on_the_road_with_crun(scene);
    let cleaned = scene.host.remove_containers();
    scene.host.settings("")?;
    result.and(cleaned)
}

fn on_the_road_with_crun(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.keeper(&volume, &[])?;
    scene.run_usual(&volume)?.ok()?.says(&["1000 was here"])?;
    let holder = scene.hold(&volume, &[])?;
    // By now the lease follows the container's first process, which only crun's own state names.
    std::thread::sleep(Duration::from_millis(500));
    scene.cofferdam(&["attachments"])?.ok()?.says(&[&volume])?;
    scene
        .docker(&["exec", &holder, "true"])?
        .refused(&["cofferdam:"])?;
    scene
        .run(&volume, &[], "tiny:1", &["sh"])?
        .refused(&["cofferdam:", "argv"])?;
    scene.docker(&["kill", &holder])?.ok()?;
    scene.nothing_is_held()
}
