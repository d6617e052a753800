//! Tickets: what a tenant signed for one app, in other hands.

use super::{
    case::{
        Attack,
        Attacker::{Client, Tenant},
    },
    evidence::Evidence,
    ground::{Ground, IMAGE},
};
use crate::Outcome;
use std::{thread::sleep, time::Duration};

/// Why none of these has a control.
const NONE: &str = "plain Docker has no tickets: whoever names the volume has it";

pub(super) const ATTACKS: &[Attack] = &[
    Attack::new(
        "tickets::none",
        Tenant,
        "runs the same image without a ticket",
        "the app requires one",
        |ground| with(ground, |_| Ok(None)),
    )
    .without_control(NONE)
    .told(&["ticket"]),
    Attack::new(
        "tickets::forged",
        Tenant,
        "changes a byte of a ticket",
        "its signature does not hold",
        forged,
    )
    .without_control(NONE)
    .told(&["ticket"]),
    Attack::new(
        "tickets::cut",
        Tenant,
        "cuts the signature off a ticket",
        "its signature does not hold",
        |ground| {
            with(ground, |ground| {
                let good = issue(ground, "payments.app", &[])?;
                Ok(good.get(..good.len() / 2).map(str::to_owned))
            })
        },
    )
    .without_control(NONE)
    .told(&["ticket"]),
    Attack::new(
        "tickets::expired",
        Client,
        "brings a ticket after its time",
        "it has expired",
        expired,
    )
    .without_control(NONE)
    .told(&["expired"]),
    Attack::new(
        "tickets::replayed",
        Client,
        "brings a ticket for one launch again",
        "it was seen",
        replayed,
    )
    .without_control(NONE)
    .told(&["one launch"]),
    Attack::new(
        "tickets::another_hosts",
        Client,
        "brings a ticket for another host",
        "it is for that host",
        |ground| {
            with(ground, |ground| {
                issue(ground, "payments.app", &["--host", "elsewhere"]).map(Some)
            })
        },
    )
    .without_control(NONE)
    .told(&["elsewhere"]),
    Attack::new(
        "tickets::another_tenants",
        Tenant,
        "brings a ticket of its own tenant's",
        "it proves another app",
        another_tenants,
    )
    .without_control(NONE)
    .told(&["payments.data"]),
    Attack::new(
        "tickets::another_apps",
        Tenant,
        "brings a ticket of the victim's for another app",
        "that app has no such grant",
        another_apps,
    )
    .without_control(NONE)
    .told(&["payments.data"]),
    Attack::new(
        "tickets::megabytes",
        Tenant,
        "brings a ticket of a megabyte",
        "it is no ticket",
        |ground| with(ground, |_| Ok(Some("A".repeat(120_000)))),
    )
    .without_control(NONE)
    .told(&["ticket"]),
    Attack::new(
        "tickets::with_control_characters",
        Tenant,
        "brings a ticket that would speak to the terminal",
        "it is no ticket",
        |ground| {
            with(ground, |_| {
                Ok(Some("\u{1b}[2J\u{202e}../../etc/passwd".to_owned()))
            })
        },
    )
    .without_control(NONE)
    .told(&["ticket"]),
];

fn issue(ground: &Ground, app: &str, more: &[&str]) -> Outcome<String> {
    let line = [&["ticket", "issue", app], more].concat();
    Ok(ground.scene.cofferdam(&line)?.ok()?.text())
}

/// The victim's own command, with what is handed over as a ticket; the app requires one.
fn with(ground: &mut Ground, ticket: impl FnOnce(&Ground) -> Outcome<Option<String>>) -> Outcome<Evidence> {
    ground.with_rule(&["--require-ticket"]);
    ground.written()?;
    let ticket = ticket(ground)?;
    let variable = ticket.map(|ticket| format!("COFFERDAM_TICKET={ticket}"));
    let options: Vec<&str> = variable
        .iter()
        .flat_map(|text| ["--env", text.as_str()])
        .collect();
    let ran = ground.run(&options, IMAGE, &[])?;
    Ok(ground.started(&ran))
}

fn forged(ground: &mut Ground) -> Outcome<Evidence> {
    with(ground, |ground| {
        let mut ticket = issue(ground, "payments.app", &[])?;
        let at = ticket.len() / 2;
        let other = if ticket.get(at..=at) == Some("A") {
            "B"
        } else {
            "A"
        };
        ticket.replace_range(at..=at, other);
        Ok(Some(ticket))
    })
}

fn expired(ground: &mut Ground) -> Outcome<Evidence> {
    with(ground, |ground| {
        let ticket = issue(ground, "payments.app", &["--until", "1s"])?;
        sleep(Duration::from_millis(1100));
        Ok(Some(ticket))
    })
}

fn replayed(ground: &mut Ground) -> Outcome<Evidence> {
    with(ground, |ground| {
        let ticket = issue(ground, "payments.app", &["--once"])?;
        let variable = format!("COFFERDAM_TICKET={ticket}");
        ground.run(&["--env", &variable], IMAGE, &[])?.ok()?;
        ground.scene.nothing_is_held()?;
        Ok(Some(ticket))
    })
}

fn another_tenants(ground: &mut Ground) -> Outcome<Evidence> {
    with(ground, |ground| {
        ground.scene.cofferdam(&["tenant", "create", "mallory"])?.ok()?;
        let rule = [
            "app",
            "create",
            "mallory.app",
            "--image",
            IMAGE,
            "--require-ticket",
        ];
        ground.scene.cofferdam(&rule)?.ok()?;
        issue(ground, "mallory.app", &[]).map(Some)
    })
}

fn another_apps(ground: &mut Ground) -> Outcome<Evidence> {
    with(ground, |ground| {
        ground.scene.app("other", IMAGE, &["--require-ticket"])?;
        issue(ground, "payments.other", &[]).map(Some)
    })
}
