//! Who gets in, who does not, and what is said.

use super::*;
use crate::fixture::{app, attachment, digest, grant, measurement, mount, now};
use cofferdam_model::{AppName, Command, ErrorKind, Grant, Namespace, Owner, TicketFound, UserRule};
use proptest::prelude::*;
use std::fmt::Write as _;

/// One app with one grant.
fn facts() -> Facts {
    facts_of(
        [app("payments.postgres", 1)],
        [grant("payments.pgdata", "payments.postgres")],
    )
}

fn facts_of<const A: usize, const G: usize>(apps: [App; A], grants: [Grant; G]) -> Facts {
    let mut facts = Facts::new();
    apps.into_iter()
        .for_each(|app| assert!(facts.insert_app(app).is_none()));
    grants
        .iter()
        .for_each(|grant| assert!(facts.insert_grant(grant).is_none()));
    facts
}

fn judge(operator: &str) -> Judge {
    Judge::new(&[("site.cedar".to_owned(), operator.to_owned())]).unwrap()
}

fn open(judge: &Judge, facts: &Facts, measurement: &Measurement) -> Verdict {
    let volume = "payments.pgdata".parse().unwrap();
    let verdict = judge.open(facts, measurement, &volume, &mount("payments.pgdata"), now());
    assert_eq!(verdict.decision.allowed, verdict.outcome.is_ok());
    assert!(!verdict.decision.reasons.is_empty());
    verdict
}

fn denied(judge: &Judge, facts: &Facts, measurement: &Measurement) -> Problem {
    let problem = open(judge, facts, measurement).outcome.unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Denied, "{problem}");
    problem
}

fn name(text: &str) -> AppName {
    text.parse().unwrap()
}

#[test]
fn an_app_that_requires_a_ticket_is_proved_by_its_own_alone() {
    let mut required = app("payments.postgres", 1);
    required.rule.ticket = true;
    let facts = facts_of([required], [grant("payments.pgdata", "payments.postgres")]);
    let with = |ticket| Measurement {
        ticket,
        ..measurement()
    };
    let missing = denied(&judge(""), &facts, &with(None));
    assert!(missing.message.contains("it brings no ticket"), "{missing}");
    assert!(
        missing
            .to_string()
            .contains("cofferdam ticket issue payments.postgres"),
        "{missing}"
    );
    let others = with(Some(TicketFound::Holds(name("reports.postgres"))));
    let others = denied(&judge(""), &facts, &others);
    assert!(others.message.contains("for another app"), "{others}");
    assert!(!others.message.contains("reports"), "{others}");
    let bad = with(Some(TicketFound::Fails("it is \u{1b}[31mold".to_owned())));
    let bad = denied(&judge(""), &facts, &bad);
    assert!(bad.message.contains("proves nothing"), "{bad}");
    assert!(!bad.message.contains('\u{1b}'), "{bad}");
    let own = with(Some(TicketFound::Holds(name("payments.postgres"))));
    assert!(open(&judge(""), &facts, &own).outcome.is_ok());
    // Without a ticket and with another command, the ticket alone would not help, and is not advised.
    let mut both = with(None);
    both.argv = vec!["sh".to_owned()];
    assert!(
        !denied(&judge(""), &facts, &both)
            .to_string()
            .contains("ticket issue")
    );
}

#[test]
fn the_right_app_gets_in() {
    let verdict = open(&judge(""), &facts(), &measurement());
    let admitted = verdict.outcome.unwrap();
    assert_eq!(admitted.volume().to_string(), "payments.pgdata");
    assert_eq!(*admitted.app(), name("payments.postgres"));
    assert_eq!(
        (admitted.destination(), admitted.mount_index()),
        ("/var/lib/postgresql/data", 3)
    );
    assert_eq!((admitted.read_only(), admitted.exec()), (false, false));
    assert_eq!(
        verdict.decision.reasons,
        [
            "the app has a grant on the volume",
            "the app has a grant on the volume that lets it write"
        ]
    );
}

