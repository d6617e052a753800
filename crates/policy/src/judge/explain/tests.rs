//! What is proposed helps: taken as it is, it makes the very container fit. And what should not be is not proposed.

use super::*;
use crate::fixture::{app, grant, measurement, now};
use cofferdam_model::{Namespace, Owner, UserRule};

fn facts(apps: &[App], grants: &[Grant]) -> Facts {
    let mut facts = Facts::new();
    apps.iter().for_each(|app| drop(facts.insert_app(app.clone())));
    grants
        .iter()
        .for_each(|grant| assert!(facts.insert_grant(grant).is_none()));
    facts
}

fn usual() -> Facts {
    facts(
        &[app("payments.postgres", 1)],
        &[grant("payments.pgdata", "payments.postgres")],
    )
}

fn explain(facts: &Facts, measurement: &Measurement) -> Explanation {
    let judge = Judge::new(&[]).unwrap();
    judge.explain(facts, measurement, now(), now(), &|_| true)
}

fn proposed(facts: &Facts, measurement: &Measurement) -> String {
    match explain(facts, measurement).remedy {
        Remedy::Command { line, .. } => line,
        other => panic!("{other:?}"),
    }
}

fn with(change: impl FnOnce(&mut Measurement)) -> Measurement {
    let mut found = measurement();
    change(&mut found);
    found
}

const IMAGE: &str = "sha256:0101010101010101010101010101010101010101010101010101010101010101";

#[test]
fn what_a_rule_may_let_in_is_let_in_by_the_apps_own_rule_all_at_once() {
    let found = with(|found| {
        found.foreign_env = ["B", "A"].map(str::to_owned).into();
        found.privileges.insert("cap:NET_ADMIN".parse().unwrap());
        found.namespaces.network = Namespace::Host;
        found.mounts.push(MeasuredMount {
            index: 9,
            destination: "/etc/my app".into(),
            kind: MountKind::Outside("/srv".into()),
            read_only: true,
            lands: None,
            hides_files: false,
        });
    });
    assert_eq!(
        proposed(&usual(), &found),
        format!(
            "cofferdam app create payments.postgres --replace --image {IMAGE} --network host --allow-mount '/etc/my app' --allow-env A --allow-env B --allow cap:NET_ADMIN"
        )
    );
}

#[test]
fn another_command_is_an_app_of_its_own_with_a_grant() {
    let found = with(|found| {
        found.argv = ["sh", "-c", "echo $HOME"].map(str::to_owned).into();
        found.foreign_env = ["A".to_owned()].into();
    });
    assert_eq!(
        proposed(&usual(), &found),
        format!(
            "cofferdam app create payments.postgres-2 --image {IMAGE} --user 999:999 --allow-env A -- sh -c 'echo $HOME' && cofferdam grant payments.pgdata payments.postgres-2"
        )
    );
}

#[test]
fn a_missing_grant_is_granted_and_one_that_reads_alone_may_write() {
    let postgres = [app("payments.postgres", 1)];
    assert_eq!(
        proposed(&facts(&postgres, &[]), &measurement()),
        "cofferdam grant payments.pgdata payments.postgres"
    );
    let mut reading = grant("payments.pgdata", "payments.postgres");
    reading.write = false;
    reading.exec = true;
    assert_eq!(
        proposed(&facts(&postgres, &[reading]), &measurement()),
        "cofferdam grant payments.pgdata payments.postgres --exec"
    );
    let mut ended = grant("payments.pgdata", "payments.postgres");
    ended.until = Some(now());
    assert_eq!(
        proposed(&facts(&postgres, &[ended]), &measurement()),
        "cofferdam grant payments.pgdata payments.postgres"
    );
}

#[test]
fn what_no_rule_can_allow_nothing_should() {
    let ways: [(&str, Measurement); 5] = [
        (
            "LD_PRELOAD",
            with(|found| found.foreign_env = ["LD_PRELOAD".to_owned()].into()),
        ),
        (
            "cap:SYS_ADMIN",
            with(|found| found.privileges = ["cap:SYS_ADMIN".parse().unwrap()].into()),
        ),
        ("pid", with(|found| found.namespaces.pid = Namespace::Foreign)),
        (
            "plain place",
            with(|found| {
                found
                    .mounts
                    .iter_mut()
                    .for_each(|mount| mount.destination += "/../x")
            }),
        ),
        (
            "od d",
            with(|found| found.foreign_env = ["od d".to_owned()].into()),
        ),
    ];
    for (word, found) in ways {
        match explain(&usual(), &found).remedy {
            Remedy::Never(reason) => assert!(reason.contains(word), "{word}: {reason}"),
            other => panic!("{word}: {other:?}"),
        }
    }
    let forbids = r#"forbid (principal, action, resource) when { context.uid == 999 };"#;
    let judge = Judge::new(&[("site.cedar".to_owned(), forbids.to_owned())]).unwrap();
    let remedy = judge
        .explain(&usual(), &measurement(), now(), now(), &|_| true)
        .remedy;
    assert!(matches!(remedy, Remedy::Never(_)), "{remedy:?}");
}

