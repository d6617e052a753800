//! Containers that ask for no volume, and are judged all the same: by what they bind of the host, and by whom they could reach.

use super::{Launch, Scene, cases};
use crate::{Outcome, Ran, command, failure::ensure, host::mount};
use std::{fs, path::PathBuf};

cases!("guarded":
    an_ordinary_container_needs_no_daemon,
    whoever_could_reach_others_is_refused,
    an_apps_rule_allows_a_neighbour_and_still_no_volume,
    neighbours_are_only_observed_where_the_settings_say_so,
    sensitive_host_paths_are_refused_by_any_name,
    other_host_paths_are_bound_as_they_were_judged,
    what_the_settings_allow_of_the_host_is_bound,
    without_a_daemon_a_host_path_is_not_bound,
    a_volume_of_dockers_own_lies_beside_a_host_path,
    what_is_mounted_in_a_volume_of_dockers_is_judged,
    nobody_adds_to_a_container_what_it_was_not_started_with,
    homes_are_bound_in_part_and_without_what_is_hidden,
);

fn run(scene: &Scene, options: &[&str], argv: &[&str]) -> Outcome<Ran> {
    Launch::of("tiny:1").options(options).argv(argv).run(scene)
}

fn an_ordinary_container_needs_no_daemon(scene: &mut Scene) -> Outcome {
    scene.host.daemon.stop()?;
    run(scene, &[], &["true"])?.ok()?;
    let options = [
        "--volume",
        "ordinary:/data",
        "--tmpfs",
        "/tmp",
        "--network",
        "host",
    ];
    run(scene, &options, &["touch", "/data/x"])?.ok()?;
    let more = ["--volume", "ordinary:/data", "--cap-add", "SYS_PTRACE"];
    // What is asked about is refused without a daemon, and nothing else is.
    run(scene, &more, &["true"])?.refused(&["cofferdam:", "cofferdamd"])?;
    scene.docker(&["volume", "rm", "ordinary"])?.ok()?;
    scene.host.daemon.start()
}

fn whoever_could_reach_others_is_refused(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    scene.keeper(&volume, &[])?;
    let holder = scene.hold(&volume, &[])?;
    let pid = format!("container:{holder}");
    let ways: [&[&str]; 9] = [
        &["--privileged"],
        &["--pid", "host"],
        &["--pid", &pid],
        &["--cap-add", "SYS_ADMIN"],
        &["--cap-add", "DAC_READ_SEARCH"],
        &["--device", "/dev/loop0"],
        &["--device-cgroup-rule", "b *:* rwm"],
        &["--device-cgroup-rule", "c *:* rwm"],
        &["--security-opt", "systempaths=unconfined"],
    ];
    for way in ways {
        run(scene, way, &["sh", "-c", "cat /proc/*/root/data/log"])?
            .refused(&["cofferdam:", "could reach the volumes of others"])?
            .silent_on(&["0 holds"])?;
    }
    // A debugger that sees its own processes alone reaches nobody.
    run(scene, &["--cap-add", "SYS_PTRACE"], &["true"])?.ok()?;
    Ok(())
}

fn an_apps_rule_allows_a_neighbour_and_still_no_volume(scene: &mut Scene) -> Outcome {
    let argv = ["sh", "-c", "true"];
    let rule = [&["--allow", "everything", "--"][..], &argv].concat();
    let tool = scene.app("tool", "tiny:1", &rule)?;
    run(scene, &["--cap-add", "SYS_ADMIN", "--pid", "host"], &argv)?.ok()?;
    run(scene, &["--privileged"], &["true"])?.refused(&["cofferdam:"])?;
    scene.cofferdam(&["why"])?.ok()?;
    let volume = scene.volume("data", &[])?;
    scene.grant(&volume, &tool, &[])?;
    let mount = format!("{volume}:/data");
    run(scene, &["--privileged", "--volume", &mount], &argv)?.refused(&[
        "cofferdam:",
        &volume,
        "reaches out of the container",
    ])?;
    Ok(())
}

