//! Tickets: what a tenant has signed tells its launches from those of others that run the same image.

use super::{Scene, cases};
use crate::{Outcome, Ran, failure::ensure};
use std::{thread::sleep, time::Duration};

cases!("tickets":
    an_app_that_requires_a_ticket_takes_no_launch_without,
    a_ticket_never_reaches_the_container,
    tickets_that_do_not_hold_open_nothing,
    another_tenants_ticket_opens_nothing,
    a_ticket_for_one_launch_is_good_for_one,
    a_ticket_is_needed_again_after_a_restart,
);

/// A volume and an app that requires a ticket, with a grant.
fn ticketed(scene: &Scene) -> Outcome<(String, String)> {
    let volume = scene.volume("data", &["--size", "64M"])?;
    let app = scene.app("app", "tiny:1", &["--require-ticket"])?;
    scene.grant(&volume, &app, &[])?;
    Ok((volume, app))
}

/// A ticket for the app, as it is handed over.
fn ticket(scene: &Scene, app: &str, more: &[&str]) -> Outcome<String> {
    let mut arguments = vec!["ticket", "issue", app];
    arguments.extend(more);
    let issued = scene.cofferdam(&arguments)?.ok()?;
    Ok(format!("COFFERDAM_TICKET={}", issued.out.trim()))
}

fn with(scene: &Scene, volume: &str, ticket: &str) -> Outcome<Ran> {
    scene.run(volume, &["--user", "1000", "--env", ticket], "tiny:1", &[])
}

fn an_app_that_requires_a_ticket_takes_no_launch_without(scene: &mut Scene) -> Outcome {
    let (volume, app) = ticketed(scene)?;
    let remedy = format!("cofferdam ticket issue {app}");
    scene
        .run_usual(&volume)?
        .refused(&["cofferdam:", &volume, "it brings no ticket", &remedy])?;
    with(scene, &volume, &ticket(scene, &app, &[])?)?.ok()?;
    let shown = scene.cofferdam(&["app", "show", &app])?.ok()?;
    shown.says(&["ticket", "required"])?;
    // An app without that rule needs none, and takes no harm from one.
    scene.script("other", &volume, "true", &[])?;
    let ran = scene.run(
        &volume,
        &["--env", "COFFERDAM_TICKET=x"],
        "tiny:1",
        &["sh", "-c", "true"],
    )?;
    ran.ok()?;
    Ok(())
}

fn a_ticket_never_reaches_the_container(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &["--size", "64M"])?;
    let script = "env; cat /proc/1/environ";
    let rule = [
        "--require-ticket",
        "--allow-env",
        "COLOUR",
        "--",
        "sh",
        "-c",
        script,
    ];
    let app = scene.app("app", "tiny:1", &rule)?;
    scene.grant(&volume, &app, &[])?;
    let handed = ticket(scene, &app, &[])?;
    let ran = scene.run(
        &volume,
        &["--env", "COLOUR=blue", "--env", &handed],
        "tiny:1",
        &["sh", "-c", script],
    )?;
    ran.ok()?
        .says(&["COLOUR=blue"])?
        .silent_on(&["COFFERDAM_TICKET", &handed])?;
    Ok(())
}

fn tickets_that_do_not_hold_open_nothing(scene: &mut Scene) -> Outcome {
    let (volume, app) = ticketed(scene)?;
    let good = ticket(scene, &app, &[])?;
    // One character in the middle of it is another.
    let at = good.len() / 2;
    let other = if good.get(at..=at) == Some("A") { "B" } else { "A" };
    let mut forged = good.clone();
    forged.replace_range(at..=at, other);
    let short = ticket(scene, &app, &["--until", "1s"])?;
    let elsewhere = ticket(scene, &app, &["--host", "elsewhere"])?;
    sleep(Duration::from_millis(1100));
    for (handed, why) in [
        (forged.as_str(), "ticket"),
        ("COFFERDAM_TICKET=", "ticket"),
        ("COFFERDAM_TICKET=../../etc/passwd", "ticket"),
        (short.as_str(), "expired"),
        (elsewhere.as_str(), "is for host elsewhere"),
    ] {
        with(scene, &volume, handed)?.refused(&["cofferdam:", &volume, why])?;
    }
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    with(scene, &volume, &ticket(scene, &app, &["--host", &name])?)?.ok()?;
    scene.nothing_is_held()
}

fn another_tenants_ticket_opens_nothing(scene: &mut Scene) -> Outcome {
    let (volume, app) = ticketed(scene)?;
    let tenant = format!("{}x", scene.named("").trim_end_matches('.'));
    let theirs = format!("{tenant}.app");
    scene.cofferdam(&["tenant", "create", &tenant])?.ok()?;
    let rule = ["--image", "tiny:1", "--require-ticket"];
    scene
        .cofferdam(&[&["app", "create", &theirs], &rule[..]].concat())?
        .ok()?;
    let handed = ticket(scene, &theirs, &[])?;
    // It proves another tenant's app, which has no grant; of that, nothing is told.
    let refused = with(scene, &volume, &handed)?.refused(&["cofferdam:", &volume, "no app of tenant"])?;
    refused.silent_on(&[&theirs])?;
    with(scene, &volume, &ticket(scene, &app, &[])?)?.ok()?;
    // With the owner's grant it is the other way round as well.
    scene.grant(&volume, &theirs, &["--read-only"])?;
    with(scene, &volume, &handed)?.says(&["Read-only file system"])?;
    scene.cofferdam(&["app", "rm", &theirs])?.ok()?;
    with(scene, &volume, &handed)?.refused(&["cofferdam:", &volume])?;
    scene.cofferdam(&["tenant", "rm", &tenant])?.ok()?;
    Ok(())
}

fn a_ticket_for_one_launch_is_good_for_one(scene: &mut Scene) -> Outcome {
    let (volume, app) = ticketed(scene)?;
    let handed = ticket(scene, &app, &["--once"])?;
    with(scene, &volume, &handed)?.ok()?;
    let refused =
        |scene: &Scene| with(scene, &volume, &handed)?.refused(&["cofferdam:", &volume, "one launch"]);
    refused(scene)?;
    scene.host.daemon.stop()?;
    scene.host.daemon.start()?;
    refused(scene)?;
    with(scene, &volume, &ticket(scene, &app, &["--once"])?)?.ok()?;
    Ok(())
}

fn a_ticket_is_needed_again_after_a_restart(scene: &mut Scene) -> Outcome {
    let volume = scene.volume("data", &["--size", "64M"])?;
    let app = scene.app("app", "tiny:1", &["--require-ticket", "--", "/bin/keep"])?;
    scene.grant(&volume, &app, &[])?;
    let holder = scene.hold(&volume, &["--env", &ticket(scene, &app, &[])?])?;
    scene.docker(&["restart", "--time", "0", &holder])?.ok()?;
    ensure(!scene.attachments()?.is_empty(), || "it holds nothing".to_owned())?;
    scene.docker(&["rm", "--force", &holder])?.ok()?;
    let holder = scene.hold(&volume, &["--env", &ticket(scene, &app, &["--until", "3s"])?])?;
    sleep(Duration::from_secs(3));
    scene
        .docker(&["restart", "--time", "0", &holder])?
        .refused(&["cofferdam:", &volume, "expired"])?;
    scene.nothing_is_held()
}
