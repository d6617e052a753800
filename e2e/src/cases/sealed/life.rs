//! Open while somebody holds it, and no longer; found again, made and removed whole.

use super::{MARKER, end, holds_marker, marked, write};
use crate::{
    Outcome,
    cases::{Scene, cases},
    command::{same, start},
    failure::{During, ensure},
    process::{signal, until},
};
use rustix::process::Signal;
use std::{fs, io::Read, path::PathBuf, thread::sleep, time::Duration};

cases!("sealed":
    what_is_written_inside_is_nowhere_on_the_host,
    it_is_closed_with_the_last_container_and_opens_again,
    two_containers_share_one_server,
    the_daemon_finds_it_again_after_a_crash,
    its_size_is_its_quota,
    volumes_that_are_made_at_once_have_one_tenants_key,
    a_killed_server_ends_in_errors_and_opens_again,
    removing_it_destroys_its_keys_first,
    a_making_cut_short_leaves_nothing,
);

fn what_is_written_inside_is_nowhere_on_the_host(scene: &mut Scene) -> Outcome {
    let volume = marked(scene)?;
    let id = write(scene, &volume)?;
    let table = fs::read_to_string("/proc/self/mountinfo")?;
    ensure(!table.contains("/dev/loop"), || {
        format!("the host's mount table shows the disk:\n{table}")
    })?;
    // Whoever consumes the loop devices: the disk server's own namespace, and the container's.
    let pid = scene
        .docker(&["inspect", "-f", "{{.State.Pid}}", &id])?
        .ok()?
        .text();
    let server = scene.server_of(&volume)?.to_string();
    for entry in fs::read_dir("/proc")?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.parse::<u32>().is_err() || name == server {
            continue;
        }
        let table = fs::read_to_string(format!("/proc/{name}/mountinfo")).unwrap_or_default();
        let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
        ensure(
            !table.contains(" ext4 /dev/loop") || namespace(&name) == namespace(&pid) || is_shim(&name),
            || format!("process {name} has it mounted:\n{table}"),
        )?;
    }
    let logs = scene.host.scratch().to_owned();
    let places = [
        "/var/lib/cofferdam",
        "/run/cofferdam",
        "/var/lib/docker/containers",
    ]
    .map(PathBuf::from);
    for place in places
        .iter()
        .chain([&logs.join("cofferdamd.log"), &logs.join("dockerd.log")])
    {
        ensure(!holds_marker(place)?, || {
            format!("the marker is in {}", place.display())
        })?;
    }
    let told = scene.docker(&["inspect", &id])?.ok()?;
    told.silent_on(&[MARKER])?;
    // The same search finds it where it is.
    ensure(holds_marker(&scene.on_disk(&volume)?)?, || {
        "the search finds nothing at all".to_owned()
    })?;
    end(scene, &id)?;
    let store = scene.directory_of(&volume)?;
    ensure(!holds_marker(&store)?, || {
        "the marker is in the closed store".to_owned()
    })
}

/// The engine's shim is in the mount namespace that the runtime made.
fn is_shim(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains("containerd-shim"))
}

fn it_is_closed_with_the_last_container_and_opens_again(scene: &mut Scene) -> Outcome {
    let volume = marked(scene)?;
    for _ in 0..3 {
        let id = write(scene, &volume)?;
        scene.server_of(&volume)?;
        end(scene, &id)?;
        ensure(scene.server_of(&volume).is_err(), || {
            "its server goes on".to_owned()
        })?;
    }
    let reader = format!("grep -c {MARKER} /data/marker");
    scene.script("reader", &volume, &reader, &["--read-only"])?;
    scene
        .run(&volume, &[], "tiny:1", &["sh", "-c", &reader])?
        .ok()?
        .says(&["1"])?;
    Ok(())
}

fn two_containers_share_one_server(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &["--access", "shared", "--size", "64M"])?;
    scene.keeper(&volume, &[])?;
    let first = scene.hold(&volume, &["--user", "1000"])?;
    let server = scene.server_of(&volume)?;
    let second = scene.hold(&volume, &["--user", "1001"])?;
    same("the server", scene.server_of(&volume)?, server)?;
    scene.docker(&["rm", "--force", &first])?.ok()?;
    until("one holder is left", Duration::from_secs(5), || {
        scene.attachments().is_ok_and(|held| held.len() == 1)
    })?;
    same("the server", scene.server_of(&volume)?, server)?;
    scene.docker(&["rm", "--force", &second])?.ok()?;
    scene.nothing_is_held()
}