#[test]
fn nothing_known_means_nobody() {
    let problem = denied(&judge(""), &Facts::new(), &measurement());
    assert_eq!(
        problem.to_string(),
        "no app has a grant on payments.pgdata; cofferdam grant payments.pgdata APP"
    );
}

#[test]
fn reading_alone_opens_read_only() {
    let mut reading = grant("payments.pgdata", "payments.postgres");
    reading.write = false;
    let facts = facts_of([app("payments.postgres", 1)], [reading]);
    let verdict = open(&judge(""), &facts, &measurement());
    assert!(verdict.decision.read_only && verdict.outcome.unwrap().read_only());
    assert_eq!(verdict.decision.reasons.len(), 2);
}

#[test]
fn what_is_asked_read_only_is_opened_read_only() {
    let (volume, mut mount) = ("payments.pgdata".parse().unwrap(), mount("payments.pgdata"));
    mount.read_only = true;
    let verdict = judge("").open(&facts(), &measurement(), &volume, &mount, now());
    assert!(verdict.outcome.unwrap().read_only());
}

#[test]
fn an_app_that_may_write_is_preferred() {
    let mut reading = grant("payments.pgdata", "payments.a");
    reading.write = false;
    let apps = [app("payments.a", 1), app("payments.b", 1), app("payments.c", 1)];
    let grants = [
        reading,
        grant("payments.pgdata", "payments.b"),
        grant("payments.pgdata", "payments.c"),
    ];
    let admitted = open(&judge(""), &facts_of(apps, grants), &measurement())
        .outcome
        .unwrap();
    assert_eq!(*admitted.app(), name("payments.b"));
    assert!(!admitted.read_only());
}

#[test]
fn a_grant_ends_at_its_instant() {
    let ending = |seconds: i64| {
        let mut grant = grant("payments.pgdata", "payments.postgres");
        grant.until = Some(Timestamp::from_second(now().as_second() + seconds).unwrap());
        facts_of([app("payments.postgres", 1)], [grant])
    };
    assert!(open(&judge(""), &ending(1), &measurement()).outcome.is_ok());
    for seconds in [0, -1, -100_000] {
        let problem = denied(&judge(""), &ending(seconds), &measurement());
        assert!(problem.message.contains("ended at"), "{problem}");
    }
}

#[test]
fn a_mount_of_something_else_is_refused() {
    let volume = "payments.other".parse().unwrap();
    let facts = facts_of(
        [app("payments.postgres", 1)],
        [grant("payments.other", "payments.postgres")],
    );
    let verdict = judge("").open(&facts, &measurement(), &volume, &mount("payments.pgdata"), now());
    assert_eq!(verdict.outcome.unwrap_err().kind, ErrorKind::Internal);
}

#[test]
fn a_grant_without_its_app_gives_nothing() {
    let facts = facts_of([], [grant("payments.pgdata", "payments.postgres")]);
    denied(&judge(""), &facts, &measurement());
}

