//! Every answer as it is printed, for people and as JSON, and every kind of error, held against the
//! files in `tests/golden`. `BLESS=1 cargo test -p cofferdam-cli` writes them anew.

use crate::{
    answers::{self as a, ok, problem},
    command::transcript,
    help,
    server::{Answer, Server},
};
use serde_json::json;
use std::{collections::BTreeSet, path::PathBuf};

type Case = (&'static str, &'static [&'static str], Vec<(&'static str, Answer)>);

const VOLUME: &str = "GET /v1/volumes/payments.pgdata";
const DECISION: &str = "GET /v1/decisions/7f3a";
const GIVE: &[&str] = &["grant", "payments.pgdata", "payments.postgres"];

fn tenants() -> Vec<Case> {
    vec![
        (
            "tenant-create",
            &["tenant", "create", "payments"],
            vec![("POST /v1/tenants", ok(a::tenant()))],
        ),
        (
            "tenant-create-again",
            &["tenant", "create", "payments"],
            vec![
                ("GET /v1/tenants/payments", ok(a::tenant())),
                ("POST /v1/tenants", ok(a::tenant())),
            ],
        ),
        (
            "tenant-create-json",
            &["tenant", "create", "payments", "--json"],
            vec![("POST /v1/tenants", ok(a::tenant()))],
        ),
        (
            "tenant-ls",
            &["tenant", "ls"],
            vec![("GET /v1/tenants", ok(json!([a::tenant()])))],
        ),
        (
            "tenant-ls-empty",
            &["tenant", "ls"],
            vec![("GET /v1/tenants", ok(json!([])))],
        ),
        (
            "tenant-ls-json",
            &["tenant", "ls", "--json"],
            vec![("GET /v1/tenants", ok(json!([a::tenant()])))],
        ),
        (
            "tenant-show",
            &["tenant", "show", "payments"],
            vec![("GET /v1/tenants/payments", ok(a::tenant()))],
        ),
        (
            "tenant-rm",
            &["tenant", "rm", "payments"],
            vec![("DELETE /v1/tenants/payments", ok(a::tenant()))],
        ),
        (
            "tenant-member-add",
            &["tenant", "member", "add", "payments", "--user", "alice"],
            vec![("PUT /v1/tenants/payments/members/alice", ok(a::joined_tenant()))],
        ),
        (
            "tenant-member-rm",
            &["tenant", "member", "rm", "payments", "--user", "1001"],
            vec![("DELETE /v1/tenants/payments/members/1001", ok(a::tenant()))],
        ),
        (
            "tenant-show-members",
            &["tenant", "show", "payments"],
            vec![("GET /v1/tenants/payments", ok(a::joined_tenant()))],
        ),
    ]
}

fn tickets() -> Vec<Case> {
    const ISSUE: &[&str] = &["ticket", "issue", "payments.postgres"];
    const NARROW: &[&str] = &[
        "--json",
        "ticket",
        "issue",
        "payments.postgres",
        "--until",
        "2h",
        "--host",
        "db1",
        "--once",
    ];
    vec![
        ("ticket-issue", ISSUE, vec![("POST /v1/tickets", ok(a::ticket()))]),
        (
            "ticket-issue-json",
            NARROW,
            vec![("POST /v1/tickets", ok(a::ticket()))],
        ),
    ]
}

fn apps() -> Vec<Case> {
    let both = || ok(json!([a::app(), a::relaxed_app()]));
    vec![
        (
            "app-create",
            &["app", "create", "payments.postgres", "--image", "postgres:16"],
            vec![("POST /v1/apps", ok(a::app()))],
        ),
        (
            "app-create-again",
            &["app", "create", "payments.postgres", "--image", "postgres:16"],
            vec![
                ("GET /v1/apps/payments.postgres", ok(a::app())),
                ("POST /v1/apps", ok(a::app())),
            ],
        ),
        (
            "app-create-relaxed",
            &[
                "app",
                "create",
                "report",
                "--image",
                "debian:12",
                "--user",
                "1000:1001",
                "--network",
                "host",
                "--workdir",
                "/srv/report/",
                "--allow-mount",
                "/etc/report",
                "--allow",
                "cap:CAP_NET_ADMIN",
                "--allow",
                "unmasked-paths",
                "--",
                "/usr/bin/report",
                "--title",
                "two words",
            ],
            vec![("POST /v1/apps", ok(a::relaxed_app()))],
        ),
        (
            "app-create-json",
            &[
                "--json",
                "app",
                "create",
                "payments.postgres",
                "--image",
                a::IMAGE,
                "--user",
                "999",
            ],
            vec![("POST /v1/apps", ok(a::app()))],
        ),
        ("app-ls", &["app", "ls"], vec![("GET /v1/apps", both())]),
        (
            "app-ls-tenant",
            &["app", "ls", "--tenant", "payments"],
            vec![("GET /v1/apps", both())],
        ),
        (
            "app-ls-other-tenant",
            &["app", "ls", "--tenant", "other"],
            vec![("GET /v1/apps", both())],
        ),
        (
            "app-ls-empty",
            &["app", "ls"],
            vec![("GET /v1/apps", ok(json!([])))],
        ),
        (
            "app-ls-json",
            &["app", "ls", "--tenant", "default", "--json"],
            vec![("GET /v1/apps", both())],
        ),
        (
            "app-show",
            &["app", "show", "payments.postgres"],
            vec![("GET /v1/apps/payments.postgres", ok(a::app()))],
        ),
        (
            "app-show-relaxed",
            &["app", "show", "report"],
            vec![("GET /v1/apps/default.report", ok(a::relaxed_app()))],
        ),
        (
            "app-rm",
            &["app", "rm", "payments.postgres"],
            vec![("DELETE /v1/apps/payments.postgres", ok(a::app()))],
        ),
    ]
}

