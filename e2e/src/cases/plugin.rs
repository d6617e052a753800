//! The Docker volume plugin: all of its verbs, from Docker and as a raw client.

use super::{Scene, cases};
use crate::{
    Outcome,
    command::same,
    daemon::PLUGIN,
    failure::{During, ensure},
    http::{Answer, request},
};
use serde_json::{Value, json};
use std::{fs, path::Path};

cases!("plugin":
    announces_itself_and_its_scope,
    docker_creates_lists_and_removes_a_volume,
    creating_twice_is_one_volume,
    creating_twice_with_other_options_is_a_conflict,
    options_that_mean_nothing_are_refused,
    a_volume_of_the_cli_needs_no_driver_flag,
    docker_does_not_remove_what_the_cli_made,
    a_held_volume_is_not_removed,
    what_an_operator_grants_docker_does_not_remove,
    mount_and_unmount_can_be_repeated_and_give_the_placeholder,
    a_volume_that_does_not_exist_is_an_error_in_every_verb,
    nonsense_is_answered_with_an_error,
);

/// One call, with a JSON body.
fn call(verb: &str, body: &Value) -> Outcome<Answer> {
    request(
        Path::new(PLUGIN),
        "POST",
        &format!("/{verb}"),
        body.to_string().as_bytes(),
    )
}

/// One call that must succeed, in the protocol's own way: no `Err`.
fn succeed(verb: &str, body: &Value) -> Outcome<Value> {
    let answer = call(verb, body)?;
    let value: Value = serde_json::from_str(&answer.body).during(&answer.body)?;
    let error = value.get("Err").and_then(Value::as_str).unwrap_or_default();
    ensure(answer.status == 200 && error.is_empty(), || {
        format!("{verb} {body}: {answer:?}")
    })?;
    Ok(value)
}

/// One call that must be refused with an `Err` that says these words.
fn refuse(verb: &str, body: &Value, words: &str) -> Outcome {
    let answer = call(verb, body)?;
    let value: Value = serde_json::from_str(&answer.body).during(&answer.body)?;
    let error = value.get("Err").and_then(Value::as_str).unwrap_or_default();
    ensure(!error.is_empty() && error.contains(words), || {
        format!("{verb} {body}: should have been refused with {words:?}: {answer:?}")
    })
}

fn announces_itself_and_its_scope(_: &mut Scene) -> Outcome {
    let activated = succeed("Plugin.Activate", &json!({}))?;
    same(
        "what it implements",
        activated.get("Implements"),
        Some(&json!(["VolumeDriver", "authz"])),
    )?;
    let capabilities = succeed("VolumeDriver.Capabilities", &json!({}))?;
    same(
        "its scope",
        capabilities.pointer("/Capabilities/Scope"),
        Some(&json!("local")),
    )
}

fn docker_creates_lists_and_removes_a_volume(scene: &mut Scene) -> Outcome {
    let name = scene.named("data");
    let create = [
        "volume",
        "create",
        "-d",
        "cofferdam",
        "-o",
        "size=1G",
        "-o",
        "access=shared",
        &name,
    ];
    scene.docker(&create)?.ok()?;
    scene.docker(&["volume", "ls", "--quiet"])?.ok()?.says(&[&name])?;
    scene
        .docker(&["volume", "inspect", &name])?
        .ok()?
        .says(&["\"Driver\": \"cofferdam\""])?;
    let shown = scene
        .cofferdam(&["--json", "volume", "show", &name])?
        .ok()?
        .json()?;
    same(
        "its access",
        shown.pointer("/volume/access"),
        Some(&json!("shared")),
    )?;
    same(
        "its size",
        shown.pointer("/volume/size"),
        Some(&json!(1_u64 << 30)),
    )?;
    scene.docker(&["volume", "rm", &name])?.ok()?;
    scene.cofferdam(&["volume", "show", &name])?.refused(&[&name])?;
    scene
        .docker(&["volume", "ls", "--quiet"])?
        .ok()?
        .silent_on(&[&name])?;
    Ok(())
}

fn creating_twice_is_one_volume(scene: &mut Scene) -> Outcome {
    let body = json!({ "Name": scene.named("data"), "Opts": { "size": "10M" } });
    succeed("VolumeDriver.Create", &body)?;
    succeed("VolumeDriver.Create", &body)?;
    Ok(())
}

fn creating_twice_with_other_options_is_a_conflict(scene: &mut Scene) -> Outcome {
    let name = scene.named("data");
    succeed(
        "VolumeDriver.Create",
        &json!({ "Name": name, "Opts": { "access": "shared" } }),
    )?;
    refuse(
        "VolumeDriver.Create",
        &json!({ "Name": name, "Opts": { "access": "exclusive" } }),
        "exists",
    )
}