/// What runs into a guard rail, and how its reason begins.
type Rail = (fn(&mut Measurement), &'static str);

/// Guard rails, each with what runs into it.
const RAILS: [Rail; 7] = [
    (
        |m| {
            m.privileges.insert(Privilege::Capability("SYS_ADMIN".into()));
        },
        "it is privileged",
    ),
    (
        |m| {
            m.privileges.insert(Privilege::BlockDevice("b *:* rwm".into()));
        },
        "it is privileged",
    ),
    (|m| m.namespaces.pid = Namespace::Host, "its pid namespace"),
    (|m| m.namespaces.pid = Namespace::Foreign, "its pid namespace"),
    (|m| m.namespaces.mount = Namespace::Host, "its mount namespace"),
    (|m| m.namespaces.mount = Namespace::Foreign, "its mount namespace"),
    (
        |m| m.namespaces.user = Namespace::Foreign,
        "it joins a user namespace",
    ),
];

#[test]
fn guard_rails_hold_against_everything() {
    let judge = judge("permit (principal, action, resource);");
    let facts = facts();
    for (change, expected) in RAILS {
        let mut measurement = measurement();
        change(&mut measurement);
        let problem = denied(&judge, &facts, &measurement);
        let start = format!("payments.pgdata is not open to this container: {expected}");
        assert!(problem.message.starts_with(&start), "{problem}");
        assert_eq!(problem.remedy, None);
        let held = [attachment("payments.pgdata", "payments.postgres")];
        let problem = judge.exec(&facts, &measurement, &held, true, now()).unwrap_err();
        assert!(problem.message.contains(expected), "{problem}");
        assert!(judge.checkpoint(&facts, &measurement, &held, now()).is_err());
        // Each rail stands by itself, not only through the launch rule.
        let right = facts
            .right(&"payments.pgdata".parse().unwrap(), &name("payments.postgres"))
            .unwrap();
        let mount = mount("payments.pgdata");
        let volume = "payments.pgdata".parse().unwrap();
        let asked = Asked {
            volume: &volume,
            measurement: &measurement,
            destination: &mount.destination,
            read_only: true,
            healthcheck: false,
            now: now(),
        };
        let app = app("payments.postgres", 1);
        let found = judge
            .consider(&app, right, &asked, &Measured::new(&asked).unwrap())
            .unwrap();
        assert!(matches!(found, Search::Denied(Denial::Refused { .. })));
    }
}

#[test]
fn a_user_namespace_of_its_own_is_fine() {
    let mut measurement = measurement();
    measurement.namespaces.user = Namespace::Own;
    assert!(open(&judge(""), &facts(), &measurement).outcome.is_ok());
}

#[test]
fn an_operators_policy_is_obeyed() {
    let judge = judge(
        r#"@reason("databases run as 999") forbid (principal, action, resource in Cofferdam::Tenant::"payments")
           when { context.uid != 999 };"#,
    );
    assert!(open(&judge, &facts(), &measurement()).outcome.is_ok());
    let mut measurement = measurement();
    measurement.user.owner = Owner { uid: 0, gid: 0 };
    let problem = denied(&judge, &facts(), &measurement);
    assert_eq!(
        problem.to_string(),
        "payments.pgdata is not open to this container: databases run as 999"
    );
}

#[test]
fn an_operator_may_forbid_writing_alone() {
    let judge =
        judge(r#"@reason("frozen") forbid (principal, action == Cofferdam::Action::"write", resource);"#);
    let verdict = open(&judge, &facts(), &measurement());
    assert!(verdict.outcome.unwrap().read_only());
    assert!(verdict.decision.reasons.contains(&"frozen".to_owned()));
}

#[test]
fn no_permit_lets_in_who_is_nobody() {
    let judge = judge("permit (principal, action, resource);");
    let mut measurement = measurement();
    measurement.argv.push("x".into());
    denied(&judge, &facts(), &measurement);
    denied(&judge, &Facts::new(), &measurement);
}

#[test]
fn a_policy_that_fails_denies() {
    for policy in [
        "forbid (principal, action, resource) when { context.now + 9223372036854775807 > 0 };",
        "permit (principal, action, resource) when { context.now * 9223372036854775807 > 0 };",
    ] {
        let judge = judge(policy);
        let problem = denied(&judge, &facts(), &measurement());
        assert!(problem.message.contains("could not be evaluated"), "{problem}");
        assert!(problem.message.contains("policy file site.cedar"), "{problem}");
        let held = [attachment("payments.pgdata", "payments.postgres")];
        assert!(judge.exec(&facts(), &measurement(), &held, true, now()).is_err());
    }
}

#[test]
fn invalid_policies_are_refused_by_name_and_line() {
    let cases = [
        ("\n\npermit (principal, action resource);", "line 3"),
        (
            "\nforbid (principal, action, resource)\nwhen { context.nonsense == 1 };",
            "line 3",
        ),
        (
            "forbid (principal, action, resource) when { context.pidNamespace == 1 };",
            "line 1",
        ),
        (
            "forbid (principal, action == Cofferdam::Action::\"steal\", resource);",
            "site.cedar",
        ),
        ("forbid (principal == ?principal, action, resource);", "template"),
        ("forbid (principal, action, resource) when { false };", "line 1"),
        (
            "@id(\"x\") permit (principal, action, resource); @id(\"x\") forbid (principal, action, resource);",
            "two policies",
        ),
    ];
    for (text, expected) in cases {
        let problem = Judge::new(&[("site.cedar".to_owned(), text.to_owned())]).expect_err(text);
        assert_eq!(problem.kind, ErrorKind::Invalid, "{text}");
        assert!(problem.message.contains("site.cedar"), "{text}: {problem}");
        assert!(problem.message.contains(expected), "{text}: {problem}");
    }
    let twice = ["a.cedar", "a.cedar"].map(|name| {
        (
            name.to_owned(),
            "permit (principal, action, resource);".to_owned(),
        )
    });
    assert!(Judge::new(&twice).is_err());
    Judge::new(&[("guards.cedar".to_owned(), "// nothing".to_owned())]).unwrap();
}

#[test]
fn exec_needs_its_own_grant() {
    let held = [
        attachment("payments.pgdata", "payments.postgres"),
        attachment("payments.log", "payments.postgres"),
    ];
    let judge = judge("");
    let exec = |facts: &Facts, healthcheck| judge.exec(facts, &measurement(), &held, healthcheck, now());
    let mut facts = facts();
    facts.insert_grant(&grant("payments.log", "payments.postgres"));
    assert!(exec(&facts, true).is_ok());
    assert_eq!(
        exec(&facts, false).unwrap_err().to_string(),
        "adding a process to a container that holds payments.pgdata is not allowed: the grant of \
         payments.postgres has no exec; cofferdam grant payments.pgdata payments.postgres --exec"
    );
    let mut with = grant("payments.pgdata", "payments.postgres");
    with.exec = true;
    facts.insert_grant(&with);
    assert!(
        exec(&facts, false).unwrap_err().message.contains("payments.log"),
        "every volume is asked"
    );
    with.volume = "payments.log".parse().unwrap();
    with.write = false;
    with.until = Some("2026-06-01T00:00:00Z".parse().unwrap());
    facts.insert_grant(&with);
    assert!(exec(&facts, false).is_ok());
    assert!(judge.checkpoint(&facts, &measurement(), &held, now()).is_ok());
    with.exec = false;
    facts.insert_grant(&with);
    let remedy = exec(&facts, false).unwrap_err().remedy.unwrap();
    assert_eq!(
        remedy,
        "cofferdam grant payments.log payments.postgres --read-only --exec --until 2026-06-01T00:00:00Z",
        "what was limited stays limited"
    );
    assert!(judge.checkpoint(&facts, &measurement(), &held, now()).is_err());
    with.exec = true;
    with.until = Some(now());
    facts.insert_grant(&with);
    for healthcheck in [true, false] {
        assert!(
            exec(&facts, healthcheck)
                .unwrap_err()
                .message
                .contains("ended at")
        );
    }
    facts.remove_grant(&with.volume, &with.app);
    assert!(
        exec(&facts, true).is_err(),
        "a healthcheck needs a grant that still holds"
    );
    facts.remove_app(&with.app);
    assert!(
        exec(&facts, true)
            .unwrap_err()
            .message
            .contains("does not exist any more")
    );
    assert!(exec(&Facts::new(), true).is_err());
}

#[test]
fn many_grants_on_one_volume_stay_fast() {
    let mut facts = Facts::new();
    for n in 0..20_000 {
        let name = format!("t{}.app{n}", n % 100);
        facts.insert_app(app(&name, 2));
        facts.insert_grant(&grant("payments.pgdata", &name));
    }
    let judge = judge("");
    let start = std::time::Instant::now();
    for _ in 0..100 {
        denied(&judge, &facts, &measurement());
    }
    assert!(
        start.elapsed().as_millis() < 2_000,
        "{:?} for 100 denials",
        start.elapsed()
    );
}

/// Every message that a user meets when nobody is let in.
#[test]
fn denials_read_as_they_should() {
    let mut told = String::new();
    let mut tell = |title: &str, problem: Problem, reasons: &[String]| {
        writeln!(told, "## {title}\n{problem}").unwrap();
        reasons
            .iter()
            .for_each(|reason| writeln!(told, "  - {reason}").unwrap());
        told.push('\n');
    };
    let judge = judge("");
    let mut run = |title: &str, facts: &Facts, change: fn(&mut Measurement)| {
        let mut measurement = measurement();
        change(&mut measurement);
        let verdict = open(&judge, facts, &measurement);
        tell(title, verdict.outcome.unwrap_err(), &verdict.decision.reasons);
    };
    run("nobody has a grant", &Facts::new(), |_| ());
    let web = facts_of(
        [app("payments.web", 1), app("payments.postgres", 7)],
        [grant("payments.pgdata", "payments.postgres")],
    );
    run("a proved app without a grant", &web, |_| ());
    let foreign = facts_of(
        [app("rivals.secret", 1), app("payments.postgres", 7)],
        [grant("payments.pgdata", "payments.postgres")],
    );
    run("a proved app of another tenant", &foreign, |_| ());
    run("another image", &facts(), |m| m.image.config = digest(0xcd));
    run("another command", &facts(), |m| {
        m.argv = vec!["sh".into(), "-c".into(), "cat /var/lib/postgresql/data/*".into()]
    });
    run("a hostile command", &facts(), |m| {
        m.argv = vec!["\u{1b}[1A\u{1b}[2Kallowed\u{202e}".into(), "x".repeat(500)]
    });
    let mut two = facts();
    let mut strict = app("payments.strict", 1);
    strict.rule.command = Command::Exactly(vec!["postgres".into(), "-D".into(), "/data".into()]);
    strict.rule.user = UserRule::Exactly(Owner { uid: 5, gid: 5 });
    two.insert_app(strict);
    two.insert_grant(&grant("payments.pgdata", "payments.strict"));
    run("the closest of two apps", &two, |m| m.argv.push("-c".into()));
    run("many differences", &facts(), |m| {
        m.argv = vec!["sh".into()];
        m.namespaces.network = Namespace::Host;
        m.mounts[1].kind = cofferdam_model::MountKind::Outside("/tmp/hosts".into());
        m.privileges.insert(Privilege::UnmaskedPaths);
        m.privileges.insert(Privilege::Capability("NET_ADMIN".into()));
    });
    run("the image laid over", &facts(), |m| {
        m.cwd = "/var/lib/postgresql/data".into();
        m.mounts[2].destination = "/etc".into();
        m.mounts[3].destination = "/bin".into();
    });
    run("privileged", &facts(), |m| {
        m.privileges.insert(Privilege::Capability("SYS_ADMIN".into()));
        m.privileges.insert(Privilege::Capability("SYS_PTRACE".into()));
        m.privileges.insert(Privilege::BlockDevice("b *:* rwm".into()));
        m.privileges.insert(Privilege::UnconfinedSeccomp);
    });
    run("the host's pids", &facts(), |m| {
        m.namespaces.pid = Namespace::Host
    });
    run("another container's pids", &facts(), |m| {
        m.namespaces.pid = Namespace::Foreign
    });
    run("the host's mounts", &facts(), |m| {
        m.namespaces.mount = Namespace::Host
    });
    run("another's user namespace", &facts(), |m| {
        m.namespaces.user = Namespace::Foreign;
        m.privileges.insert(Privilege::SharedNamespace("user".into()));
    });
    let mut ended = grant("payments.pgdata", "payments.postgres");
    ended.until = Some("2025-12-31T23:59:59Z".parse().unwrap());
    ended.write = false;
    run(
        "a grant that ended",
        &facts_of([app("payments.postgres", 1)], [ended]),
        |_| (),
    );
    let held = [attachment("payments.pgdata", "payments.postgres")];
    let exec = |facts: &Facts| {
        judge
            .exec(facts, &measurement(), &held, false, now())
            .unwrap_err()
    };
    tell("exec without a grant for it", exec(&facts()), &[]);
    tell(
        "exec when the grant is gone",
        exec(&facts_of([app("payments.postgres", 1)], [])),
        &[],
    );
    tell(
        "checkpoint",
        judge
            .checkpoint(&facts(), &measurement(), &held, now())
            .unwrap_err(),
        &[],
    );
    golden("denials.txt", &told);
}

/// Compares with a file under `tests/golden`, byte for byte; `BLESS=1` rewrites it.
fn golden(file: &str, found: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(file);
    #[expect(
        clippy::disallowed_methods,
        reason = "a switch for developers, read by no program"
    )]
    let bless = std::env::var_os("BLESS").is_some();
    if bless {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "{} differs; BLESS=1 rewrites it", path.display());
}

