//! What is wrong on the command line is refused before the daemon is asked.

use crate::{command::run, server::Server};

fn refused(arguments: &[&str]) {
    let server = Server::start(vec![]);
    let output = run(&server, arguments);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
    assert!(output.stdout.is_empty());
    assert!(
        told.starts_with("cofferdam: ") && told.lines().count() == 2,
        "{arguments:?}: {told}"
    );
    assert!(
        !told
            .chars()
            .any(|c| c.is_control() && c != '\n' || c == '\u{202e}'),
        "{told:?}"
    );
    assert_eq!(
        server.asked(),
        Vec::<String>::new(),
        "the daemon was asked about {arguments:?}"
    );
}

#[test]
fn names() {
    let long = "a".repeat(64);
    for name in [
        "",
        ".",
        "..",
        "a.b.c",
        "A",
        "a/b",
        "a b",
        "-a",
        "a\n",
        "\u{1b}[2J",
        "\u{202e}a",
        &long,
    ] {
        refused(&["volume", "create", name]);
        refused(&["app", "show", name]);
        refused(&["tenant", "rm", name]);
        refused(&["grant", "x", name]);
        refused(&["revoke", name, "x"]);
    }
    refused(&["tenant", "create", "a.b"]);
}

#[test]
fn sizes() {
    for size in ["", "G", "-1", "1.5G", "1X", "99999999P", "ten"] {
        refused(&["volume", "create", "x", &format!("--size={size}")]);
    }
}

#[test]
fn times() {
    for time in [
        "",
        "0s",
        "2y",
        "tomorrow",
        "2026-11-24T12:00:00Z",
        "2019-01-01T00:00:00Z",
        "2027-01-01",
        "9999999w",
    ] {
        refused(&["grant", "x", "y", &format!("--until={time}")]);
    }
    refused(&["--timeout", "0s", "status"]);
    refused(&["--timeout", "5", "status"]);
}

#[test]
fn users_mounts_and_privileges() {
    for option in [
        "--user=root",
        "--user=",
        "--user=1:",
        "--user=:1",
        "--user=4294967296",
        "--user=+1",
        "--user=1:2:3",
        "--network=bridge",
        "--allow=anything",
        "--allow-mount=relative",
        "--allow-mount=/a/../b",
        "--allow-mount=//bin",
        "--workdir=",
        "--workdir=srv",
        "--workdir=/srv/..",
        "--workdir=/./srv",
    ] {
        refused(&["app", "create", "x", "--image", "i", option]);
    }
}

#[test]
fn arguments_that_are_not_text() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let server = Server::start(vec![]);
    let output = crate::command::cofferdam(&server.socket())
        .args(["tenant", "show"])
        .arg(OsStr::from_bytes(b"\xff\x1b[2J"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(!output.stderr.contains(&0x1b));
}
