//! Names, sizes and options from people: parsed into what they mean, or refused with what is right.

use super::{Scene, cases};
use crate::Outcome;
use crate::failure::{During, ensure};

cases!("bad_input":
    bad_names_are_refused_everywhere,
    bad_sizes_are_refused,
    things_that_do_not_exist_are_named,
    making_again_with_other_properties_is_a_conflict,
    making_again_with_the_same_properties_succeeds,
    an_image_that_does_not_exist_is_named,
    a_privilege_that_reaches_out_opens_no_volume_whatever_the_rule_says,
    a_tenant_that_owns_things_is_not_removed,
    docker_refuses_a_volume_that_does_not_exist,
    megabytes_of_arguments_are_refused_and_kept_short,
);

fn bad_names_are_refused_everywhere(scene: &mut Scene) -> Outcome {
    let long = "x".repeat(64);
    for name in [
        "", "A", "a b", "../x", "a.b.c", ".a", "a.", "-a", "a/b", "ä", "a\nb", &long,
    ] {
        scene.cofferdam(&["volume", "create", "--", name])?.refused(&[])?;
        scene.cofferdam(&["tenant", "create", "--", name])?.refused(&[])?;
        scene.cofferdam(&["volume", "show", "--", name])?.refused(&[])?;
    }
    scene.cofferdam(&["volume", "create", "A.B"])?.refused(&["a-z"])?;
    Ok(())
}

fn bad_sizes_are_refused(scene: &mut Scene) -> Outcome {
    let name = scene.named("data");
    for size in ["", "1.5G", "G", "1X", "99999999P", "1 G", "0x10"] {
        let option = format!("--size={size}");
        scene
            .cofferdam(&["volume", "create", &name, &option])?
            .refused(&["10G"])?;
    }
    scene
        .cofferdam(&["volume", "create", &name, "--size=-1"])?
        .refused(&[])?;
    scene
        .cofferdam(&["volume", "create", &name, "--access", "everybody"])?
        .refused(&["exclusive", "shared"])?;
    scene.cofferdam(&["volume", "show", &name])?.refused(&[])?;
    Ok(())
}

fn things_that_do_not_exist_are_named(scene: &mut Scene) -> Outcome {
    let ghost = scene.named("ghost");
    let volume = scene.volume("data", &[])?;
    let app = scene.app("app", "tiny:1", &[])?;
    scene.cofferdam(&["grant", &ghost, &app])?.refused(&[&ghost])?;
    scene.cofferdam(&["grant", &volume, &ghost])?.refused(&[&ghost])?;
    scene.cofferdam(&["revoke", &volume, &app])?.refused(&[&volume])?;
    scene
        .cofferdam(&["volume", "rm", &ghost, "--yes"])?
        .refused(&[&ghost])?;
    scene
        .cofferdam(&["volume", "create", "no-such-tenant.data"])?
        .refused(&["no-such-tenant"])?;
    Ok(())
}

fn making_again_with_other_properties_is_a_conflict(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &["--size", "1G"])?;
    scene
        .cofferdam(&["volume", "create", &volume, "--size", "2G"])?
        .refused(&[&volume])?;
    let app = scene.app("app", "tiny:1", &[])?;
    scene
        .cofferdam(&["app", "create", &app, "--image", "tiny:2"])?
        .refused(&[&app])?;
    Ok(())
}

fn making_again_with_the_same_properties_succeeds(scene: &mut Scene) -> Outcome {
    for _ in 0..2 {
        let volume = scene.volume("data", &["--size", "1G"])?;
        let app = scene.app("app", "tiny:1", &[])?;
        scene.grant(&volume, &app, &["--read-only"])?;
    }
    Ok(())
}

fn an_image_that_does_not_exist_is_named(scene: &mut Scene) -> Outcome {
    let name = scene.named("app");
    scene
        .cofferdam(&["app", "create", &name, "--image", "no-such-image:7"])?
        .refused(&["no-such-image:7"])?;
    scene
        .cofferdam(&["app", "create", &name, "--image", "sha256:abc"])?
        .refused(&[])?;
    scene
        .cofferdam(&["app", "create", &name, "--image", "../../etc?x=1"])?
        .refused(&[])?;
    scene.cofferdam(&["app", "show", &name])?.refused(&[])?;
    Ok(())
}

fn a_privilege_that_reaches_out_opens_no_volume_whatever_the_rule_says(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    for (number, (privilege, option)) in [
        ("cap:SYS_ADMIN", ["--cap-add", "SYS_ADMIN"]),
        ("cap:SYS_PTRACE", ["--cap-add", "SYS_PTRACE"]),
        ("everything", ["--device", "/dev/loop0"]),
        ("namespace:pid", ["--pid", "host"]),
    ]
    .into_iter()
    .enumerate()
    {
        let app = scene.app(&format!("app{number}"), "tiny:1", &["--allow", privilege])?;
        scene.grant(&volume, &app, &[])?;
        scene
            .run(&volume, &option, "tiny:1", &[])?
            .refused(&["cofferdam:", &volume])?;
    }
    Ok(())
}

fn a_tenant_that_owns_things_is_not_removed(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    let tenant = volume.split('.').next().unwrap_or_default();
    scene
        .cofferdam(&["tenant", "rm", tenant, "--yes"])?
        .refused(&[])?;
    scene.cofferdam(&["volume", "show", &volume])?.ok()?;
    Ok(())
}

fn docker_refuses_a_volume_that_does_not_exist(scene: &mut Scene) -> Outcome {
    let mount = format!("{}:/data", scene.named("nowhere"));
    let driver = [
        "run",
        "--rm",
        "--runtime",
        "cofferdam",
        "--volume-driver",
        "cofferdam",
        "-v",
        &mount,
        "tiny:1",
    ];
    scene.app("app", "tiny:1", &[])?;
    // Docker asks the plugin to make it; it is made, and belongs to nobody's app.
    scene.docker(&driver)?.refused(&["cofferdam"])?;
    Ok(())
}

/// A refusal is kept for `cofferdam why`, and a thousand of them are: none may be long because a client was.
fn megabytes_of_arguments_are_refused_and_kept_short(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let long = "x".repeat(100_000);
    let argv: Vec<&str> = std::iter::repeat_n(long.as_str(), 12).collect();
    scene
        .run(&volume, &[], "tiny:1", &argv)?
        .refused(&["cofferdam:", "argv"])?;
    let kept = scene.cofferdam(&["--json", "why"])?.ok()?.json()?;
    let newest = kept.pointer("/0").during("a decision")?.to_string();
    ensure(newest.len() < 64 << 10, || {
        format!("{} bytes are kept", newest.len())
    })
}
