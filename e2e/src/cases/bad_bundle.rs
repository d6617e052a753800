//! Bundles as an attacker or an accident might leave them. Each is refused, or run as it was judged.

use super::{Scene, cases};
use crate::{
    Outcome, Ran,
    command::start,
    failure::{During, ensure},
    gate::Gate,
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};

cases!("bad_bundle":
    a_missing_bundle_is_refused,
    a_config_that_is_not_json_is_refused,
    a_huge_config_is_refused,
    a_deeply_nested_config_is_refused,
    a_config_that_is_a_link_or_a_pipe_is_refused,
    a_bundle_that_no_engine_made_opens_nothing,
    a_bundle_changed_to_another_command_opens_nothing,
    a_bundle_changed_to_another_root_opens_nothing,
    a_config_swapped_while_it_is_judged_does_not_run,
    a_config_with_two_lists_of_mounts_opens_nothing,
    a_placeholder_by_another_path_is_still_known,
    an_annotation_that_steers_the_runtime_is_refused,
    a_host_path_by_a_relative_source_or_an_overlay_is_refused,
    what_runc_could_read_otherwise_is_refused_without_a_volume_as_well,
    an_id_that_is_a_path_is_refused,
    hooks_beside_a_volume_are_refused,
    a_mount_or_user_namespace_that_is_not_its_own_opens_nothing,
);

/// `create` as a shim calls it.
fn create(scene: &Scene, bundle: &Path, id: &str) -> Outcome<Ran> {
    let root = scene.host.scratch().join("runtime-root");
    scene.host.runtime(&[
        "--root",
        &root.to_string_lossy(),
        "create",
        "--bundle",
        &bundle.to_string_lossy(),
        id,
    ])
}

/// An empty bundle directory.
fn bundle(scene: &Scene, name: &str) -> Outcome<PathBuf> {
    let path = scene.host.scratch().join("bundles").join(name);
    if path.exists() {
        fs::remove_dir_all(&path)?;
    }
    fs::create_dir_all(path.join("rootfs"))?;
    Ok(path)
}

/// Lets an engine's bundle be changed before it is judged; answers what `docker run` then said.
fn changed(scene: &Scene, volume: &str, change: impl FnOnce(&mut Value) -> Outcome) -> Outcome<Ran> {
    let gate = Gate::shut()?;
    let running = scene.begin("gated", volume, &[], &[])?;
    change_at(gate, change)?;
    running.end()
}

/// The same for a container that asks for no volume.
fn changed_without_volume(scene: &Scene, change: impl FnOnce(&mut Value) -> Outcome) -> Outcome<Ran> {
    let gate = Gate::shut()?;
    let line = ["run", "--rm", "--runtime", "gated", "tiny:1", "/bin/true"];
    let running = start(&scene.host.command("docker", &line))?;
    change_at(gate, change)?;
    running.end()
}

fn change_at(gate: Gate, change: impl FnOnce(&mut Value) -> Outcome) -> Outcome {
    let path = gate.bundle()?.join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path)?)?;
    change(&mut config)?;
    fs::write(&path, serde_json::to_vec(&config)?)?;
    gate.open()?;
    Ok(())
}

fn a_missing_bundle_is_refused(scene: &mut Scene) -> Outcome {
    create(scene, Path::new("/nowhere/at/all"), "missing")?.refused(&["/nowhere/at/all"])?;
    let empty = bundle(scene, "empty")?;
    create(scene, &empty, "empty")?.refused(&["config.json"])?;
    Ok(())
}

fn a_config_that_is_not_json_is_refused(scene: &mut Scene) -> Outcome {
    let path = bundle(scene, "nonsense")?;
    for text in [
        "",
        "{",
        "[]",
        "7",
        "{\"mounts\": 7}",
        "{\"mounts\": [7]}",
        "\u{0}\u{0}",
        "{\"ociVersion\":",
    ] {
        fs::write(path.join("config.json"), text)?;
        create(scene, &path, "nonsense")?.refused(&["cofferdam:"])?;
    }
    Ok(())
}

fn a_huge_config_is_refused(scene: &mut Scene) -> Outcome {
    let path = bundle(scene, "huge")?;
    let text = format!("{{\"ociVersion\":\"1.0.2\",\"x\":\"{}\"}}", "x".repeat(100 << 20));
    fs::write(path.join("config.json"), text)?;
    create(scene, &path, "huge")?.refused(&["cofferdam:"])?;
    let sparse = fs::File::create(path.join("config.json"))?;
    sparse.set_len(1 << 40)?;
    create(scene, &path, "huge")?.refused(&["cofferdam:"])?;
    fs::remove_dir_all(path)?;
    Ok(())
}

