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
        lands: None,
        hides_files: false,
    }
}

fn volume(destination: &str) -> MeasuredMount {
    MeasuredMount {
        kind: MountKind::Volume("payments.seed".parse().unwrap()),
        ..outside(destination)
    }
}

fn tmpfs(destination: &str) -> MeasuredMount {
    MeasuredMount {
        kind: MountKind::Kernel("tmpfs".into()),
        ..outside(destination)
    }
}

fn argv(measurement: &mut Measurement, argv: &[&str]) {
    measurement.argv = argv.iter().map(|text| (*text).to_owned()).collect();
}

const CASES: [Case; 25] = [
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
        "volume over the image",
        |m| m.mounts.push(volume("/bin")),
        "the volume at /bin lies over the image's own files; app payments.postgres does not allow that place",
    ),
    (
        "tmpfs over the image",
        |m| m.mounts.push(tmpfs("/etc")),
        "a tmpfs at /etc lies over the image's own files; app payments.postgres does not allow that place",
    ),
    (
        "volume over the image hostile",
        |m| m.mounts.push(volume("/usr/\u{202e}\nfine")),
        r#"the volume at "/usr/\u202e\nfine" lies over the image's own files; app payments.postgres does not allow that place"#,
    ),
    (
        "volume at an odd place",
        |m| m.mounts.push(volume("/data/../bin")),
        r#"the volume at "/data/../bin" lies at no plain place (from /, without an empty part, . or ..), which no rule can allow"#,
    ),
    (
        "tmpfs at an odd place",
        |m| m.mounts.push(tmpfs("//etc")),
        r#"a tmpfs at "//etc" lies at no plain place (from /, without an empty part, . or ..), which no rule can allow"#,
    ),
    (
        "directory",
        |m| m.cwd = "/data".into(),
        r#"works in "/data", app payments.postgres in "/""#,
    ),
    (
        "directory hostile",
        |m| m.cwd = "/\u{202e}\n".into(),
        r#"works in "/\u202e\n", app payments.postgres in "/""#,
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
    for index in [0, 1, 6, 8, 12, 15, 20, 22, 23] {
        CASES[index].1(&mut measurement);
    }
    assert_eq!(told(&app("payments.postgres", 1), &measurement).len(), 9);
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
fn other_places_stay_free() {
    let mut measurement = measurement();
    argv(&mut measurement, &["/bin/app"]);
    let mut app = app("payments.postgres", 1);
    app.rule.command = Command::Exactly(measurement.argv.clone());
    for place in ["/data", "/data/inner", "/srv/seed"] {
        measurement.mounts.push(volume(place));
    }
    for place in ["/tmp", "/run", "/var/tmp", "/dev", "/dev/shm"] {
        measurement.mounts.push(tmpfs(place));
    }
    assert_eq!(told(&app, &measurement), [""; 0]);
}

#[test]
fn a_named_place_may_be_laid_over() {
    let mut app = app("payments.postgres", 1);
    let mut measurement = measurement();
    measurement.mounts.push(volume("/usr/share/nginx/html/"));
    measurement.mounts.push(tmpfs("/etc"));
    assert_eq!(told(&app, &measurement).len(), 2);
    app.rule.mounts.insert("/usr".into());
    app.rule.mounts.insert("/".into());
    assert_eq!(
        told(&app, &measurement).len(),
        2,
        "only the place itself is allowed"
    );
    app.rule.mounts.insert("/usr/share/nginx/html".into());
    app.rule.mounts.insert("/etc/".into());
    assert_eq!(told(&app, &measurement), [""; 0]);

    measurement.mounts.push(volume("/data/../etc"));
    app.rule.mounts.insert("/data/../etc".into());
    assert_eq!(
        told(&app, &measurement).len(),
        1,
        "no rule makes an odd place plain"
    );
}

#[test]
fn the_program_itself_may_not_be_laid_over() {
    let mut app = app("payments.postgres", 1);
    let mut measurement = measurement();
    argv(&mut measurement, &["/app/server"]);
    app.rule.command = Command::Exactly(measurement.argv.clone());
    measurement.mounts.push(volume("/app"));
    assert_eq!(
        told(&app, &measurement),
        [
            "the volume at /app lies over the image's own files; app payments.postgres does not allow that place"
        ]
    );
    app.rule.mounts.insert("/app".into());
    assert_eq!(told(&app, &measurement), [""; 0]);
}

#[test]
fn the_directory_is_the_rules_or_else_the_images() {
    let mut app = app("payments.postgres", 1);
    let mut measurement = measurement();
    measurement.image_cwd = "/srv/app/".into();
    measurement.cwd = "/srv/app".into();
    assert_eq!(told(&app, &measurement), [""; 0]);
    app.rule.cwd = Some("/data".into());
    assert_eq!(
        told(&app, &measurement),
        [r#"works in "/srv/app", app payments.postgres in "/data""#]
    );
    measurement.cwd = "/data/".into();
    assert_eq!(told(&app, &measurement), [""; 0]);
    for other in ["", "data", "/data//", "/data/.", "/data/../data", "//data", "/"] {
        measurement.cwd = other.into();
        assert_eq!(told(&app, &measurement).len(), 1, "{other:?}");
    }
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

#[test]
fn groups_and_new_privileges_are_as_the_rule_has_them() {
    let mut app = app("payments.postgres", 1);
    let mut found = measurement();
    found.foreign_groups = [0, 44].into();
    app.rule.groups = [44].into();
    app.rule.no_new_privileges = true;
    let differing = mismatches(&app.rule, &app.name, &found);
    let differing: Vec<_> = differing.into_iter().map(|one| one.difference).collect();
    assert_eq!(differing, [Difference::Group(0), Difference::NewPrivileges]);
    found.foreign_groups = [44].into();
    found.no_new_privileges = true;
    assert!(mismatches(&app.rule, &app.name, &found).is_empty());
    app.rule.no_new_privileges = false;
    assert!(
        mismatches(&app.rule, &app.name, &found).is_empty(),
        "less is no difference"
    );
}