fn neighbours_are_only_observed_where_the_settings_say_so(scene: &mut Scene) -> Outcome {
    scene.host.daemon.stop()?;
    scene
        .host
        .settings("[guard]\nneighbours = \"observe\"\nhost_paths = \"observe\"")?;
    scene.host.daemon.start()?;
    let observed = run(scene, &["--pid", "host", "--volume", "/etc:/x:ro"], &["true"]);
    let told = scene.cofferdam(&["why"]);
    scene.host.daemon.stop()?;
    let alone = run(scene, &["--pid", "host"], &["true"]);
    scene.host.settings("")?;
    scene.host.daemon.start()?;
    observed?.ok()?;
    told?.ok()?.says(&["observe"])?;
    alone?.ok()?;
    run(scene, &["--pid", "host"], &["true"])?.refused(&["cofferdam:"])?;
    Ok(())
}

/// A directory of the host's with a file in it.
fn directory(scene: &Scene, name: &str) -> Outcome<PathBuf> {
    let path = scene.host.scratch().join("bound").join(name);
    fs::create_dir_all(&path)?;
    fs::write(path.join("file"), "of the host\n")?;
    Ok(path)
}

fn sensitive_host_paths_are_refused_by_any_name(scene: &mut Scene) -> Outcome {
    let place = directory(scene, "names")?;
    let (link, alias) = (place.join("link"), place.join("alias"));
    if !link.is_symlink() {
        std::os::unix::fs::symlink("/etc", &link)?;
    }
    fs::create_dir_all(&alias)?;
    let (link, alias) = (link.display().to_string(), alias.display().to_string());
    mount(&["--bind", "/etc/ssl", &alias])?;
    let dotted = format!("{}/../../../../../../../../etc", place.display());
    let sources = [
        "/",
        "/etc",
        "/etc/passwd",
        "/proc",
        "/var",
        "/root",
        "/usr/bin",
        "/var/lib/cofferdam",
        "/run/cofferdam",
        "/var/lib/docker",
        "/var/run/docker.sock",
        &link,
        &alias,
        &dotted,
    ];
    let mut outcome = Ok(());
    for source in sources {
        let mount = format!("{source}:/host:ro");
        let ran = run(scene, &["--volume", &mount], &["ls", "/host"])?;
        if let Err(failure) = ran.refused(&["cofferdam:", "forbidden"]) {
            outcome = Err(failure);
            break;
        }
    }
    command::run("umount", &[&alias])?.ok()?;
    outcome?;
    // Docker's own driver binds as well.
    let create = [
        "volume",
        "create",
        "--opt",
        "type=none",
        "--opt",
        "o=bind",
        "--opt",
        "device=/etc",
        "sly",
    ];
    scene.docker(&create)?.ok()?;
    let ran = run(scene, &["--volume", "sly:/host"], &["cat", "/host/passwd"])?;
    scene.docker(&["volume", "rm", "sly"])?.ok()?;
    ran.refused(&["cofferdam:", "forbidden"])?.silent_on(&["root:"])?;
    Ok(())
}

fn other_host_paths_are_bound_as_they_were_judged(scene: &mut Scene) -> Outcome {
    let place = directory(scene, "free")?;
    let volume = format!("{}:/host", place.display());
    run(
        scene,
        &["--volume", &volume],
        &["sh", "-c", "cat /host/file; touch /host/new"],
    )?
    .ok()?
    .says(&["of the host"])?;
    ensure(place.join("new").exists(), || {
        "nothing was written to the host".to_owned()
    })?;
    let file = format!("{}:/etc/app.conf:ro", place.join("file").display());
    run(scene, &["--volume", &file], &["cat", "/etc/app.conf"])?
        .ok()?
        .says(&["of the host"])?;
    run(
        scene,
        &["--volume", &file],
        &["sh", "-c", "echo x > /etc/app.conf"],
    )?
    .refused(&["Read-only"])?;
    // What is mounted below comes along.
    let below = place.join("below");
    fs::create_dir_all(&below)?;
    mount(&["-t", "tmpfs", "none", &below.display().to_string()])?;
    fs::write(below.join("deep"), "deep\n")?;
    let ran = run(scene, &["--volume", &volume], &["cat", "/host/below/deep"])?;
    command::run("umount", &[below.display().to_string()])?.ok()?;
    ran.ok()?.says(&["deep"])?;
    Ok(())
}