#[test]
fn a_ticket_is_told_of_and_what_cannot_be_typed_is_not_proposed() {
    let mut required = app("payments.postgres", 1);
    required.rule.ticket = true;
    let known = facts(&[required], &[grant("payments.pgdata", "payments.postgres")]);
    match explain(&known, &measurement()).remedy {
        Remedy::Told(step) => assert!(
            step.contains("cofferdam ticket issue payments.postgres"),
            "{step}"
        ),
        other => panic!("{other:?}"),
    }
    let hidden = with(|found| found.argv = vec!["sh".into(), "\u{202e}".into()]);
    assert_eq!(
        explain(&usual(), &hidden).remedy,
        Remedy::Told(UNTYPABLE.to_owned())
    );
}

#[test]
fn of_apps_that_the_asker_may_not_see_nothing_is_told() {
    let known = facts(
        &[app("payments.postgres", 1), app("reports.secret", 1)],
        &[
            grant("payments.pgdata", "payments.postgres"),
            grant("payments.pgdata", "reports.secret"),
        ],
    );
    let found = with(|found| found.foreign_env = ["A".to_owned()].into());
    let judge = Judge::new(&[]).unwrap();
    let own = |tenant: &TenantName| tenant.as_str() == "payments";
    let told = judge.explain(&known, &found, now(), now(), &own);
    assert!(!format!("{told:?}").contains("secret"), "{told:?}");
    assert_eq!(told.compared.len(), 1);
    // Nor that one of theirs would only need the grant.
    let found = with(|found| found.argv = vec!["sh".into()]);
    let mut theirs = app("reports.secret", 1);
    theirs.rule.command = Command::Exactly(vec!["sh".into()]);
    let known = facts(&[theirs], &[]);
    let told = judge.explain(&known, &found, now(), now(), &own);
    assert!(!format!("{told:?}").contains("secret"), "{told:?}");
}

#[test]
fn a_neighbour_is_told_the_whole_rule() {
    let found = with(|found| {
        found.mounts.truncate(3);
        found.namespaces.pid = Namespace::Host;
        found.privileges.insert("cap:SYS_ADMIN".parse().unwrap());
        found.argv = vec!["agent".into()];
        found.foreign_env = ["A".to_owned()].into();
    });
    assert_eq!(
        proposed(&Facts::new(), &found),
        format!(
            "cofferdam app create default.tool --image {IMAGE} --user 999:999 --allow-env A --allow cap:SYS_ADMIN --allow namespace:pid -- agent"
        )
    );
    assert_eq!(
        explain(&Facts::new(), &measurement_without_volume()).remedy,
        Remedy::Now
    );
}

fn measurement_without_volume() -> Measurement {
    with(|found| found.mounts.truncate(3))
}

#[test]
fn another_user_is_an_app_of_its_own() {
    let mut bound = app("payments.postgres", 1);
    bound.rule.user = UserRule::Exactly(Owner { uid: 1, gid: 1 });
    let known = facts(&[bound], &[grant("payments.pgdata", "payments.postgres")]);
    assert!(proposed(&known, &measurement()).contains("payments.postgres-2 --image"));
}

#[test]
fn nothing_is_proposed_for_programs_that_were_changed() {
    for place in ["/usr/bin/postgres", "/lib/x.so", "/"] {
        let found = with(|found| found.root.add(place));
        match explain(&usual(), &found).remedy {
            Remedy::Never(why) => assert!(why.contains("make the container anew"), "{why}"),
            other => panic!("{place}: {other:?}"),
        }
    }
    let found = with(|found| found.root.add("/etc/app.conf"));
    assert!(proposed(&usual(), &found).contains("--allow-changed /etc/app.conf"));
}