/// Ways to spoil a launch. Each makes it something else than what the rule asks for.
fn spoil(measurement: &mut Measurement, how: u8) {
    let outside = |destination: &str| MeasuredMount {
        destination: destination.into(),
        kind: MountKind::Outside("/srv".into()),
        ..mount("payments.pgdata")
    };
    match how {
        0 => measurement.image.config = digest(2),
        1 => measurement.argv.push("--help".into()),
        2 => measurement.argv.clear(),
        3 => measurement.mounts.push(outside("/usr/lib")),
        4 => measurement.mounts.insert(0, outside("/")),
        5 => {
            measurement
                .privileges
                .insert(Privilege::Capability("SYS_PTRACE".into()));
        }
        6 => {
            measurement.privileges.insert(Privilege::Device("c 1:1 r".into()));
        }
        7 => {
            measurement
                .privileges
                .insert(Privilege::SharedNamespace("ipc".into()));
        }
        8 => measurement.namespaces.network = Namespace::Host,
        9 => measurement.namespaces.pid = Namespace::Foreign,
        10 => measurement.namespaces.mount = Namespace::Host,
        11 => measurement.namespaces.user = Namespace::Foreign,
        12 => measurement.cwd = "/var/lib/postgresql/data".into(),
        13 => measurement.mounts.push(MeasuredMount {
            destination: "/bin".into(),
            ..mount("payments.pgdata")
        }),
        14 => measurement.mounts.push(MeasuredMount {
            destination: "/lib".into(),
            kind: MountKind::Kernel("tmpfs".into()),
            ..mount("payments.pgdata")
        }),
        _ => measurement.user.owner = Owner { uid: 1, gid: 999 },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_spoiled_launch_is_admitted(ways in proptest::collection::btree_set(0..16u8, 0..6), apps in 1..4usize) {
        let judge = judge("permit (principal, action, resource);");
        let mut facts = Facts::new();
        for n in 0..apps {
            let mut app = app(&format!("payments.app{n}"), 1);
            app.rule.user = UserRule::Exactly(Owner { uid: 999, gid: 999 });
            facts.insert_grant(&grant("payments.pgdata", &format!("payments.app{n}")));
            facts.insert_app(app);
        }
        let mut measurement = measurement();
        ways.iter().for_each(|how| spoil(&mut measurement, *how));
        let verdict = open(&judge, &facts, &measurement);
        prop_assert_eq!(verdict.outcome.is_ok(), ways.is_empty());
    }
}
