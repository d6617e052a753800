//! What passes for a healthcheck, and what only looks like one.

use super::*;
use crate::fixture::measurement;
use cofferdam_model::ErrorKind;

/// The healthcheck of the fixture's container, as an engine describes it.
const HEALTHCHECK: &str = r#"{
    "terminal": false,
    "user": {"uid": 999, "gid": 999, "additionalGids": [999]},
    "args": ["/bin/sh", "-c", "pg_isready"],
    "env": ["PGDATA=/var/lib/postgresql/data", "PATH=/usr/bin"],
    "cwd": "/",
    "capabilities": {"bounding": ["CAP_CHOWN", "CAP_KILL"], "effective": null},
    "noNewPrivileges": false
}"#;

fn passes(json: &str) -> bool {
    is_healthcheck(&measurement(), &[], &ExecProcess::parse(json.as_bytes()).unwrap())
}

#[test]
fn the_images_own_healthcheck_passes() {
    assert!(passes(HEALTHCHECK));
    assert!(passes(&HEALTHCHECK.replace("\"capabilities\"", "\"x\"")));
}

#[test]
fn what_only_looks_like_it_does_not() {
    let changes = [
        ("pg_isready", "cat /data/secret"),
        (r#", "pg_isready""#, ""),
        (r#""pg_isready""#, r#""pg_isready", "x""#),
        ("PATH=/usr/bin", "PATH=/tmp"),
        (r#""PATH=/usr/bin""#, r#""PATH=/usr/bin", "LD_PRELOAD=/tmp/x.so""#),
        (r#", "PATH=/usr/bin""#, ""),
        (r#""cwd": "/""#, r#""cwd": "/tmp""#),
        (r#""uid": 999"#, r#""uid": 0"#),
        (r#""gid": 999"#, r#""gid": 0"#),
        ("[999]", "[999, 0]"),
        ("[999]", "[]"),
        (r#""terminal": false"#, r#""terminal": true"#),
        (r#""CAP_KILL""#, r#""CAP_KILL", "CAP_SYS_PTRACE""#),
        (r#""effective": null"#, r#""ambient": ["CAP_SYS_ADMIN"]"#),
    ];
    for (old, new) in changes {
        let json = HEALTHCHECK.replacen(old, new, 1);
        assert_ne!(json, HEALTHCHECK, "{old} is not there to be changed");
        assert!(!passes(&json), "{new} passes for the healthcheck");
    }
}

#[test]
fn without_a_healthcheck_nothing_is_one() {
    let process = ExecProcess::parse(HEALTHCHECK.as_bytes()).unwrap();
    for none in [None, Some(Vec::new())] {
        let mut measurement = measurement();
        measurement.healthcheck = none;
        assert!(!is_healthcheck(&measurement, &[], &process));
        let empty = ExecProcess {
            args: Vec::new(),
            ..process.clone()
        };
        assert!(!is_healthcheck(&measurement, &[], &empty));
    }
}

#[test]
fn what_every_rule_names_is_one_and_nothing_else() {
    let named = |argv: &[&str]| {
        let mut rule = crate::fixture::app("payments.postgres", 1).rule;
        rule.healthcheck = Some(argv.iter().map(ToString::to_string).collect());
        rule
    };
    let json = HEALTHCHECK.replace("pg_isready", "true");
    let process = ExecProcess::parse(json.as_bytes()).unwrap();
    let (its, other) = (named(&["/bin/sh", "-c", "true"]), named(&["true"]));
    let none = crate::fixture::app("payments.web", 1).rule;
    assert!(is_healthcheck(&measurement(), &[&its, &its], &process));
    for rules in [&[][..], &[&other], &[&none], &[&its, &other], &[&its, &none]] {
        assert!(!is_healthcheck(&measurement(), rules, &process));
    }
    for (old, new) in [
        (r#""uid": 999"#, r#""uid": 0"#),
        (r#""terminal": false"#, r#""terminal": true"#),
    ] {
        let process = ExecProcess::parse(json.replace(old, new).as_bytes()).unwrap();
        assert!(!is_healthcheck(&measurement(), &[&its], &process), "{new}");
    }
    // The image's own is one with any rule.
    let process = ExecProcess::parse(HEALTHCHECK.as_bytes()).unwrap();
    assert!(is_healthcheck(&measurement(), &[&its], &process));
    let empty = ExecProcess {
        args: Vec::new(),
        ..process
    };
    assert!(!is_healthcheck(&measurement(), &[&named(&[])], &empty));
}

#[test]
fn privileged_processes_are_refused() {
    let mut process = ExecProcess::parse(HEALTHCHECK.as_bytes()).unwrap();
    refuse_reaching(&process).unwrap();
    process.capabilities.insert("SYS_ADMIN".into());
    let problem = refuse_reaching(&process).unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Denied);
    assert!(problem.message.contains("cap:SYS_ADMIN"), "{problem}");
}