fn volumes() -> Vec<Case> {
    let both = || ok(json!([a::volume(), a::empty_volume()]));
    vec![
        (
            "volume-create",
            &["volume", "create", "payments.pgdata", "--size", "10G"],
            vec![("POST /v1/volumes", ok(a::volume()))],
        ),
        (
            "volume-create-again",
            &["volume", "create", "payments.pgdata", "--size", "10G"],
            vec![(VOLUME, ok(a::volume())), ("POST /v1/volumes", ok(a::volume()))],
        ),
        (
            "volume-create-shared-json",
            &["volume", "create", "uploads", "--access", "shared", "--json"],
            vec![("POST /v1/volumes", ok(a::empty_volume()))],
        ),
        ("volume-ls", &["volume", "ls"], vec![("GET /v1/volumes", both())]),
        (
            "volume-ls-empty",
            &["volume", "ls"],
            vec![("GET /v1/volumes", ok(json!([])))],
        ),
        (
            "volume-ls-empty-json",
            &["volume", "ls", "--json"],
            vec![("GET /v1/volumes", ok(json!([])))],
        ),
        (
            "volume-ls-other-tenant",
            &["volume", "ls", "--tenant", "other"],
            vec![("GET /v1/volumes", both())],
        ),
        (
            "volume-ls-json",
            &["volume", "ls", "--tenant", "default", "--json"],
            vec![("GET /v1/volumes", both())],
        ),
        (
            "volume-show",
            &["volume", "show", "payments.pgdata"],
            vec![(VOLUME, ok(a::volume()))],
        ),
        (
            "volume-show-json",
            &["volume", "show", "payments.pgdata", "--json"],
            vec![(VOLUME, ok(a::volume()))],
        ),
        (
            "volume-show-empty",
            &["volume", "show", "uploads"],
            vec![("GET /v1/volumes/default.uploads", ok(a::empty_volume()))],
        ),
        (
            "volume-rm",
            &["volume", "rm", "payments.pgdata", "--yes"],
            vec![("DELETE /v1/volumes/payments.pgdata", ok(a::volume()))],
        ),
        (
            "volume-rm-without-terminal",
            &["volume", "rm", "payments.pgdata"],
            vec![],
        ),
    ]
}

fn host_paths() -> Vec<Case> {
    let all = |grants| ("GET /v1/host-paths", ok(grants));
    let revoke: &[&str] = &["host-path", "revoke", "/srv/www", "--from", "payments.web"];
    let taken = || ("POST /v1/host-paths/revocations", ok(a::host_path_grant()));
    vec![
        (
            "host-path-allow",
            &[
                "host-path",
                "allow",
                "/srv/www",
                "--to",
                "payments.web",
                "--read-only",
                "--map-owner",
                "--until",
                "7d",
            ],
            vec![("PUT /v1/host-paths", ok(a::host_path_grant()))],
        ),
        (
            "host-path-ls",
            &["host-path", "ls"],
            vec![all(json!([a::host_path_grant()]))],
        ),
        ("host-path-ls-empty", &["host-path", "ls"], vec![all(json!([]))]),
        ("host-path-revoke-last", revoke, vec![taken(), all(json!([]))]),
        (
            "host-path-revoke",
            revoke,
            vec![taken(), all(json!([a::host_path_grant()]))],
        ),
    ]
}