fn a_deeply_nested_config_is_refused(scene: &mut Scene) -> Outcome {
    let path = bundle(scene, "deep")?;
    let depth = 200_000;
    let text = format!("{{\"mounts\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    fs::write(path.join("config.json"), text)?;
    let ran = create(scene, &path, "deep")?.refused(&["cofferdam:"])?;
    ensure(ran.code.is_some(), || "the wrapper crashed".to_owned())
}

fn a_config_that_is_a_link_or_a_pipe_is_refused(scene: &mut Scene) -> Outcome {
    let path = bundle(scene, "odd")?;
    let config = path.join("config.json");
    std::os::unix::fs::symlink("/etc/passwd", &config)?;
    create(scene, &path, "odd")?
        .refused(&["cofferdam:"])?
        .silent_on(&["root:x"])?;
    fs::remove_file(&config)?;
    crate::command::run("mkfifo", &[&config])?.ok()?;
    create(scene, &path, "odd")?.refused(&["cofferdam:"])?;
    Ok(())
}

/// A bundle with a volume's placeholder, as a human would write it.
fn handmade(scene: &Scene, volume: &str, name: &str) -> Outcome<PathBuf> {
    let path = bundle(scene, name)?;
    let config = json!({
        "ociVersion": "1.0.2",
        "process": { "args": ["/bin/app"], "cwd": "/", "user": { "uid": 0, "gid": 0 } },
        "root": { "path": "rootfs" },
        "mounts": [{ "destination": "/data", "type": "bind", "source": placeholder(scene, volume)?, "options": ["rbind"] }],
        "linux": { "namespaces": [{ "type": "pid" }, { "type": "mount" }] },
    });
    fs::write(path.join("config.json"), serde_json::to_vec(&config)?)?;
    Ok(path)
}

/// Where the engine is told that a volume lies.
fn placeholder(scene: &Scene, volume: &str) -> Outcome<PathBuf> {
    let told = scene
        .docker(&["volume", "inspect", "--format", "{{.Mountpoint}}", volume])?
        .ok()?;
    Ok(PathBuf::from(told.text()))
}

fn a_bundle_that_no_engine_made_opens_nothing(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let path = handmade(scene, &volume, "handmade")?;
    create(scene, &path, "handmade")?.refused(&["cofferdam:"])?;
    scene.nothing_is_held()
}

fn a_bundle_changed_to_another_command_opens_nothing(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let ran = changed(scene, &volume, |config| {
        *config.pointer_mut("/process/args").during("args")? = json!(["/bin/sh", "-c", "cat /data/log"]);
        Ok(())
    })?;
    ran.refused(&["cofferdam:", "argv"])?;
    Ok(())
}

fn a_bundle_changed_to_another_root_opens_nothing(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let other = scene.host.scratch().join("images/tiny-2");
    let ran = changed(scene, &volume, |config| {
        *config.pointer_mut("/root/path").during("root")? = json!(other);
        Ok(())
    })?;
    ran.refused(&["cofferdam:"])?;
    scene.nothing_is_held()
}

fn a_config_swapped_while_it_is_judged_does_not_run(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    for swap_by_rename in [true, false] {
        let gate = Gate::shut()?;
        let running = scene.begin("gated", &volume, &[], &[])?;
        let path = gate.bundle()?.join("config.json");
        let mut config: Value = serde_json::from_slice(&fs::read(&path)?)?;
        scene.host.daemon.freeze()?;
        gate.open()?;
        // The wrapper has read the bundle and waits for its answer; now another one is put in its place.
        crate::process::until("the wrapper asks", std::time::Duration::from_secs(3), || {
            !crate::process::with_arguments(&["cofferdam-runtime", " create "]).is_empty()
        })?;
        std::thread::sleep(std::time::Duration::from_millis(300));
        *config.pointer_mut("/process/args").during("args")? =
            json!(["/bin/sh", "-c", "echo swapped; cat /data/log"]);
        let evil = serde_json::to_vec(&config)?;
        if swap_by_rename {
            fs::write(path.with_extension("evil"), evil)?;
            fs::rename(path.with_extension("evil"), &path)?;
        } else {
            fs::write(&path, evil)?;
        }
        scene.host.daemon.thaw()?;
        running.end()?.silent_on(&["swapped"])?;
        scene.nothing_is_held()?;
    }
    Ok(())
}

fn a_config_with_two_lists_of_mounts_opens_nothing(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let gate = Gate::shut()?;
    let running = scene.begin("gated", &volume, &[], &[])?;
    let path = gate.bundle()?.join("config.json");
    let text = fs::read_to_string(&path)?;
    let doubled = text.replacen('{', "{\"mounts\":[],\"Mounts\":[],", 1);
    fs::write(&path, doubled)?;
    gate.open()?;
    running.end()?.refused(&["cofferdam:"])?;
    scene.nothing_is_held()
}

fn a_placeholder_by_another_path_is_still_known(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    let link = scene.host.scratch().join("link-to-placeholder");
    if link.is_symlink() {
        fs::remove_file(&link)?;
    }
    let placeholder = placeholder(scene, &volume)?;
    std::os::unix::fs::symlink(&placeholder, &link)?;
    let below = placeholder
        .strip_prefix("/run/cofferdam")
        .during("a path below /run/cofferdam")?;
    let winding = format!("/run/cofferdam/../cofferdam/./{}", below.display());
    for source in [link.to_string_lossy().into_owned(), winding] {
        let mount = format!("type=bind,source={source},target=/data");
        let line = [
            "run",
            "--rm",
            "--runtime",
            "cofferdam",
            "--mount",
            &mount,
            "tiny:2",
        ];
        scene
            .docker(&line)?
            .refused(&["cofferdam:", &volume])?
            .silent_on(&["was here"])?;
    }
    Ok(())
}

fn an_annotation_that_steers_the_runtime_is_refused(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    for key in ["run.oci.handler", "org.criu.config", "krun.cpus"] {
        let ran = changed(scene, &volume, |config| {
            let object = config.as_object_mut().during("an object")?;
            object.insert("annotations".to_owned(), json!({ key: "x" }));
            Ok(())
        })?;
        ran.refused(&["cofferdam:", key])?;
    }
    Ok(())
}

fn mounts(config: &mut Value) -> Outcome<&mut Vec<Value>> {
    config
        .get_mut("mounts")
        .and_then(Value::as_array_mut)
        .during("its mounts")
}

fn a_host_path_by_a_relative_source_or_an_overlay_is_refused(scene: &mut Scene) -> Outcome {
    let up = "../".repeat(20) + "etc";
    let ways = [
        (
            json!({"destination": "/x", "type": "bind", "source": up, "options": ["rbind"]}),
            "is forbidden",
        ),
        (
            json!({"destination": "/x", "type": "overlay", "source": "overlay", "options": ["lowerdir=/etc:/usr"]}),
            "cannot be judged",
        ),
    ];
    for (way, words) in ways {
        let ran = changed_without_volume(scene, |config| {
            mounts(config)?.push(way);
            Ok(())
        })?;
        ran.refused(&[words])?;
    }
    changed_without_volume(scene, |_| Ok(()))?.ok()?;
    Ok(())
}

fn what_runc_could_read_otherwise_is_refused_without_a_volume_as_well(scene: &mut Scene) -> Outcome {
    let other = json!([{"destination": "/x", "type": "bind", "source": "/etc", "options": ["rbind"]}]);
    let ran = changed_without_volume(scene, |config| {
        config
            .as_object_mut()
            .during("an object")?
            .insert("Mounts".to_owned(), other);
        Ok(())
    })?;
    ran.refused(&["another case"])?;
    Ok(())
}

fn an_id_that_is_a_path_is_refused(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let path = handmade(scene, &volume, "paths")?;
    for id in ["../escape", "a/b", "..", ""] {
        create(scene, &path, id)?.refused(&[])?;
    }
    scene.nothing_is_held()
}

fn hooks_beside_a_volume_are_refused(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let trace = scene.host.scratch().join("hook-ran");
    let ran = changed(scene, &volume, |config| {
        let object = config.as_object_mut().during("an object")?;
        let hook = json!([{ "path": "/bin/touch", "args": ["touch", trace] }]);
        object.insert("hooks".to_owned(), json!({ "createContainer": hook }));
        Ok(())
    })?;
    // Docker brings a hook of its own for some networks, so only what runs in the container's namespaces counts.
    ensure(!ran.is_ok() && !trace.exists(), || {
        format!("{ran:?}; the hook ran: {}", trace.exists())
    })
}

/// Docker asks for neither; an engine that does is refused.
fn a_mount_or_user_namespace_that_is_not_its_own_opens_nothing(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    for (kind, path) in [
        ("mount", None),
        ("mount", Some("/proc/1/ns/mnt")),
        ("user", Some("/proc/1/ns/user")),
    ] {
        let ran = changed(scene, &volume, |config| {
            let namespaces = config
                .pointer_mut("/linux/namespaces")
                .and_then(Value::as_array_mut)
                .during("namespaces")?;
            namespaces.retain(|namespace| namespace.get("type").is_none_or(|named| named != kind));
            namespaces.extend(path.map(|path| json!({ "type": kind, "path": path })));
            Ok(())
        })?;
        ran.refused(&["cofferdam:", &volume])?;
    }
    scene.nothing_is_held()
}
