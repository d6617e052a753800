//! kill -9 of daemon, wrapper, container and engine: running containers go on, and nothing is left behind.

use super::{Scene, cases};
use crate::{
    Outcome,
    command::same,
    failure::{During, ensure},
    gate::Gate,
    process::{signal, until, with_arguments},
};
use rustix::fs::{Mode, OFlags};
use rustix::process::Signal;
use std::{fs, thread::sleep, time::Duration};

cases!("crash":
    a_running_container_goes_on_while_the_daemon_is_away,
    the_lease_is_known_again_after_a_crash,
    a_container_that_ends_while_the_daemon_is_away_leaves_no_lease,
    a_daemon_killed_at_any_point_of_an_opening_leaves_nothing,
    a_wrapper_killed_while_it_waits_leaves_nothing,
    a_wrapper_killed_at_any_point_leaves_nothing,
    a_container_killed_at_any_point_leaves_nothing,
    a_killed_shim_leaves_nothing,
    a_killed_engine_leaves_the_container_its_volume,
    an_acknowledged_change_survives_a_crash,
    a_tree_made_to_harm_does_not_stop_the_daemon,
);

fn held(scene: &Scene) -> Outcome<(String, String)> {
    let volume = scene.usual()?;
    scene.keeper(&volume, &[])?;
    let id = scene.hold(&volume, &[])?;
    Ok((volume, id))
}

/// Waits until the keeper has written again.
fn still_writes(scene: &Scene, volume: &str) -> Outcome {
    let beats = scene.on_disk(volume)?.join("beats");
    let length = || fs::metadata(&beats).map_or(0, |metadata| metadata.len());
    let before = length();
    until("the container writes on", Duration::from_secs(5), || {
        length() > before
    })
}

fn a_running_container_goes_on_while_the_daemon_is_away(scene: &mut Scene) -> Outcome {
    let (volume, id) = held(scene)?;
    let beats = scene.on_disk(&volume)?.join("beats");
    scene.host.daemon.kill()?;
    let before = fs::metadata(&beats)?.len();
    until("the container writes on", Duration::from_secs(5), || {
        fs::metadata(&beats).is_ok_and(|metadata| metadata.len() > before)
    })?;
    scene.host.daemon.start()?;
    still_writes(scene, &volume)?;
    scene.docker(&["stop", &id])?.ok()?;
    scene.nothing_is_held()
}

fn the_lease_is_known_again_after_a_crash(scene: &mut Scene) -> Outcome {
    let (volume, id) = held(scene)?;
    for _ in 0..3 {
        scene.host.daemon.kill()?;
        scene.host.daemon.start()?;
        same("holders", scene.attachments()?.len(), 1)?;
        scene
            .run_usual(&volume)?
            .refused(&["cofferdam:", id.get(..12).unwrap_or(&id)])?;
        scene.docker(&["exec", &id, "true"])?.refused(&["cofferdam:"])?;
    }
    scene.docker(&["stop", &id])?.ok()?;
    scene.nothing_is_held()?;
    scene.run_usual(&volume)?.ok()?;
    Ok(())
}

fn a_container_that_ends_while_the_daemon_is_away_leaves_no_lease(scene: &mut Scene) -> Outcome {
    let (volume, id) = held(scene)?;
    scene.host.daemon.kill()?;
    scene.docker(&["kill", &id])?.ok()?;
    scene.host.daemon.start()?;
    scene.nothing_is_held()?;
    scene.run_usual(&volume)?.ok()?;
    Ok(())
}

fn a_daemon_killed_at_any_point_of_an_opening_leaves_nothing(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    for delay in (0..12).map(|step| Duration::from_millis(step * 2)) {
        let gate = Gate::shut()?;
        let running = scene.begin("gated", &volume, &["--user", "1000"], &[])?;
        gate.bundle()?;
        gate.open()?;
        sleep(delay);
        scene.host.daemon.kill()?;
        // The engine waits long for a plugin that is away: the daemon comes back once the wrapper has ended.
        until("the wrapper ends", Duration::from_secs(8), || {
            with_arguments(&["cofferdam-runtime", " create "]).is_empty()
        })?;
        scene.host.daemon.start()?;
        let ran = running.end()?;
        // Refused or run; never run without its data.
        ensure(ran.is_ok() == ran.out.contains("1000 was here"), || {
            format!("after {delay:?}: {ran:?}")
        })?;
        scene
            .nothing_is_held()
            .during(format!("killed after {delay:?}"))?;
    }
    scene.run_usual(&volume)?.ok()?;
    Ok(())
}