fn grants() -> Vec<Case> {
    let give = || ("PUT /v1/grants", ok(a::grant()));
    let take = || {
        (
            "DELETE /v1/grants/payments.pgdata/payments.postgres",
            ok(a::grant()),
        )
    };
    vec![
        (
            "grant",
            GIVE,
            vec![(VOLUME, ok(a::volume_with(json!([])))), give()],
        ),
        (
            "grant-narrow",
            &[
                "grant",
                "payments.pgdata",
                "payments.postgres",
                "--read-only",
                "--until",
                "7d",
            ],
            vec![("PUT /v1/grants", ok(a::narrow_grant()))],
        ),
        (
            "grant-exec-until",
            &[
                "grant",
                "pgdata",
                "postgres",
                "--exec",
                "--until",
                "2027-01-31T19:00:00+01:00",
                "--json",
            ],
            vec![give()],
        ),
        (
            "grant-replaces",
            GIVE,
            vec![(VOLUME, ok(a::volume_with(json!([a::narrow_grant()])))), give()],
        ),
        ("grant-again", GIVE, vec![(VOLUME, ok(a::volume())), give()]),
        (
            "revoke",
            &["revoke", "payments.pgdata", "payments.postgres"],
            vec![take(), ("GET /v1/volumes/payments.pgdata", ok(a::empty_volume()))],
        ),
        (
            "revoke-while-held",
            &["revoke", "payments.pgdata", "payments.postgres"],
            vec![take(), (VOLUME, ok(a::volume()))],
        ),
        (
            "revoke-json",
            &["revoke", "payments.pgdata", "payments.postgres", "--json"],
            vec![take()],
        ),
    ]
}

fn insight() -> Vec<Case> {
    let why: &[&str] = &["why", "7f3a"];
    vec![
        (
            "attachments",
            &["attachments"],
            vec![("GET /v1/attachments", ok(json!([a::attachment()])))],
        ),
        (
            "attachments-empty",
            &["attachments"],
            vec![("GET /v1/attachments", ok(json!([])))],
        ),
        (
            "attachments-json",
            &["attachments", "--json"],
            vec![("GET /v1/attachments", ok(json!([a::attachment()])))],
        ),
        (
            "why-list",
            &["why"],
            vec![(
                "GET /v1/decisions",
                ok(json!([
                    a::bare(a::refused_busy()),
                    a::bare(a::refused_launch()),
                    a::bare(a::allowed())
                ])),
            )],
        ),
        (
            "why-list-empty",
            &["why"],
            vec![("GET /v1/decisions", ok(json!([])))],
        ),
        (
            "why-allowed",
            &["why", "7f39"],
            vec![("GET /v1/decisions/7f39", ok(a::allowed()))],
        ),
        ("why-refused", why, vec![(DECISION, ok(a::refused_launch()))]),
        (
            "why-refused-json",
            &["why", "7f3a", "--json"],
            vec![(DECISION, ok(a::refused_launch()))],
        ),
        (
            "why-without-grant",
            why,
            vec![(DECISION, ok(a::refused_without_grant()))],
        ),
        ("why-until-now", why, vec![(DECISION, ok(a::refused_until_now()))]),
        (
            "why-read-only",
            &["why", "7f39"],
            vec![("GET /v1/decisions/7f39", ok(a::allowed_to_read()))],
        ),
        (
            "why-beyond-any-rule",
            why,
            vec![(DECISION, ok(a::refused_beyond_any_rule()))],
        ),
        ("why-exec", why, vec![(DECISION, ok(a::refused_exec()))]),
        (
            "why-busy",
            &["why", "7f3b"],
            vec![("GET /v1/decisions/7f3b", ok(a::refused_busy()))],
        ),
        (
            "why-checkpoint",
            &["why", "7f3c"],
            vec![("GET /v1/decisions/7f3c", ok(a::refused_checkpoint()))],
        ),
        (
            "status",
            &["status"],
            vec![("GET /v1/status", ok(a::status(json!([]))))],
        ),
        (
            "status-warnings",
            &["status"],
            vec![(
                "GET /v1/status",
                ok(a::status(json!(["/var/lib/cofferdam cannot be mapped"]))),
            )],
        ),
        (
            "status-json",
            &["status", "--json"],
            vec![("GET /v1/status", ok(a::status(json!([]))))],
        ),
    ]
}

