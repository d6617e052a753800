//! Each point of a rule, by table; and that no combination of them slips through.

use super::*;
use crate::fixture::{app, digest, measurement};
use cofferdam_model::MeasuredMount;
use proptest::prelude::*;

/// One way to launch something else, and what is said about it.
type Case = (&'static str, fn(&mut Measurement), &'static str);

fn outside(destination: &str) -> MeasuredMount {
    MeasuredMount {
        index: 9,
        destination: destination.into(),
        kind: MountKind::Outside("/tmp/evil".into()),
        read_only: true,
    }
}

fn argv(measurement: &mut Measurement, argv: &[&str]) {
    measurement.argv = argv.iter().map(|text| (*text).to_owned()).collect();
}

const CASES: [Case; 18] = [
    (
        "image",
        |m| m.image.config = digest(0xab),
        "image differs from app payments.postgres (found sha256:abababababab…, the rule has sha256:010101010101…)",
    ),
    (
        "argv",
        |m| argv(m, &["sh", "-c", "cat /data"]),
        r#"argv differs from app payments.postgres (found ["sh","-c","cat /data"], the image's own is ["docker-entrypoint.sh","postgres"])"#,
    ),
    (
        "argv longer",
        |m| m.argv.push("-c".into()),
        r#"argv differs from app payments.postgres (found ["docker-entrypoint.sh","postgres","-c"], the image's own is ["docker-entrypoint.sh","postgres"])"#,
    ),
    (
        "argv joined",
        |m| argv(m, &["docker-entrypoint.sh postgres"]),
        r#"argv differs from app payments.postgres (found ["docker-entrypoint.sh postgres"], the image's own is ["docker-entrypoint.sh","postgres"])"#,
    ),
    (
        "argv empty",
        |m| argv(m, &[]),
        r#"argv differs from app payments.postgres (found [], the image's own is ["docker-entrypoint.sh","postgres"])"#,
    ),
    (
        "argv hostile",
        |m| argv(m, &["\u{1b}[2K\u{202e}postgres\r\n", "\u{2066}"]),
        r#"argv differs from app payments.postgres (found ["\u001b[2K\u202epostgres\u000d\n","\u2066"], the image's own is ["docker-entrypoint.sh","postgres"])"#,
    ),
    (
        "outside mount",
        |m| m.mounts.push(outside("/etc/evil")),
        "a mount from outside at /etc/evil is not in the rule of app payments.postgres",
    ),
    (
        "outside mount hostile",
        |m| m.mounts.push(outside("/etc/\u{202e}\nfine")),
        r#"a mount from outside at "/etc/\u202e\nfine" is not in the rule of app payments.postgres"#,
    ),
    (
        "capability",
        |m| {
            m.privileges.insert(Privilege::Capability("NET_ADMIN".into()));
        },
        "privilege cap:NET_ADMIN is not in the rule of app payments.postgres",
    ),
    (
        "device",
        |m| {
            m.privileges.insert(Privilege::Device("/dev/fuse".into()));
        },
        "privilege device:/dev/fuse is not in the rule of app payments.postgres",
    ),
    (
        "seccomp",
        |m| {
            m.privileges.insert(Privilege::UnconfinedSeccomp);
        },
        "privilege unconfined-seccomp is not in the rule of app payments.postgres",
    ),
    (
        "way out",
        |m| {
            m.privileges.insert(Privilege::Capability("SYS_ADMIN".into()));
        },
        "privilege cap:SYS_ADMIN reaches out of the container, which no rule can allow",
    ),
    (
        "ipc",
        |m| {
            m.privileges.insert(Privilege::SharedNamespace("ipc".into()));
        },
        "privilege namespace:ipc is not in the rule of app payments.postgres",
    ),
    (
        "host network",
        |m| m.namespaces.network = Namespace::Host,
        "shares the host's network namespace, which is not in the rule of app payments.postgres",
    ),
    (
        "foreign network",
        |m| m.namespaces.network = Namespace::Foreign,
        "joins another container's network namespace, which is not in the rule of app payments.postgres",
    ),
    (
        "mount namespace",
        |m| m.namespaces.mount = Namespace::Host,
        "shares the host's mount namespace, which is not in the rule of app payments.postgres",
    ),
    (
        "pid namespace",
        |m| m.namespaces.pid = Namespace::Foreign,
        "joins another container's pid namespace, which is not in the rule of app payments.postgres",
    ),
    (
        "user namespace",
        |m| m.namespaces.user = Namespace::Foreign,
        "joins another container's user namespace, which is not in the rule of app payments.postgres",
    ),
];

