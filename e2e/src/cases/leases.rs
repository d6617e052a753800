//! Leases: one holder or many, and an end with the container whatever the engine says.

use super::{Scene, cases};
use crate::{
    Outcome,
    command::same,
    failure::{During, ensure},
    process::signal,
};
use rustix::process::Signal;

cases!("leases":
    a_second_container_is_told_who_holds_an_exclusive_volume,
    an_exclusive_volume_is_free_again_when_its_holder_ends,
    a_shared_volume_has_two_holders,
    a_killed_container_releases_its_volume,
    a_container_that_restarts_holds_once,
    a_paused_container_still_holds,
    the_lease_ends_although_the_engine_never_says_unmount,
    attachments_name_container_app_and_place,
    a_container_that_cannot_start_leaves_no_lease,
    a_runtimes_state_of_any_length_keeps_the_lease,
);

fn exclusive(scene: &Scene) -> Outcome<String> {
    let volume = scene.usual()?;
    scene.keeper(&volume, &[])?;
    Ok(volume)
}

fn a_second_container_is_told_who_holds_an_exclusive_volume(scene: &mut Scene) -> Outcome {
    let volume = exclusive(scene)?;
    let holder = scene.hold(&volume, &[])?;
    let short = holder.get(..12).unwrap_or(&holder);
    scene
        .run_usual(&volume)?
        .refused(&["cofferdam:", &volume, short])?;
    Ok(())
}

fn an_exclusive_volume_is_free_again_when_its_holder_ends(scene: &mut Scene) -> Outcome {
    let volume = exclusive(scene)?;
    let holder = scene.hold(&volume, &[])?;
    scene.docker(&["stop", &holder])?.ok()?;
    scene.nothing_is_held()?;
    scene.run_usual(&volume)?.ok()?;
    Ok(())
}

fn a_shared_volume_has_two_holders(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &["--access", "shared"])?;
    scene.keeper(&volume, &[])?;
    let first = scene.hold(&volume, &["--user", "1000"])?;
    let second = scene.hold(&volume, &["--user", "1001"])?;
    same("holders", scene.attachments()?.len(), 2)?;
    scene.docker(&["rm", "-f", &first])?.ok()?;
    let logs = scene.docker(&["logs", &second])?.ok()?;
    logs.says(&["1000 holds\n1001 holds"])?;
    Ok(())
}

fn a_killed_container_releases_its_volume(scene: &mut Scene) -> Outcome {
    let volume = exclusive(scene)?;
    let holder = scene.hold(&volume, &[])?;
    scene.docker(&["kill", "--signal", "KILL", &holder])?.ok()?;
    scene.nothing_is_held()?;
    scene.run_usual(&volume)?.ok()?;
    Ok(())
}

fn a_container_that_restarts_holds_once(scene: &mut Scene) -> Outcome {
    let volume = exclusive(scene)?;
    let holder = scene.hold(&volume, &[])?;
    for _ in 0..3 {
        scene.docker(&["restart", "--time", "1", &holder])?.ok()?;
    }
    same("holders", scene.attachments()?.len(), 1)
}

fn a_paused_container_still_holds(scene: &mut Scene) -> Outcome {
    let volume = exclusive(scene)?;
    let holder = scene.hold(&volume, &[])?;
    scene.docker(&["pause", &holder])?.ok()?;
    scene.run_usual(&volume)?.refused(&["cofferdam:"])?;
    scene.docker(&["unpause", &holder])?.ok()?;
    same("holders", scene.attachments()?.len(), 1)
}

fn the_lease_ends_although_the_engine_never_says_unmount(scene: &mut Scene) -> Outcome {
    let volume = exclusive(scene)?;
    let holder = scene.hold(&volume, &[])?;
    let pid = scene
        .docker(&["inspect", "-f", "{{.State.Pid}}", &holder])?
        .ok()?
        .text();
    scene.host.engine.kill()?;
    let killed = signal(pid.parse()?, Signal::KILL);
    let released = scene.nothing_is_held();
    scene.host.engine.start(&[])?;
    killed?;
    released
}

fn attachments_name_container_app_and_place(scene: &mut Scene) -> Outcome {
    let volume = exclusive(scene)?;
    let holder = scene.hold(&volume, &[])?;
    let held = scene.attachments()?;
    let one = held.first().during("an attachment")?;
    let text = |name: &str| {
        one.get(name)
            .and_then(|value| value.as_str())
            .unwrap_or_default()
            .to_owned()
    };
    same("container", text("container"), holder)?;
    same("volume", text("volume"), volume)?;
    same("app", text("app"), scene.named("keeper"))?;
    same("destination", text("destination"), "/data".to_owned())
}

fn a_container_that_cannot_start_leaves_no_lease(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    let app = scene.app("ghost", "tiny:1", &["--", "/bin/not-there"])?;
    scene.grant(&volume, &app, &[])?;
    let ran = scene.run(&volume, &[], "tiny:1", &["/bin/not-there"])?;
    ensure(!ran.is_ok(), || "a program that is not there ran".to_owned())?;
    ran.says(&["not-there"])?;
    scene.nothing_is_held()
}

/// runc writes every system call that a filter names into its state: a client decides how long that is.
fn a_runtimes_state_of_any_length_keeps_the_lease(scene: &mut Scene) -> Outcome {
    let volume = exclusive(scene)?;
    let app = scene.app(
        "filtered",
        "tiny:1",
        &["--allow", "unconfined-seccomp", "--", "/bin/keep"],
    )?;
    scene.grant(&volume, &app, &[])?;
    let names: Vec<String> = (0..400_000)
        .map(|number| format!("no_such_call_{number}"))
        .collect();
    let filter = serde_json::json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{ "names": names, "action": "SCMP_ACT_ALLOW" }],
    });
    let file = scene.host.scratch().join("filter.json");
    std::fs::write(&file, filter.to_string())?;
    let option = format!("seccomp={}", file.display());
    let holder = scene.hold(&volume, &["--security-opt", &option])?;
    std::thread::sleep(std::time::Duration::from_secs(1));
    scene.cofferdam(&["attachments"])?.ok()?.says(&[&volume])?;
    scene
        .docker(&["exec", &holder, "cat", "/data/log"])?
        .refused(&["cofferdam:"])?;
    scene.run_usual(&volume)?.refused(&["cofferdam:", "held"])?;
    Ok(())
}
