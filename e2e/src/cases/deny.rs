//! Denials that come from who asks: another image, another command, no grant.

use super::{Scene, cases};
use crate::{Outcome, Ran, failure::During};

cases!("deny":
    another_image_is_refused,
    another_image_under_the_same_tag_is_refused,
    another_command_is_refused_and_named,
    another_entrypoint_is_refused,
    an_app_with_its_own_argv_takes_no_other,
    an_app_without_a_grant_is_refused,
    a_grant_that_has_run_out_is_refused,
    a_revoked_grant_refuses_the_next_start,
    another_tenant_is_refused_until_there_is_a_grant,
    an_app_bound_to_a_user_takes_no_other_user,
    a_name_or_label_proves_nothing,
    why_tells_the_decision_that_the_error_names,
);

/// The error must be one of ours, about this volume, and name the decision.
fn denied(ran: Ran, volume: &str, words: &[&str]) -> Outcome<Ran> {
    ran.refused(&["cofferdam:", volume, "cofferdam why"])?.says(words)
}

fn another_image_is_refused(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    denied(scene.run(&volume, &[], "tiny:2", &[])?, &volume, &["image"])?;
    scene.nothing_is_held()
}

fn another_image_under_the_same_tag_is_refused(scene: &mut Scene) -> Outcome {
    scene.docker(&["tag", "tiny:1", "moving:latest"])?.ok()?;
    let volume = scene.volume("data", &[])?;
    let app = scene.app("app", "moving:latest", &[])?;
    scene.grant(&volume, &app, &[])?;
    scene.run(&volume, &[], "moving:latest", &[])?.ok()?;
    scene.docker(&["tag", "tiny:2", "moving:latest"])?.ok()?;
    denied(
        scene.run(&volume, &[], "moving:latest", &[])?,
        &volume,
        &["image"],
    )?;
    Ok(())
}

fn another_command_is_refused_and_named(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let app = scene.named("app");
    denied(
        scene.run(&volume, &[], "tiny:1", &["sh", "-c", "cat /data/log"])?,
        &volume,
        &["argv", &app, "sh"],
    )?;
    Ok(())
}

fn another_entrypoint_is_refused(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    denied(
        scene.run(&volume, &["--entrypoint", "/bin/sh"], "tiny:1", &[])?,
        &volume,
        &["argv"],
    )?;
    Ok(())
}

fn an_app_with_its_own_argv_takes_no_other(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    let app = scene.app("lister", "tiny:1", &["--", "ls", "/data"])?;
    scene.grant(&volume, &app, &[])?;
    scene.run(&volume, &[], "tiny:1", &["ls", "/data"])?.ok()?;
    for argv in [&["ls", "/data", "-a"][..], &["ls"], &["ls /data"], &[]] {
        denied(scene.run(&volume, &[], "tiny:1", argv)?, &volume, &["argv"])?;
    }
    Ok(())
}

fn an_app_without_a_grant_is_refused(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    scene.app("app", "tiny:1", &[])?;
    denied(scene.run(&volume, &[], "tiny:1", &[])?, &volume, &[])?;
    Ok(())
}

fn a_grant_that_has_run_out_is_refused(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    let app = scene.app("app", "tiny:1", &[])?;
    scene.grant(&volume, &app, &["--until", "3s"])?;
    scene.run(&volume, &[], "tiny:1", &[])?.ok()?;
    std::thread::sleep(std::time::Duration::from_secs(3));
    denied(scene.run(&volume, &[], "tiny:1", &[])?, &volume, &[])?;
    Ok(())
}

fn a_revoked_grant_refuses_the_next_start(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    scene.run(&volume, &[], "tiny:1", &[])?.ok()?;
    scene.cofferdam(&["revoke", &volume, &scene.named("app")])?.ok()?;
    denied(scene.run(&volume, &[], "tiny:1", &[])?, &volume, &[])?;
    Ok(())
}

fn another_tenant_is_refused_until_there_is_a_grant(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    let other = format!("{}-other", scene.named("x").replace('.', "-"));
    scene.cofferdam(&["tenant", "create", &other])?.ok()?;
    let app = format!("{other}.app");
    scene
        .cofferdam(&["app", "create", &app, "--image", "tiny:1"])?
        .ok()?;
    denied(scene.run(&volume, &[], "tiny:1", &[])?, &volume, &[])?;
    scene.grant(&volume, &app, &[])?;
    scene.run(&volume, &[], "tiny:1", &[])?.ok()?;
    Ok(())
}

fn an_app_bound_to_a_user_takes_no_other_user(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &[])?;
    let app = scene.app("app", "tiny:1", &["--user", "1000:1000"])?;
    scene.grant(&volume, &app, &[])?;
    scene
        .run(&volume, &["--user", "1000:1000"], "tiny:1", &[])?
        .ok()?;
    denied(
        scene.run(&volume, &["--user", "1001:1000"], "tiny:1", &[])?,
        &volume,
        &["user"],
    )?;
    denied(scene.run(&volume, &[], "tiny:1", &[])?, &volume, &["user"])?;
    Ok(())
}

fn a_name_or_label_proves_nothing(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let app = scene.named("app");
    let label = format!("cofferdam.app={app}");
    let options = [
        "--name",
        &app,
        "--hostname",
        "app",
        "--label",
        &label,
        "--env",
        "COFFERDAM_APP=app",
    ];
    denied(scene.run(&volume, &options, "tiny:2", &[])?, &volume, &["image"])?;
    Ok(())
}

fn why_tells_the_decision_that_the_error_names(scene: &mut Scene) -> Outcome {
    let volume = scene.usual()?;
    let ran = denied(scene.run(&volume, &[], "tiny:2", &[])?, &volume, &[])?;
    let after = ran
        .err
        .split("cofferdam why ")
        .nth(1)
        .during("the decision's id")?;
    let id: String = after.chars().take_while(char::is_ascii_hexdigit).collect();
    scene.cofferdam(&["why", &id])?.ok()?.says(&[&volume, "image"])?;
    scene.cofferdam(&["why"])?.ok()?.says(&[&volume])?;
    scene.cofferdam(&["--json", "why", &id])?.ok()?.json()?;
    scene.cofferdam(&["why", "ffffffff"])?.refused(&[])?;
    Ok(())
}
