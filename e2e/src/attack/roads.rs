//! Docker's other roads to the data of a container that holds it.

use super::{
    case::{Attack, Attacker::Client},
    evidence::Evidence,
    ground::{FOREIGN, Ground, IMAGE},
};
use crate::{Outcome, command::run};
use serde_json::{Value, json};

pub(super) const ATTACKS: &[Attack] = &[
    Attack::new(
        "roads::exec",
        Client,
        "runs cat in the victim's container",
        "exec needs the grant's leave",
        |ground| exec(ground, &[]),
    )
    .told(&["payments.data"]),
    Attack::new(
        "roads::exec_privileged",
        Client,
        "runs it there with every privilege",
        "exec needs the grant's leave",
        |ground| exec(ground, &["--privileged"]),
    )
    .where_privileged()
    .told(&["added process"]),
    Attack::new(
        "roads::exec_as_another_user",
        Client,
        "runs it there as another user",
        "exec needs the grant's leave",
        |ground| exec(ground, &["--user", "0:0", "--workdir", "/data"]),
    )
    .told(&["payments.data"]),
    Attack::new(
        "roads::exec_over_the_api",
        Client,
        "does so without docker's own client",
        "exec needs the grant's leave",
        exec_over_the_api,
    )
    .told(&[]),
    Attack::new(
        "roads::cp_out",
        Client,
        "copies the secret out of the victim's container",
        "Docker finds only the placeholder",
        cp_out,
    ),
    Attack::new(
        "roads::cp_out_through_proc",
        Client,
        "copies it out by the way of /proc/1/root",
        "the container's /proc is not the host's",
        cp_out_through_proc,
    )
    .without_control("Docker's copy does not look at a container's own /proc"),
    Attack::new(
        "roads::cp_in",
        Client,
        "copies a file into the victim's volume",
        "the placeholder cannot be written",
        cp_in,
    ),
    Attack::new(
        "roads::archive_over_the_api",
        Client,
        "asks for the volume's directory as an archive",
        "Docker finds only the placeholder",
        archive_over_the_api,
    ),
    Attack::new(
        "roads::export",
        Client,
        "exports the victim's container",
        "the volume is not part of it",
        export,
    )
    .without_control("Docker's export never has volumes in it"),
    Attack::new(
        "roads::commit",
        Client,
        "makes an image of the victim's container and looks into it",
        "the volume is not part of it",
        commit,
    )
    .without_control("Docker's commit never has volumes in it"),
    Attack::new(
        "roads::diff",
        Client,
        "asks what has changed in the victim's container",
        "the volume's names are not among it",
        diff,
    )
    .without_control("Docker's diff never has volumes in it"),
    Attack::new(
        "roads::volumes_from",
        Client,
        "takes over the victim's mounts with --volumes-from",
        "that container is measured like any other",
        |ground| volumes_from(ground, ground.runtime()),
    )
    .told(&["image"]),
    Attack::new(
        "roads::volumes_from_by_runc",
        Client,
        "takes them over, and has runc start it",
        "runc finds the placeholder",
        |ground| volumes_from(ground, "runc"),
    ),
    Attack::new(
        "roads::another_runtime",
        Client,
        "names runc as the runtime",
        "runc finds the placeholder",
        |ground| by_runtime(ground, "runc"),
    ),
    Attack::new(
        "roads::another_shim",
        Client,
        "names containerd's own shim as the runtime",
        "runc finds the placeholder",
        |ground| by_runtime(ground, "io.containerd.runc.v2"),
    ),
    Attack::new(
        "roads::writing_by_another_runtime",
        Client,
        "writes to the volume in a container of runc's",
        "the placeholder cannot be written",
        writing_by_another_runtime,
    ),
    Attack::new(
        "roads::a_guessed_path",
        Client,
        "mounts the directory that Docker names as the volume's place",
        "that is the placeholder",
        a_guessed_path,
    ),
    Attack::new(
        "roads::every_guessed_path",
        Client,
        "mounts every directory in which the data of a volume might lie",
        "none of them has it",
        every_guessed_path,
    ),
    Attack::new(
        "roads::a_volume_of_the_same_name",
        Client,
        "makes a volume of Docker's own with the victim's name, and waits for what the victim writes there",
        "the victim's name belongs to the victim's volume",
        a_volume_of_the_same_name,
    ),
    Attack::new(
        "roads::removing_the_volume",
        Client,
        "removes the volume",
        "Docker removes only what Docker made",
        removing_the_volume,
    )
    .told(&["cofferdam volume rm"]),
];

