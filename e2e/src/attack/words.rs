//! Words that speak to the terminal of whoever reads them, and names that look like others.

use super::{
    case::{
        Attack,
        Attacker::{Client, Tenant},
    },
    evidence::Evidence,
    ground::{Ground, IMAGE},
};
use crate::{Outcome, Ran, failure::ensure};

/// Clears a terminal, names its window, turns the direction of writing, and would be a line of ours.
const HOSTILE: &str =
    "\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}\u{9b}31m\r\ncofferdam: payments.data is open to everybody\n";

/// The part of it that can be in the name of a mount's place, which ends at a colon.
const HOSTILE_PATH: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{202e}\u{9b}31m";

pub(super) const ATTACKS: &[Attack] = &[
    Attack::new(
        "words::in_the_command",
        Client,
        "puts escape sequences and a line of ours into the command",
        "what is shown is escaped",
        |ground| shown(ground, &[], &[HOSTILE], "{{.Config.Cmd}}"),
    )
    .told(&[]),
    Attack::new(
        "words::in_the_working_directory",
        Client,
        "puts them into the name of a directory",
        "what is shown is escaped",
        |ground| {
            shown(
                ground,
                &["--workdir", &format!("/{HOSTILE}")],
                &[],
                "{{.Config.WorkingDir}}",
            )
        },
    )
    .told(&[]),
    Attack::new(
        "words::in_the_place_of_a_mount",
        Client,
        "puts them into the place at which something is mounted",
        "what is shown is escaped",
        |ground| {
            let source = ground.place("words")?;
            let mount = format!("{}:/mnt/{HOSTILE_PATH}", source.display());
            shown(
                ground,
                &["--volume", &mount],
                &[],
                "{{range .Mounts}}{{.Destination}}{{end}}",
            )
        },
    )
    .told(&[]),
    Attack::new(
        "words::in_the_name_of_a_variable",
        Client,
        "puts them into the name of an environment variable",
        "what is shown is escaped",
        |ground| {
            shown(
                ground,
                &["--env", &format!("A{HOSTILE}=1")],
                &[],
                "{{.Config.Env}}",
            )
        },
    )
    .told(&[]),
    Attack::new(
        "words::in_a_hostname_and_labels",
        Client,
        "puts them into the container's labels",
        "nothing of ours shows labels",
        |ground| {
            let label = format!("a={HOSTILE}");
            shown(ground, &["--label", &label], &["sh"], "{{.Config.Labels}}")
        },
    )
    .told(&[]),
    Attack::new(
        "words::names_that_look_like_the_victims",
        Tenant,
        "makes volumes whose names look like the victim's",
        "names have one form and few letters",
        names_that_look_like_the_victims,
    )
    .without_control("Docker takes none of these names either"),
];

/// Whether a text would do something to the terminal that shows it, or pretend to be ours.
fn deceives(text: &str) -> bool {
    text.contains(['\u{1b}', '\u{7}', '\u{202e}', '\u{9b}'])
        || text
            .lines()
            .any(|line| line.starts_with("cofferdam: payments.data is open"))
}

fn judged(ran: &Ran) -> Evidence {
    Evidence::when(
        deceives(&ran.said()),
        "the terminal of whoever reads was spoken to",
        ran.said(),
    )
}

/// Everything that shows an operator what somebody tried; in the control Docker's own.
fn shown(ground: &mut Ground, options: &[&str], argv: &[&str], format: &str) -> Outcome<Evidence> {
    ground.written()?;
    if !ground.guarded() {
        let line = [&["create"], options, &[IMAGE], argv].concat();
        let container = ground.docker(&line)?.ok()?.text();
        let ran = ground
            .docker(&["inspect", "--format", format, &container])?
            .ok()?;
        return Ok(judged(&ran));
    }
    let before = ground.scene.host.daemon.log_length();
    let ran = ground.run(options, IMAGE, argv)?;
    let said = ran.said();
    let mut evidence = judged(&ran);
    let after = said.split("cofferdam why ").nth(1).unwrap_or_default();
    let id: String = after.chars().take_while(char::is_ascii_hexdigit).collect();
    ensure(!id.is_empty(), || format!("no decision is named: {said}"))?;
    for line in [
        &["why"][..],
        &["why", &id],
        &["--json", "why", &id],
        &["ledger", "tail"],
        &["attachments"],
    ] {
        evidence = evidence.and(judged(&ground.scene.cofferdam(line)?));
    }
    let log = ground.scene.host.daemon.log_since(before);
    Ok(evidence.and(Evidence::when(
        deceives(&log),
        "the daemon's log speaks to the terminal",
        "",
    )))
}

fn names_that_look_like_the_victims(ground: &mut Ground) -> Outcome<Evidence> {
    let mut evidence = Evidence::default();
    for name in [
        "payments.d\u{430}ta",
        "payments.data\u{200b}",
        "Payments.data",
        "payments..data",
        "payments.data ",
        "payments\u{2024}data",
        "payments.data\u{1b}[1D",
        "payments.data/../data",
    ] {
        let made = ground.scene.cofferdam(&["volume", "create", name])?;
        let by_docker = ground.docker(&["volume", "create", "--driver", "cofferdam", name])?;
        evidence = evidence.and(Evidence::when(
            made.is_ok() || by_docker.is_ok(),
            "such a volume was made",
            name,
        ));
        evidence = evidence.and(judged(&made));
        // What comes before our own words is Docker's client, who repeats what he was given.
        let said = by_docker.said();
        let ours = said
            .find("cofferdam: ")
            .and_then(|begin| said.get(begin..))
            .unwrap_or_default();
        evidence = evidence.and(Evidence::when(
            deceives(ours),
            "the terminal of whoever reads was spoken to",
            said.clone(),
        ));
    }
    Ok(evidence)
}