fn told(app: &cofferdam_model::App, measurement: &Measurement) -> Vec<String> {
    let found = mismatches(&app.rule, &app.name, measurement);
    found.iter().map(Mismatch::to_string).collect()
}

#[test]
fn the_images_own_launch_matches() {
    assert_eq!(told(&app("payments.postgres", 1), &measurement()), [""; 0]);
}

#[test]
fn each_difference_is_told() {
    for (name, change, expected) in CASES {
        let mut measurement = measurement();
        change(&mut measurement);
        assert_eq!(
            told(&app("payments.postgres", 1), &measurement),
            [expected],
            "{name}"
        );
    }
}

#[test]
fn all_differences_are_told_at_once() {
    let mut measurement = measurement();
    for index in [0, 1, 6, 8, 13, 15, 16] {
        CASES[index].1(&mut measurement);
    }
    assert_eq!(told(&app("payments.postgres", 1), &measurement).len(), 7);
}

#[test]
fn what_a_rule_names_is_allowed() {
    let mut app = app("payments.postgres", 1);
    app.rule.command = Command::Exactly(vec!["postgres".into()]);
    app.rule.user = UserRule::Exactly(Owner { uid: 999, gid: 999 });
    app.rule.network = NetworkRule::Host;
    app.rule.mounts.insert("/etc/evil".into());
    app.rule.allow.insert(Privilege::Capability("NET_ADMIN".into()));
    let mut measurement = measurement();
    argv(&mut measurement, &["postgres"]);
    measurement.mounts.push(outside("/etc/evil"));
    measurement
        .privileges
        .insert(Privilege::Capability("NET_ADMIN".into()));
    measurement.namespaces.network = Namespace::Host;
    assert_eq!(told(&app, &measurement), [""; 0]);

    measurement.namespaces.network = Namespace::Foreign;
    measurement.user.owner = Owner { uid: 1000, gid: 0 };
    measurement.argv.push("-D".into());
    measurement.mounts.push(outside("/etc/evil/.."));
    assert_eq!(
        told(&app, &measurement),
        [
            r#"argv differs from app payments.postgres (found ["postgres","-D"], the rule has ["postgres"])"#,
            "user is 1000:0, app payments.postgres wants 999:999",
            "a mount from outside at /etc/evil/.. is not in the rule of app payments.postgres",
            "joins another container's network namespace, which is not in the rule of app payments.postgres",
        ]
    );
    app.rule.network = NetworkRule::Any;
    assert_eq!(told(&app, &measurement).len(), 3);
}

#[test]
fn no_rule_allows_a_way_out() {
    let mut app = app("payments.postgres", 1);
    let mut measurement = measurement();
    for privilege in [
        "cap:SYS_ADMIN",
        "block-device:b 8:0 rwm",
        "namespace:user",
        "annotation:run.oci.x",
    ] {
        let privilege: Privilege = privilege.parse().unwrap();
        app.rule.allow.insert(privilege.clone());
        measurement.privileges.insert(privilege);
    }
    assert_eq!(told(&app, &measurement).len(), 4);
}

#[test]
fn the_rules_own_argv_is_not_the_images() {
    let mut app = app("payments.postgres", 1);
    app.rule.command = Command::Exactly(vec!["other".into()]);
    assert_eq!(
        told(&app, &measurement()).len(),
        1,
        "the image's own command is not what the rule lists"
    );
}

proptest! {
    #[test]
    fn any_argv_but_the_images_differs(argv: Vec<String>) {
        let mut measurement = measurement();
        prop_assume!(argv != measurement.image_command);
        measurement.argv = argv;
        let told = told(&app("payments.postgres", 1), &measurement);
        prop_assert_eq!(told.len(), 1);
        prop_assert!(told[0].chars().all(|c| matches!(c, ' '..='~' | '…')), "{:?}", told);
        prop_assert!(told[0].chars().count() < 400);
    }
}