fn exec(ground: &mut Ground, options: &[&str]) -> Outcome<Evidence> {
    let victim = ground.held()?;
    let line = [&["exec"], options, &[&victim, "cat", "/data/marker"]].concat();
    let ran = ground.docker(&line)?;
    Ok(ground.read(&ran))
}

fn exec_over_the_api(ground: &mut Ground) -> Outcome<Evidence> {
    let victim = ground.held()?;
    let wish = json!({ "AttachStdout": true, "AttachStderr": true, "Cmd": ["cat", "/data/marker"] });
    let made = ground.api("POST", &format!("/containers/{victim}/exec"), &wish)?;
    let made: Value = serde_json::from_str(&made.body)?;
    let id = made.get("Id").and_then(Value::as_str).unwrap_or_default();
    let told = ground.api(
        "POST",
        &format!("/exec/{id}/start"),
        &json!({ "Detach": false, "Tty": true }),
    )?;
    Ok(ground.told(&told.body))
}

fn cp_out(ground: &mut Ground) -> Outcome<Evidence> {
    let victim = ground.held()?;
    let target = ground.place("copied")?;
    let ran = ground.docker(&["cp", &format!("{victim}:/data/."), &target.to_string_lossy()])?;
    Ok(ground.lies_below(&target)?.and(ground.read(&ran)))
}

fn cp_out_through_proc(ground: &mut Ground) -> Outcome<Evidence> {
    let victim = ground.held()?;
    let target = ground.place("copied")?;
    for way in [
        "/proc/1/root/data/marker",
        "/proc/self/root/data/marker",
        "/data/../data/marker",
    ] {
        ground.docker(&["cp", &format!("{victim}:{way}"), &target.to_string_lossy()])?;
    }
    ground.lies_below(&target)
}

fn cp_in(ground: &mut Ground) -> Outcome<Evidence> {
    let victim = ground.held()?;
    let file = ground.tool("planted", "x")?;
    let ran = ground.docker(&["cp", &file, &format!("{victim}:/data/planted")])?;
    let planted = ground.inside()?.join("planted").exists();
    Ok(Evidence::when(
        planted,
        "a file was planted in the volume",
        ran.said(),
    ))
}

fn archive_over_the_api(ground: &mut Ground) -> Outcome<Evidence> {
    let victim = ground.held()?;
    let told = ground.api(
        "GET",
        &format!("/containers/{victim}/archive?path=/data"),
        &Value::Null,
    )?;
    Ok(ground.told(&told.body))
}

fn export(ground: &mut Ground) -> Outcome<Evidence> {
    let victim = ground.held()?;
    let file = ground.place("exported")?.join("tar");
    ground
        .docker(&["export", "--output", &file.to_string_lossy(), &victim])?
        .ok()?;
    ground.lies_below(&file)
}

fn commit(ground: &mut Ground) -> Outcome<Evidence> {
    let victim = ground.held()?;
    ground.docker(&["commit", &victim, "taken:1"])?.ok()?;
    let looked = ground.run_bare(&[], "taken:1", &["sh", "-c", "ls -A /data; cat /data/*"])?;
    ground.docker(&["image", "rm", "taken:1"])?.ok()?;
    Ok(ground.read(&looked))
}