fn the_daemon_finds_it_again_after_a_crash(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &["--access", "shared", "--size", "64M"])?;
    scene.keeper(&volume, &[])?;
    let first = scene.hold(&volume, &["--user", "1000"])?;
    let server = scene.server_of(&volume)?;
    scene.host.daemon.kill()?;
    scene.host.daemon.start()?;
    let second = scene.hold(&volume, &["--user", "1001"])?;
    same("the server", scene.server_of(&volume)?, server)?;
    scene.host.daemon.stop()?;
    scene.docker(&["kill", &first, &second])?.ok()?;
    scene.host.daemon.start()?;
    scene.nothing_is_held()
}

fn its_size_is_its_quota(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &["--size", "32M"])?;
    let fill = "dd if=/dev/zero of=/data/fill bs=1M count=64; ls /data/fill && rm /data/fill && echo x > /data/x && cat /data/x";
    scene.script("filler", &volume, fill, &[])?;
    let ran = scene.run(&volume, &[], "tiny:1", &["sh", "-c", fill])?.ok()?;
    ensure(ran.said().contains("No space left"), || ran.said())?;
    ran.says(&["x"])?;
    Ok(())
}

fn volumes_that_are_made_at_once_have_one_tenants_key(scene: &mut Scene) -> Outcome {
    let names: Vec<String> = (0..4)
        .map(|number| scene.named(&format!("at-once-{number}")))
        .collect();
    let app = scene.app("app", "tiny:1", &[])?;
    let making = names
        .iter()
        .map(|name| {
            let arguments = ["volume", "create", name.as_str(), "--size", "64M"];
            start(&scene.host.command("cofferdam", &arguments))
        })
        .collect::<Outcome<Vec<_>>>()?;
    for running in making {
        running.end()?.ok()?;
    }
    for name in names {
        scene.grant(&name, &app, &[])?;
        scene.run_usual(&name)?.ok()?;
    }
    Ok(())
}

fn a_killed_server_ends_in_errors_and_opens_again(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.keeper(&volume, &[])?;
    let holder = scene.hold(&volume, &[])?;
    let server = scene.server_of(&volume)?;
    // Its worker serves on without it: the container sees nothing of that.
    signal(server, Signal::KILL)?;
    scene.docker(&["rm", "--force", &holder])?.ok()?;
    until("it opens again", Duration::from_secs(20), || {
        scene.run_usual(&volume).is_ok_and(|ran| ran.is_ok())
    })?;
    scene.nothing_is_held()
}

fn removing_it_destroys_its_keys_first(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    let directory = scene.directory_of(&volume)?;
    let deed = fs::File::open(directory.join("deed.json"))?;
    scene.cofferdam(&["volume", "rm", &volume, "--yes"])?.ok()?;
    let mut left = Vec::new();
    (&deed).read_to_end(&mut left)?;
    ensure(left.iter().all(|byte| *byte == 0), || {
        "the deed's bytes are left".to_owned()
    })?;
    until("its data is deleted", Duration::from_secs(10), || {
        !directory.exists()
    })
}

fn a_making_cut_short_leaves_nothing(scene: &mut Scene) -> Outcome {
    let stores = || {
        fs::read_dir("/var/lib/cofferdam/volumes")
            .map(|all| all.count())
            .during("the volumes")
    };
    let before = stores()?;
    for delay in [5, 20, 60, 120] {
        let name = scene.named(&format!("cut{delay}"));
        let create = start(
            &scene
                .host
                .command("cofferdam", &["volume", "create", &name, "--size", "1G"]),
        )?;
        sleep(Duration::from_millis(delay));
        scene.host.daemon.kill()?;
        create.end()?;
        scene.host.daemon.start()?;
        if scene.cofferdam(&["volume", "show", &name])?.is_ok() {
            scene.cofferdam(&["volume", "rm", &name, "--yes"])?.ok()?;
        }
    }
    until("nothing of them is left", Duration::from_secs(20), || {
        stores().is_ok_and(|now| now == before)
    })
}
