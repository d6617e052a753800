//! The admin API as a hostile or clumsy client meets it.

use super::{Scene, cases};
use crate::{
    Outcome,
    command::{finish, run, same},
    daemon::ADMIN,
    failure::ensure,
    http::request,
};
use std::{path::Path, process::Command};

cases!("api":
    bodies_that_are_nonsense_are_refused_by_kind,
    unknown_paths_and_methods_are_refused,
    a_body_without_end_is_refused,
    strangers_are_refused,
    members_of_the_group_and_of_a_tenant_are_served,
    the_runtimes_socket_is_for_root_only,
);

fn bodies_that_are_nonsense_are_refused_by_kind(scene: &mut Scene) -> Outcome {
    let bodies = [
        "",
        "{",
        "[]",
        "null",
        "7",
        "{}",
        "{\"name\":7}",
        "{\"name\":\"../x\"}",
        "{\"name\":\"ok\",\"colour\":\"blue\"}",
        "{\"name\":\"a\",\"name\":\"b\"}",
        "\u{0}",
    ];
    for body in bodies {
        for path in ["/v1/tenants", "/v1/volumes", "/v1/apps"] {
            let answer = request(Path::new(ADMIN), "POST", path, body.as_bytes())?;
            ensure((400..500).contains(&answer.status), || {
                format!("POST {path} {body:?}: {answer:?}")
            })?;
            ensure(answer.body.contains("\"kind\""), || {
                format!("POST {path} {body:?}: no problem in {answer:?}")
            })?;
        }
    }
    let deep = format!("{{\"name\":{}", "[".repeat(100_000));
    let answer = request(Path::new(ADMIN), "POST", "/v1/tenants", deep.as_bytes())?;
    ensure((400..500).contains(&answer.status), || {
        format!("nested: {answer:?}")
    })?;
    ensure(scene.host.daemon.runs(), || "the daemon ended".to_owned())
}

fn unknown_paths_and_methods_are_refused(_: &mut Scene) -> Outcome {
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/v2/status"),
        ("POST", "/v1/status"),
        ("GET", "/v1/volumes/..%2f..%2fetc"),
        ("DELETE", "/v1/volumes"),
        ("PATCH", "/v1/tenants"),
        ("GET", "/v1/decisions/xyz"),
    ] {
        let answer = request(Path::new(ADMIN), method, path, b"")?;
        ensure((400..500).contains(&answer.status), || {
            format!("{method} {path}: {answer:?}")
        })?;
    }
    same(
        "status",
        request(Path::new(ADMIN), "GET", "/v1/status", b"")?.status,
        200,
    )
}

fn a_body_without_end_is_refused(scene: &mut Scene) -> Outcome {
    let body = vec![b' '; 64 << 20];
    if let Ok(answer) = request(Path::new(ADMIN), "POST", "/v1/tenants", &body) {
        ensure((400..500).contains(&answer.status), || format!("{answer:?}"))?;
    }
    scene.cofferdam(&["status"])?.ok()?;
    Ok(())
}

/// `cofferdam status` as another user.
fn status_as(scene: &Scene, identity: &[&str]) -> Outcome<crate::Ran> {
    let mut command = Command::new("setpriv");
    let ours = scene.host.command("cofferdam", &["status"]);
    command
        .args(identity)
        .arg(ours.get_program())
        .args(ours.get_args());
    finish(&command)
}

fn strangers_are_refused(scene: &mut Scene) -> Outcome {
    status_as(scene, &["--reuid", "65534", "--regid", "65534", "--clear-groups"])?.refused(&["cofferdam"])?;
    Ok(())
}

fn members_of_the_group_and_of_a_tenant_are_served(scene: &mut Scene) -> Outcome {
    let entry = run("getent", &["group", "cofferdam"])?.ok()?.text();
    let gid = entry.split(':').nth(2).unwrap_or_default().to_owned();
    let ways = [
        ["--reuid", "65534", "--regid", "65534", "--groups", &gid].to_vec(),
        ["--reuid", "65534", "--regid", &gid, "--clear-groups"].to_vec(),
    ];
    let tenant = scene.named("").trim_end_matches('.').to_owned();
    for way in &ways {
        status_as(scene, way)?.refused(&["member of no tenant"])?;
    }
    scene
        .cofferdam(&["tenant", "member", "add", &tenant, "--user", "65534"])?
        .ok()?;
    for way in &ways {
        status_as(scene, way)?.ok()?;
    }
    Ok(())
}

fn the_runtimes_socket_is_for_root_only(_: &mut Scene) -> Outcome {
    use std::os::unix::fs::PermissionsExt;
    let metadata = std::fs::metadata("/run/cofferdam/runtime.sock")?;
    same(
        "mode of the runtime's socket",
        metadata.permissions().mode() & 0o077,
        0,
    )
}
