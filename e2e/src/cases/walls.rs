//! Guard rails: a container that can reach past its own walls, or be reached into, opens nothing. Neither
//! does one that has somebody else's files over its image's code.

use super::{Scene, cases};
use crate::{Outcome, failure::ensure};

cases!("walls":
    a_privileged_container_opens_nothing,
    the_hosts_pid_namespace_opens_nothing,
    another_containers_pid_namespace_opens_nothing,
    added_capabilities_that_reach_out_open_nothing,
    an_added_capability_needs_the_rules_leave,
    the_hosts_ipc_and_uts_need_the_rules_leave,
    the_hosts_network_needs_the_rules_leave,
    no_seccomp_filter_needs_the_rules_leave,
    a_filter_that_allows_everything_is_none,
    a_device_needs_the_rules_leave,
    a_block_device_opens_nothing,
    a_host_directory_over_the_images_code_is_refused,
    a_host_directory_is_refused_unless_the_rule_names_its_place,
    dropped_privileges_are_no_obstacle,
    nothing_lies_over_the_images_own_files,
    another_working_directory_is_refused,
);

/// Refused with one of ours before runc had its say.
fn refused_with(scene: &Scene, options: &[&str], words: &[&str]) -> Outcome {
    let volume = scene.named("data");
    let mut expected = vec!["cofferdam:"];
    expected.extend(words);
    scene.run(&volume, options, "tiny:1", &[])?.refused(&expected)?;
    scene.nothing_is_held()
}

fn a_privileged_container_opens_nothing(scene: &mut Scene) -> Outcome {
    scene.usual()?;
    refused_with(scene, &["--privileged"], &[])
}

fn the_hosts_pid_namespace_opens_nothing(scene: &mut Scene) -> Outcome {
    scene.usual()?;
    refused_with(scene, &["--pid", "host"], &["pid"])
}

fn another_containers_pid_namespace_opens_nothing(scene: &mut Scene) -> Outcome {
    scene.usual()?;
    scene
        .docker(&["run", "-d", "--name", "neighbour", "tiny:1", "sleep", "60"])?
        .ok()?;
    scene
        .run(
            &scene.named("data"),
            &["--pid", "container:neighbour"],
            "tiny:1",
            &[],
        )?
        .refused(&["cofferdam:", "pid"])?;
    scene.nothing_is_held()
}

fn added_capabilities_that_reach_out_open_nothing(scene: &mut Scene) -> Outcome {
    scene.usual()?;
    for capability in [
        "SYS_ADMIN",
        "SYS_PTRACE",
        "DAC_READ_SEARCH",
        "SYS_MODULE",
        "SYS_RAWIO",
    ] {
        refused_with(scene, &["--cap-add", capability], &[capability])?;
    }
    Ok(())
}

fn an_added_capability_needs_the_rules_leave(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    refused_with(scene, &["--cap-add", "NET_ADMIN"], &["NET_ADMIN"])?;
    let app = scene.app("routed", "tiny:1", &["--allow", "cap:NET_ADMIN"])?;
    scene.grant(&volume, &app, &[])?;
    scene
        .run(&volume, &["--cap-add", "NET_ADMIN"], "tiny:1", &[])?
        .ok()?;
    Ok(())
}

fn the_hosts_ipc_and_uts_need_the_rules_leave(scene: &mut Scene) -> Outcome {
    scene.usual()?;
    refused_with(scene, &["--ipc", "host"], &["ipc"])?;
    refused_with(scene, &["--uts", "host"], &["uts"])
}

fn the_hosts_network_needs_the_rules_leave(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    refused_with(scene, &["--network", "host"], &["network"])?;
    let app = scene.app("networked", "tiny:1", &["--network", "host"])?;
    scene.grant(&volume, &app, &[])?;
    scene.run(&volume, &["--network", "host"], "tiny:1", &[])?.ok()?;
    Ok(())
}

fn no_seccomp_filter_needs_the_rules_leave(scene: &mut Scene) -> Outcome {
    scene.usual()?;
    refused_with(scene, &["--security-opt", "seccomp=unconfined"], &["seccomp"])
}

fn a_device_needs_the_rules_leave(scene: &mut Scene) -> Outcome {
    scene.usual()?;
    refused_with(scene, &["--device", "/dev/net/tun:/dev/tun"], &["device"])
        .or_else(|_| refused_with(scene, &["--device", "/dev/kmsg:/dev/kmsg"], &["device"]))
}

fn a_block_device_opens_nothing(scene: &mut Scene) -> Outcome {
    scene.usual()?;
    let node = scene.host.scratch().join("block");
    if !node.exists() {
        let path = node.to_string_lossy();
        crate::command::run("mknod", &[&path, "b", "7", "200"])?.ok()?;
    }
    let device = format!("{}:/dev/sda", node.display());
    refused_with(scene, &["--device", &device], &["device"])
}

fn a_host_directory_over_the_images_code_is_refused(scene: &mut Scene) -> Outcome {
    scene.usual()?;
    let evil = scene.host.scratch().join("evil");
    std::fs::create_dir_all(&evil)?;
    std::fs::copy("/bin/true", evil.join("app"))?;
    let mount = format!("{}:/bin", evil.display());
    refused_with(scene, &["-v", &mount], &["/bin"])
}

fn a_host_directory_is_refused_unless_the_rule_names_its_place(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let directory = scene.host.scratch().join("shared-by-hand");
    std::fs::create_dir_all(&directory)?;
    let mount = format!("{}:/extra", directory.display());
    refused_with(scene, &["-v", &mount], &["/extra"])?;
    let app = scene.app("extended", "tiny:1", &["--allow-mount", "/extra"])?;
    scene.grant(&volume, &app, &[])?;
    scene.run(&volume, &["-v", &mount], "tiny:1", &[])?.ok()?;
    Ok(())
}

fn dropped_privileges_are_no_obstacle(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let options = [
        "--cap-drop",
        "ALL",
        "--security-opt",
        "no-new-privileges",
        "--read-only",
        "--user",
        "1000",
        "--memory",
        "64m",
        "--pids-limit",
        "50",
    ];
    let ran = scene.run(&volume, &options, "tiny:1", &[])?.ok()?;
    ensure(ran.out.contains("1000 was here"), || format!("{ran:?}"))
}

fn a_filter_that_allows_everything_is_none(scene: &mut Scene) -> Outcome {
    scene.usual()?;
    let file = scene.host.scratch().join("allow.json");
    std::fs::write(&file, r#"{"defaultAction": "SCMP_ACT_ALLOW"}"#)?;
    let option = format!("seccomp={}", file.display());
    refused_with(scene, &["--security-opt", &option], &["unconfined-seccomp"])
}

fn nothing_lies_over_the_images_own_files(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let mount = format!("{volume}:/bin");
    let line = [
        "run",
        "--rm",
        "--runtime",
        "cofferdam",
        "--volume",
        &mount,
        "tiny:1",
    ];
    scene.docker(&line)?.refused(&["cofferdam:", "/bin lies over"])?;
    refused_with(scene, &["--tmpfs", "/etc"], &["/etc lies over"])?;
    scene
        .run(&volume, &["--tmpfs", "/tmp"], "tiny:1", &[])?
        .ok()
        .map(drop)
}

fn another_working_directory_is_refused(scene: &mut Scene) -> Outcome {
    scene.usual()?;
    refused_with(scene, &["--workdir", "/data"], &["works in"])
}