fn options_that_mean_nothing_are_refused(scene: &mut Scene) -> Outcome {
    let name = scene.named("data");
    for (option, words) in [
        ("size=banana", "banana"),
        ("size=-1", "size"),
        ("access=everybody", "access"),
        ("colour=blue", "colour"),
        ("o=bind", "o"),
        ("device=/etc", "device"),
    ] {
        scene
            .docker(&["volume", "create", "-d", "cofferdam", "-o", option, &name])?
            .refused(&[words])?;
    }
    scene.cofferdam(&["volume", "show", &name])?.refused(&[])?;
    Ok(())
}

fn a_volume_of_the_cli_needs_no_driver_flag(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?.says(&["1000 was here"])?;
    Ok(())
}

fn docker_does_not_remove_what_the_cli_made(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run_usual(&volume)?.ok()?;
    scene
        .docker(&["volume", "rm", &volume])?
        .refused(&["cofferdam volume rm"])?;
    scene
        .run_usual(&volume)?
        .ok()?
        .says(&["was here\n1000 was here"])?;
    Ok(())
}

fn a_held_volume_is_not_removed(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    scene.keeper(&volume, &[])?;
    let holder = scene.hold(&volume, &[])?;
    let short = holder.get(..12).unwrap_or(&holder);
    scene
        .cofferdam(&["volume", "rm", &volume, "--yes"])?
        .refused(&[short])?;
    refuse("VolumeDriver.Remove", &json!({ "Name": volume }), &volume)
}

fn mount_and_unmount_can_be_repeated_and_give_the_placeholder(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    let body = json!({ "Name": volume, "ID": "b2f1" });
    let first = succeed("VolumeDriver.Mount", &body)?;
    let second = succeed("VolumeDriver.Mount", &body)?;
    same("the path of a second mount", &second, &first)?;
    let path = succeed("VolumeDriver.Path", &json!({ "Name": volume }))?;
    same(
        "the path asked for",
        path.get("Mountpoint"),
        first.get("Mountpoint"),
    )?;
    let got = succeed("VolumeDriver.Get", &json!({ "Name": volume }))?;
    same(
        "the name it gives",
        got.pointer("/Volume/Name"),
        Some(&json!(volume)),
    )?;
    let listed = succeed("VolumeDriver.List", &json!({}))?;
    let listed = listed
        .get("Volumes")
        .and_then(Value::as_array)
        .during("the list")?;
    let there = listed
        .iter()
        .any(|entry| entry.get("Name") == Some(&json!(volume)));
    ensure(there, || format!("{volume} is not in the list"))?;
    let place = first
        .get("Mountpoint")
        .and_then(Value::as_str)
        .during("the placeholder")?;
    let names: Vec<_> = fs::read_dir(place)?
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    same("what the placeholder holds", names, vec!["SEALED".into()])?;
    succeed("VolumeDriver.Unmount", &body)?;
    succeed("VolumeDriver.Unmount", &body)?;
    scene.nothing_is_held()
}

fn a_volume_that_does_not_exist_is_an_error_in_every_verb(scene: &mut Scene) -> Outcome {
    let name = scene.named("nowhere");
    for verb in ["Mount", "Path", "Get", "Remove"] {
        refuse(
            &format!("VolumeDriver.{verb}"),
            &json!({ "Name": name, "ID": "1" }),
            "nowhere",
        )?;
    }
    // Docker would make it by itself with the local driver; with ours it must be made on purpose.
    scene.docker(&["volume", "inspect", &name])?.refused(&[])?;
    Ok(())
}

fn nonsense_is_answered_with_an_error(scene: &mut Scene) -> Outcome {
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{\"Name\":7}",
        "{\"Name\":\"../etc\"}",
        "{\"Name\":\"A B\"}",
    ] {
        for verb in ["Create", "Mount", "Path", "Get", "Remove", "Unmount"] {
            let answer = request(
                Path::new(PLUGIN),
                "POST",
                &format!("/VolumeDriver.{verb}"),
                body.as_bytes(),
            )?;
            let refused = answer.status >= 400
                || answer.body.contains("\"Err\":\"") && !answer.body.contains("\"Err\":\"\"");
            ensure(refused, || format!("{verb} {body:?}: {answer:?}"))?;
        }
    }
    let unknown = request(Path::new(PLUGIN), "POST", "/VolumeDriver.Format", b"{}")?;
    ensure(unknown.status >= 400, || format!("an unknown verb: {unknown:?}"))?;
    ensure(scene.host.daemon.runs(), || "the daemon ended".to_owned())
}

/// Whoever names a volume first through Docker must not keep the power to destroy what others put into it.
fn what_an_operator_grants_docker_does_not_remove(scene: &mut Scene) -> Outcome {
    let (made, granted) = (scene.named("made"), scene.named("granted"));
    for volume in [&made, &granted] {
        scene
            .docker(&["volume", "create", "--driver", "cofferdam", volume])?
            .ok()?;
    }
    scene.cofferdam(&["volume", "create", &made])?.ok()?;
    let app = scene.app("app", "tiny:1", &[])?;
    scene.grant(&granted, &app, &[])?;
    for volume in [&made, &granted] {
        scene
            .docker(&["volume", "rm", volume])?
            .refused(&["cofferdam volume rm"])?;
    }
    Ok(())
}