fn errors() -> Vec<Case> {
    let kinds: [(&str, u16, &str, &str, Option<&str>); 8] = [
        ("error-denied", 403, "denied", "your user may not do this", None),
        (
            "error-busy",
            409,
            "busy",
            "payments.pgdata is held by 3f2a",
            Some("stop that container first"),
        ),
        (
            "error-missing",
            404,
            "missing",
            "there is no volume payments.pgdata",
            Some("cofferdam volume ls"),
        ),
        (
            "error-conflict",
            409,
            "conflict",
            "payments.pgdata exists with another size",
            None,
        ),
        ("error-invalid", 400, "invalid", "no such parameter", None),
        (
            "error-unavailable",
            503,
            "unavailable",
            "the engine does not answer",
            Some("systemctl start docker"),
        ),
        ("error-corrupt", 500, "corrupt", "the registry is damaged", None),
        (
            "error-internal",
            500,
            "internal",
            "a fault of ours\u{1b}[2J\u{202e}",
            Some("tell\nus"),
        ),
    ];
    let show: &[&str] = &["volume", "show", "payments.pgdata"];
    let mut cases: Vec<Case> = kinds
        .into_iter()
        .map(|(name, status, kind, message, remedy)| {
            (name, show, vec![(VOLUME, problem(status, kind, message, remedy))])
        })
        .collect();
    cases.push((
        "error-json",
        &["volume", "show", "payments.pgdata", "--json"],
        vec![(VOLUME, problem(409, "busy", "held\u{1b}[2J", Some("wait")))],
    ));
    for (name, arguments) in [
        ("usage-nothing", &[][..]),
        ("usage-noun-only", &["volume"]),
        ("usage-unknown-verb", &["volume", "crate", "x"]),
        ("usage-unknown-option", &["volume", "create", "x", "--sise", "1G"]),
        ("usage-missing-argument", &["app", "create", "x"]),
        ("usage-bad-choice", &["volume", "create", "x", "--access", "both"]),
        ("usage-bad-name", &["volume", "create", "../etc"]),
        ("usage-bad-name-json", &["volume", "create", "../etc", "--json"]),
        ("usage-bad-size", &["volume", "create", "x", "--size", "1.5G"]),
        ("usage-bad-time", &["grant", "x", "y", "--until", "tomorrow"]),
        (
            "usage-past-time",
            &["grant", "x", "y", "--until", "2020-01-01T00:00:00Z"],
        ),
        (
            "usage-bad-user",
            &["app", "create", "x", "--image", "i", "--user", "root"],
        ),
        (
            "usage-bad-privilege",
            &["app", "create", "x", "--image", "i", "--allow", "root"],
        ),
        (
            "usage-bad-mount",
            &["app", "create", "x", "--image", "i", "--allow-mount", "etc"],
        ),
        (
            "usage-bad-workdir",
            &["app", "create", "x", "--image", "i", "--workdir", "/srv/../bin"],
        ),
        ("usage-bad-id", &["why", "latest"]),
    ] {
        cases.push((name, arguments, vec![]));
    }
    cases
}

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The names of what differs.
fn differing(transcripts: &[(String, String)]) -> Vec<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "whoever runs the tests asks for new files this way"
    )]
    let bless = std::env::var("BLESS").is_ok_and(|value| value == "1");
    let mut wrong = Vec::new();
    for (name, seen) in transcripts {
        let path = golden().join(format!("{name}.txt"));
        if bless {
            std::fs::write(&path, seen).unwrap();
        }
        let agreed = std::fs::read_to_string(&path).unwrap_or_default();
        if agreed != *seen {
            wrong.push(format!("{name}:\n--- agreed\n{agreed}--- seen\n{seen}"));
        }
    }
    wrong
}

#[test]
fn all_that_people_see_is_as_agreed() {
    let cases = [
        tenants(),
        tickets(),
        apps(),
        volumes(),
        grants(),
        host_paths(),
        insight(),
        errors(),
    ];
    let mut seen: Vec<(String, String)> = cases
        .into_iter()
        .flatten()
        .map(|(name, arguments, answers)| (name.to_owned(), transcript(&Server::start(answers), arguments)))
        .collect();
    seen.extend(help::transcripts());
    let wrong = differing(&seen);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let names: BTreeSet<String> = seen.iter().map(|(name, _)| format!("{name}.txt")).collect();
    assert_eq!(names.len(), seen.len(), "two cases have one name");
    let files: BTreeSet<String> = std::fs::read_dir(golden())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, names, "tests/golden holds files that no case makes");
}

#[test]
fn nothing_printed_can_steer_a_terminal() {
    for entry in std::fs::read_dir(golden()).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let hostile = text
            .chars()
            .find(|c| (c.is_control() && *c != '\n') || ('\u{202a}'..='\u{202e}').contains(c));
        assert_eq!(hostile, None, "{}", path.display());
    }
}