fn what_the_settings_allow_of_the_host_is_bound(scene: &mut Scene) -> Outcome {
    scene.host.daemon.stop()?;
    scene.host.settings("[guard]\nallow = [\"/etc/passwd\"]")?;
    scene.host.daemon.start()?;
    let allowed = run(scene, &["--volume", "/etc/passwd:/x:ro"], &["grep", "root", "/x"]);
    let other = run(scene, &["--volume", "/etc/group:/x:ro"], &["grep", "root", "/x"]);
    scene.host.daemon.stop()?;
    scene.host.settings("")?;
    scene.host.daemon.start()?;
    allowed?.ok()?;
    other?.refused(&["cofferdam:", "forbidden"])?;
    Ok(())
}

fn without_a_daemon_a_host_path_is_not_bound(scene: &mut Scene) -> Outcome {
    let place = directory(scene, "alone")?;
    let mount = format!("{}:/host", place.display());
    scene.host.daemon.stop()?;
    run(scene, &["--volume", &mount], &["ls", "/host"])?.refused(&["cofferdam:", "cofferdamd"])?;
    scene.host.daemon.start()
}

fn a_volume_of_dockers_own_lies_beside_a_host_path(scene: &mut Scene) -> Outcome {
    let place = directory(scene, "beside")?;
    let bound = format!("{}:/host:ro", place.display());
    let options = ["--volume", "beside:/data", "--volume", &bound];
    run(
        scene,
        &options,
        &["sh", "-c", "cp /host/file /data/file && cat /data/file"],
    )?
    .ok()?
    .says(&["of the host"])?;
    scene.docker(&["volume", "rm", "beside"])?.ok()?;
    let options = ["--init", "--volume", "beside:/data"];
    run(scene, &options, &["touch", "/data/x"])?.ok()?;
    scene.docker(&["volume", "rm", "beside"])?.ok()?;
    Ok(())
}

/// Docker's own driver mounts whatever it is told to.
fn what_is_mounted_in_a_volume_of_dockers_is_judged(scene: &mut Scene) -> Outcome {
    let place = directory(scene, "driver")?;
    let free = format!("device={}", place.display());
    let overlay = "o=lowerdir=/etc:/boot".to_owned();
    for (options, allowed) in [
        (
            [
                "type=tmpfs".to_owned(),
                "device=tmpfs".to_owned(),
                "o=size=1m".to_owned(),
            ],
            true,
        ),
        (["type=none".to_owned(), "o=bind".to_owned(), free], true),
        (
            [
                "type=none".to_owned(),
                "o=bind".to_owned(),
                "device=/etc".to_owned(),
            ],
            false,
        ),
        (
            ["type=overlay".to_owned(), overlay, "device=overlay".to_owned()],
            false,
        ),
    ] {
        let mut create = vec!["volume", "create"];
        for option in &options {
            create.extend(["--opt", option]);
        }
        create.push("driven");
        scene.docker(&create)?.ok()?;
        let ran = run(scene, &["--volume", "driven:/host"], &["ls", "/host"])?;
        scene.docker(&["volume", "rm", "driven"])?.ok()?;
        match allowed {
            true => drop(ran.ok()?),
            false => drop(ran.refused(&["cofferdam:", "forbidden"])?),
        }
    }
    Ok(())
}

fn nobody_adds_to_a_container_what_it_was_not_started_with(scene: &mut Scene) -> Outcome {
    let id = Launch::of("tiny:1").argv(&["sleep", "60"]).detached(scene)?;
    scene.docker(&["exec", &id, "true"])?.ok()?;
    scene
        .docker(&["exec", "--privileged", &id, "true"])?
        .refused(&["cofferdam:", "was not started with"])?;
    Ok(())
}

fn homes_are_bound_in_part_and_without_what_is_hidden(scene: &mut Scene) -> Outcome {
    let home = std::path::Path::new("/home/alice");
    fs::create_dir_all(home.join("project"))?;
    fs::create_dir_all(home.join(".config"))?;
    run(scene, &["--volume", "/home/alice/project:/x"], &["ls", "/x"])?.ok()?;
    for source in ["/home", "/home/alice", "/home/alice/.config"] {
        let mount = format!("{source}:/x");
        run(scene, &["--volume", &mount], &["ls", "/x"])?.refused(&["cofferdam:", "forbidden"])?;
    }
    fs::remove_dir_all(home)?;
    Ok(())
}
