//! The daemon's own life: settings, a clean stop, a second start.

use super::{Scene, cases};
use crate::{Outcome, command::finish, failure::ensure, host::SETTINGS};
use std::{
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt, net::UnixDatagram},
    time::Duration,
};

cases!("daemon_life":
    it_ends_cleanly_on_sigterm_and_keeps_its_state,
    it_starts_without_a_settings_file,
    it_refuses_settings_that_others_can_write,
    it_refuses_a_setting_it_does_not_know,
    it_refuses_a_policy_that_does_not_parse,
    a_second_daemon_does_not_take_over,
    status_counts_what_there_is,
    it_sleeps_when_nothing_happens,
    it_tells_systemd_when_it_is_ready_and_when_it_stops,
    its_log_can_be_json,
);

fn it_ends_cleanly_on_sigterm_and_keeps_its_state(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    let status = scene.host.daemon.stop()?;
    ensure(status.success(), || format!("it ended with {status}"))?;
    scene.cofferdam(&["status"])?.refused(&["cofferdamd"])?;
    scene.host.daemon.start()?;
    scene
        .run_usual(&volume)?
        .ok()?
        .says(&["1000 was here\n1000 was here"])?;
    Ok(())
}

/// Stops the daemon, changes its surroundings, and sees that it refuses to start with these words.
fn refuses_to_start(
    scene: &mut Scene,
    words: &str,
    spoil: impl FnOnce() -> Outcome,
    repair: impl FnOnce(&Scene) -> Outcome,
) -> Outcome {
    scene.host.daemon.stop()?;
    let log = spoil().and_then(|()| scene.host.daemon.start_in_vain());
    repair(scene)?;
    scene.host.daemon.start()?;
    let log = log?;
    ensure(log.contains(words), || {
        format!("its log should say {words:?}:\n{log}")
    })
}

fn it_starts_without_a_settings_file(scene: &mut Scene) -> Outcome {
    scene.host.daemon.stop()?;
    fs::remove_file(SETTINGS)?;
    let started = scene.host.daemon.start();
    scene.host.settings("")?;
    started
}

fn it_refuses_settings_that_others_can_write(scene: &mut Scene) -> Outcome {
    refuses_to_start(
        scene,
        "config.toml",
        || Ok(fs::set_permissions(SETTINGS, Permissions::from_mode(0o666))?),
        |_| Ok(fs::set_permissions(SETTINGS, Permissions::from_mode(0o644))?),
    )
}

fn it_refuses_a_setting_it_does_not_know(scene: &mut Scene) -> Outcome {
    refuses_to_start(
        scene,
        "colour",
        || Ok(fs::write(SETTINGS, "[log]\ncolour = true\n")?),
        |scene| scene.host.settings(""),
    )
}

fn it_refuses_a_policy_that_does_not_parse(scene: &mut Scene) -> Outcome {
    let directory = "/etc/cofferdam/policy";
    fs::create_dir_all(directory)?;
    refuses_to_start(
        scene,
        "mine.cedar",
        || {
            Ok(fs::write(
                format!("{directory}/mine.cedar"),
                "permit (everything);\n",
            )?)
        },
        |_| Ok(fs::remove_file(format!("{directory}/mine.cedar"))?),
    )
}

fn a_second_daemon_does_not_take_over(scene: &mut Scene) -> Outcome {
    let second = finish(&scene.host.command::<&str>("cofferdamd", &[]))?;
    second.refused(&[])?;
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    Ok(())
}

fn status_counts_what_there_is(scene: &mut Scene) -> Outcome {
    let before = scene.cofferdam(&["--json", "status"])?.ok()?.json()?;
    scene.usual()?;
    let after = scene.cofferdam(&["--json", "status"])?.ok()?.json()?;
    for what in ["volumes", "apps", "grants"] {
        let count =
            |status: &serde_json::Value| status.get(what).and_then(serde_json::Value::as_u64).unwrap_or(0);
        ensure(count(&after) == count(&before) + 1, || {
            format!("{what}: {before} then {after}")
        })?;
    }
    Ok(())
}

fn it_sleeps_when_nothing_happens(scene: &mut Scene) -> Outcome {
    let pid = scene.host.daemon.pid()?;
    let switches = || -> Outcome<u64> {
        let mut total = 0;
        for task in fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
            let status = fs::read_to_string(task.path().join("status"))?;
            let count = status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
            total += count.unwrap_or("0").trim().parse::<u64>()?;
        }
        Ok(total)
    };
    std::thread::sleep(std::time::Duration::from_secs(1));
    let before = switches()?;
    std::thread::sleep(std::time::Duration::from_secs(3));
    let woken = switches()?.saturating_sub(before);
    ensure(woken <= 6, || {
        format!("an idle daemon woke up {woken} times in 3 seconds")
    })
}

fn it_tells_systemd_when_it_is_ready_and_when_it_stops(scene: &mut Scene) -> Outcome {
    let path = scene.host.scratch().join("notify.sock");
    let systemd = UnixDatagram::bind(&path)?;
    systemd.set_read_timeout(Some(Duration::from_secs(5)))?;
    let told = || -> Outcome<String> {
        let mut message = [0; 256];
        let length = systemd.recv(&mut message)?;
        Ok(String::from_utf8_lossy(message.get(..length).unwrap_or_default()).into_owned())
    };
    scene.host.daemon.stop()?;
    scene.host.daemon.start_with(&[("NOTIFY_SOCKET", &path)])?;
    let ready = told()?;
    let status = scene.host.daemon.stop()?;
    let stopping = told()?;
    scene.host.daemon.start()?;
    fs::remove_file(path)?;
    ensure(
        ready.contains("READY=1") && stopping.contains("STOPPING=1") && status.success(),
        || format!("it said {ready:?}, then {stopping:?}, and ended with {status}"),
    )
}

fn its_log_can_be_json(scene: &mut Scene) -> Outcome {
    scene.host.daemon.stop()?;
    scene.host.settings("[log]\nformat = \"json\"")?;
    let before = scene.host.daemon.log_length();
    scene.host.daemon.start()?;
    let log = scene.host.daemon.log_since(before);
    scene.host.settings("")?;
    scene.host.daemon.stop()?;
    scene.host.daemon.start()?;
    let lines: Vec<serde_json::Value> = log.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let is_ready = |line: &serde_json::Value| {
        line.pointer("/fields/message")
            .is_some_and(|text| text == "cofferdamd is ready")
    };
    ensure(lines.iter().any(is_ready), || log)
}