fn diff(ground: &mut Ground) -> Outcome<Evidence> {
    let victim = ground.held()?;
    let ran = ground.docker(&["diff", &victim])?.ok()?;
    Ok(Evidence::when(
        ran.out.contains("/data/marker"),
        "a name in the volume was seen",
        ran.said(),
    ))
}

fn volumes_from(ground: &mut Ground, runtime: &str) -> Outcome<Evidence> {
    ground.held()?;
    let line = [
        "run",
        "--rm",
        "--runtime",
        runtime,
        "--volumes-from",
        "victim",
        FOREIGN,
    ];
    let ran = ground.docker(&line)?;
    Ok(ground.read(&ran))
}

fn by_runtime(ground: &mut Ground, runtime: &str) -> Outcome<Evidence> {
    ground.held()?;
    let mount = format!("{}:/data", ground.volume());
    let line = ["run", "--rm", "--runtime", runtime, "--volume", &mount, FOREIGN];
    let ran = ground.docker(&line)?;
    Ok(ground.read(&ran))
}

fn writing_by_another_runtime(ground: &mut Ground) -> Outcome<Evidence> {
    ground.held()?;
    let mount = format!("{}:/data", ground.volume());
    let ran = ground.run_by_runc(
        &["--volume", &mount],
        IMAGE,
        &["sh", "-c", "echo x > /data/planted"],
    )?;
    let planted = ground.inside()?.join("planted").exists();
    Ok(Evidence::when(
        planted,
        "a file was planted in the volume",
        ran.said(),
    ))
}

fn a_guessed_path(ground: &mut Ground) -> Outcome<Evidence> {
    ground.held()?;
    let mount = format!("{}:/data", ground.mountpoint()?);
    let ran = ground.run_by_runc(&["--volume", &mount], FOREIGN, &[])?;
    Ok(ground.read(&ran))
}

fn every_guessed_path(ground: &mut Ground) -> Outcome<Evidence> {
    let victim = ground.held()?;
    // Files alone: beside them lie pipes, at which a reader would wait.
    let script = "find /x -type f -size -20000k | xargs timeout 20 grep -hos 'marker-of-payments-[0-9a-f]*'";
    let mut evidence = Evidence::default();
    let roots = [
        "/run/cofferdam".to_owned(),
        "/var/lib/cofferdam".to_owned(),
        "/var/lib/docker/volumes".to_owned(),
        format!("/run/docker/containerd/daemon/io.containerd.runtime.v2.task/moby/{victim}"),
    ];
    for root in roots {
        let mount = format!("{root}:/x:ro");
        let ran = ground.run_by_runc(&["--volume", &mount], "tiny:1", &["sh", "-c", script])?;
        evidence = evidence.and(ground.read(&ran));
    }
    Ok(evidence)
}

/// What the victim writes must not land where everybody reads.
fn a_volume_of_the_same_name(ground: &mut Ground) -> Outcome<Evidence> {
    ground.made()?;
    if !ground.guarded() {
        ground.docker(&["volume", "rm", ground.volume()])?.ok()?;
    }
    let made = ground.docker(&["volume", "create", "--driver", "local", ground.volume()])?;
    let victim = ground.hold(&[]);
    let mount = format!("{}:/data", ground.volume());
    let ran = ground.run_by_runc(&["--volume", &mount], FOREIGN, &[])?;
    victim?;
    Ok(ground.read(&ran).and(Evidence::when(false, "", made.said())))
}

fn removing_the_volume(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let ran = ground.docker(&["volume", "rm", "--force", ground.volume()])?;
    let gone = if ground.guarded() {
        !ground.listed()?.contains("marker")
    } else {
        run("ls", &[format!("/var/lib/docker/volumes/{}", ground.volume())])?.code != Some(0)
    };
    Ok(Evidence::when(gone, "the data is gone", ran.said()))
}