fn a_wrapper_killed_while_it_waits_leaves_nothing(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let gate = Gate::shut()?;
    let running = scene.begin("gated", &volume, &[], &[])?;
    gate.bundle()?;
    scene.host.daemon.freeze()?;
    gate.open()?;
    let wrapper = || with_arguments(&["cofferdam-runtime", " create "]);
    until("the wrapper waits", Duration::from_secs(3), || {
        !wrapper().is_empty()
    })?;
    sleep(Duration::from_millis(200));
    signal(wrapper().first().copied().during("the wrapper")?, Signal::KILL)?;
    scene.host.daemon.thaw()?;
    let ran = running.end()?;
    ensure(!ran.is_ok(), || format!("{ran:?}"))?;
    scene.nothing_is_held()?;
    scene.run_usual(&volume)?.ok()?;
    Ok(())
}

fn a_wrapper_killed_at_any_point_leaves_nothing(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    for delay in (0..12).map(|step| Duration::from_millis(step * 3)) {
        let gate = Gate::shut()?;
        let running = scene.begin("gated", &volume, &["--user", "1000"], &[])?;
        gate.bundle()?;
        gate.open()?;
        sleep(delay);
        // The wrapper becomes runc, so that either may be met; both have the same words.
        for pid in with_arguments(&["--root", "create", "--bundle"]) {
            if let Err(failure) = signal(pid, Signal::KILL) {
                eprintln!("it had ended by itself: {failure}");
            }
        }
        running.end()?;
        scene
            .nothing_is_held()
            .during(format!("killed after {delay:?}"))?;
    }
    scene.run_usual(&volume)?.ok()?;
    Ok(())
}

fn a_container_killed_at_any_point_leaves_nothing(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.keeper(&volume, &[])?;
    for delay in [0, 5, 20, 50, 100, 200] {
        let mount = format!("{volume}:/data");
        let line = [
            "run",
            "-d",
            "--runtime",
            "cofferdam",
            "-v",
            &mount,
            "tiny:1",
            "/bin/keep",
        ];
        let id = scene.docker(&line)?.ok()?.text();
        sleep(Duration::from_millis(delay));
        scene.docker(&["rm", "--force", &id])?.ok()?;
        scene
            .nothing_is_held()
            .during(format!("killed after {delay} ms"))?;
    }
    Ok(())
}

fn a_killed_shim_leaves_nothing(scene: &mut Scene) -> Outcome {
    let (volume, id) = held(scene)?;
    let shims = with_arguments(&["containerd-shim-runc-v2", "-id", &id]);
    signal(shims.first().copied().during("the shim")?, Signal::KILL)?;
    // The container may outlive its shim until the engine notices; then it goes, and its lease with it.
    scene.docker(&["rm", "--force", &id])?;
    for pid in with_arguments(&["/bin/keep"]) {
        signal(pid, Signal::KILL)?;
    }
    scene.nothing_is_held()?;
    scene.run_usual(&volume)?.ok()?;
    Ok(())
}

fn a_killed_engine_leaves_the_container_its_volume(scene: &mut Scene) -> Outcome {
    let (volume, _) = held(scene)?;
    scene.host.engine.kill()?;
    let goes_on = still_writes(scene, &volume);
    let holders = scene.attachments();
    scene.host.engine.start(&[])?;
    goes_on?;
    same("holders", holders?.len(), 1)?;
    // dockerd without live-restore ends what it finds running.
    scene.host.remove_containers()?;
    scene.nothing_is_held()
}

fn an_acknowledged_change_survives_a_crash(scene: &mut Scene) -> Outcome {
    for number in 0..5 {
        let volume = scene.volume(&format!("data{number}"), &[])?;
        scene.host.daemon.kill()?;
        scene.host.daemon.start()?;
        scene.cofferdam(&["volume", "show", &volume])?.ok()?;
    }
    Ok(())
}

/// A container fills its volume as it likes; deleting that must not cost the daemon its stack or its descriptors.
fn a_tree_made_to_harm_does_not_stop_the_daemon(scene: &mut Scene) -> Outcome {
    let volume = scene.usual_plain()?;
    scene.run_usual(&volume)?.ok()?;
    let on_disk = scene.on_disk(&volume)?;
    // Step by step from one directory to the next: no path is that long.
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = rustix::fs::open(&on_disk, flags, Mode::empty()).during("the volume's data")?;
    for _ in 0..20_000 {
        rustix::fs::mkdirat(&at, "d", Mode::RWXU).during("a deeper directory")?;
        at = rustix::fs::openat(&at, "d", flags, Mode::empty()).during("a deeper directory")?;
    }
    drop(at);
    scene.cofferdam(&["volume", "rm", &volume, "--yes"])?.ok()?;
    scene.host.daemon.kill()?;
    scene.host.daemon.start()?;
    let trash = on_disk.ancestors().nth(2).during("the store")?.join("trash");
    until("everything is deleted", Duration::from_secs(60), || {
        std::fs::read_dir(&trash).is_ok_and(|mut left| left.next().is_none())
    })?;
    scene.cofferdam(&["status"])?.ok()?;
    Ok(())
}
