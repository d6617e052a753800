//! Another tenant of the host, with the same image, a user of his own, and the group that may speak to the daemon.

use super::{
    case::{Attack, Attacker::Tenant},
    evidence::Evidence,
    ground::{FOREIGN, Ground, IMAGE},
};
use crate::{Outcome, Ran};

/// Why most of these have no control.
const NONE: &str = "plain Docker has no tenants: whoever speaks to it has every volume";

/// The attacker's user, who is a member of his tenant and in the group `cofferdam`.
const USER: &str = "61999";

pub(super) const ATTACKS: &[Attack] = &[
    Attack::new(
        "tenants::the_same_image_by_a_rule_of_his_own",
        Tenant,
        "makes an app of the victim's image with a command that prints the data",
        "his app has no grant for the victim's volume",
        the_same_image_by_a_rule_of_his_own,
    )
    .told(&["payments.data"]),
    Attack::new(
        "tenants::a_grant_to_himself",
        Tenant,
        "grants his own app the victim's volume",
        "he may not act for the victim",
        a_grant_to_himself,
    )
    .without_control(NONE)
    .told(&["you may not act for tenant payments"]),
    Attack::new(
        "tenants::an_app_of_the_victims_name",
        Tenant,
        "makes an app in the victim's name, by his own image",
        "he may not act for the victim",
        |ground| acts(ground, &["app", "create", "payments.his", "--image", FOREIGN]),
    )
    .without_control(NONE)
    .told(&["you may not act for tenant payments"]),
    Attack::new(
        "tenants::a_ticket_in_the_victims_name",
        Tenant,
        "issues a ticket for the victim's app",
        "he may not act for the victim",
        |ground| acts(ground, &["ticket", "issue", "payments.app"]),
    )
    .without_control(NONE)
    .told(&["you may not act for tenant payments"]),
    Attack::new(
        "tenants::a_recipient_of_his_own",
        Tenant,
        "has the volume's key wrapped for a key of his own",
        "he may not act for the victim",
        |ground| {
            let his = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
            acts(ground, &["volume", "share", "payments.data", "--recipient", his])
        },
    )
    .without_control(NONE)
    .told(&["you may not act for tenant payments"]),
    Attack::new(
        "tenants::removing_the_victims_volume",
        Tenant,
        "removes the victim's volume over the daemon's socket",
        "he may not act for the victim",
        |ground| acts(ground, &["volume", "rm", "payments.data", "--yes"]),
    )
    .without_control(NONE)
    .told(&["you may not act for tenant payments"]),
    Attack::new(
        "tenants::looking",
        Tenant,
        "lists volumes, apps, containers and decisions of the host",
        "he sees what is his",
        looking,
    )
    .without_control(NONE),
];

/// The other tenant, with an app of the victim's image.
fn settle(ground: &Ground, rule: &[&str]) -> Outcome {
    let cofferdam = |line: &[&str]| ground.scene.cofferdam(line)?.ok().map(drop);
    cofferdam(&["tenant", "create", "mallory"])?;
    cofferdam(&["tenant", "member", "add", "mallory", "--user", USER])?;
    cofferdam(&[&["app", "create", "mallory.app", "--image"], rule].concat())
}

fn by_him(ground: &Ground, line: &[&str]) -> Outcome<Ran> {
    ground.by_member("cofferdam", line, USER)
}

fn the_same_image_by_a_rule_of_his_own(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    let words = ["cat", "/data/marker"];
    if ground.guarded() {
        settle(ground, &[IMAGE, "--", words[0], words[1]])?;
    }
    let ran = ground.run(&[], IMAGE, &words)?;
    Ok(ground.read(&ran))
}

fn a_grant_to_himself(ground: &mut Ground) -> Outcome<Evidence> {
    ground.written()?;
    settle(ground, &[FOREIGN])?;
    let granted = by_him(ground, &["grant", ground.volume(), "mallory.app"])?;
    let ran = ground.run(&[], FOREIGN, &[])?;
    Ok(Evidence::when(granted.is_ok(), "the grant was made", granted.said()).and(ground.read(&ran)))
}

fn acts(ground: &mut Ground, line: &[&str]) -> Outcome<Evidence> {
    ground.written()?;
    settle(ground, &[FOREIGN])?;
    let ran = by_him(ground, line)?;
    Ok(Evidence::when(ran.is_ok(), "it was done", ran.said()))
}

fn looking(ground: &mut Ground) -> Outcome<Evidence> {
    let victim = ground.held()?;
    settle(ground, &[FOREIGN])?;
    let mut evidence = Evidence::default();
    for line in [
        &["volume", "ls"][..],
        &["app", "ls"],
        &["tenant", "ls"],
        &["attachments"],
        &["why"],
        &["--json", "why"],
    ] {
        let ran = by_him(ground, line)?.ok()?;
        let seen =
            ran.said().contains("payments") || ran.said().contains(victim.get(..12).unwrap_or(&victim));
        evidence = evidence.and(Evidence::when(seen, "he saw what is another's", ran.said()));
    }
    Ok(evidence)
}
