//! A daemon that is away, slow, broken or somebody else: always an error that says so, never a hang.

use crate::{
    answers::ok,
    command::{cofferdam, run},
    server::{Answer, Server},
};
use serde_json::json;
use std::{
    fs,
    io::Read,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::UnixListener,
        process::CommandExt,
    },
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

const STATUS: &str = "GET /v1/status";

fn told(output: &Output) -> String {
    assert!(output.stdout.is_empty(), "an error printed something on stdout");
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn answered(answer: Answer) -> (Option<i32>, String) {
    let server = Server::start(vec![(STATUS, answer)]);
    let output = run(&server, &["status"]);
    (output.status.code(), told(&output))
}

#[test]
fn no_daemon() {
    let output = cofferdam(Path::new("/nowhere/admin.sock"))
        .arg("status")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        told(&output),
        "cofferdam: cannot reach cofferdamd at /nowhere/admin.sock: there is no such socket\n  \
         start it with: systemctl start cofferdamd\n"
    );
}

#[test]
fn a_daemon_that_ended() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("admin.sock");
    drop(UnixListener::bind(&socket).unwrap());
    let output = cofferdam(&socket).arg("status").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(told(&output).contains("nobody listens there\n  start it with: systemctl start cofferdamd\n"));
}

#[test]
fn a_socket_that_is_closed_to_this_user() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = directory.path().join("cofferdam");
    fs::copy(env!("CARGO_BIN_EXE_cofferdam"), &program).unwrap();
    let socket = directory.path().join("admin.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o000)).unwrap();
    let mut command = Command::new(&program);
    command
        .current_dir("/")
        .arg("--socket")
        .arg(&socket)
        .arg("status");
    if fs::metadata(&socket).unwrap().uid() == 0 {
        command.uid(65534).gid(65534);
    }
    let output = command.output().unwrap();
    drop(listener);
    assert_eq!(output.status.code(), Some(1));
    assert!(told(&output).ends_with(": permission denied\n  run as root or join the group cofferdam\n"));
}

#[test]
fn a_daemon_that_hangs() {
    for bytes in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{",
    ] {
        let server = Server::start(vec![(STATUS, Answer::Stall(bytes))]);
        let begun = Instant::now();
        let output = run(&server, &["--timeout", "300ms", "status"]);
        assert!(begun.elapsed() < Duration::from_secs(5));
        assert_eq!(output.status.code(), Some(3));
        let told = told(&output);
        assert!(
            told.starts_with("cofferdam: cofferdamd did not answer within 300ms\n"),
            "{told}"
        );
    }
}

/// The grant is gone whatever happens to the question after it.
#[test]
fn a_revocation_whose_aftermath_cannot_be_seen() {
    let place = "DELETE /v1/grants/payments.pgdata/payments.postgres";
    let server = Server::start(vec![
        (place, ok(crate::answers::grant())),
        ("GET /v1/volumes/payments.pgdata", Answer::Bytes(vec![])),
    ]);
    let output = run(&server, &["revoke", "payments.pgdata", "payments.postgres"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(
        output.stdout,
        b"payments.postgres may no longer open payments.pgdata\n"
    );
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .starts_with("whether a container still holds it cannot be told: ")
    );
}

#[test]
fn a_connection_that_breaks() {
    for bytes in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{",
    ] {
        let (code, told) = answered(Answer::Bytes(bytes.to_vec()));
        assert_eq!(code, Some(3), "{told}");
        assert!(
            told.contains("closed the connection before it had answered"),
            "{told}"
        );
    }
}

#[test]
fn somebody_else_on_the_socket() {
    let (code, told) = answered(Answer::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec()));
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("does not speak HTTP"), "{told}");
}

#[test]
fn answers_that_make_no_sense() {
    let page = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n<html>".to_vec();
    let deep = "[".repeat(100_000);
    let deep = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{deep}", deep.len());
    for answer in [
        Answer::Bytes(page),
        Answer::Bytes(deep.into_bytes()),
        ok(json!({"version": "9"})),
        ok(json!({"\u{1b}[2J": 1})),
        ok(json!(null)),
    ] {
        let (code, told) = answered(answer);
        assert_eq!(code, Some(1), "{told}");
        assert!(
            told.starts_with("cofferdam: cofferdamd's answer to GET /v1/status does not make sense: "),
            "{told}"
        );
        assert!(!told.contains('\u{1b}'));
    }
    for answer in [
        Answer::Json(500, json!("oops")),
        Answer::Json(302, json!({})),
        Answer::Bytes(b"HTTP/1.1 502 Bad\r\ncontent-length: 0\r\n\r\n".to_vec()),
    ] {
        let (code, told) = answered(answer);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains(" and no reason\n"), "{told}");
    }
}

#[test]
fn answers_without_end() {
    for declared in [true, false] {
        let length = cofferdam_cli::RESPONSE_MAX + (1 << 20);
        let (code, told) = answered(Answer::Flood { length, declared });
        assert_eq!(code, Some(1), "{told}");
        assert!(
            told.contains("cofferdamd's answer is longer than 64 MiB"),
            "{told}"
        );
    }
}

#[test]
fn a_reader_that_goes_away() {
    let many: Vec<_> = (0..20_000)
        .map(|number| {
            json!({"name": format!("tenant-{number}"), "created": "2026-11-24T11:00:00Z", "apps": 0, "volumes": 0})
        })
        .collect();
    let server = Server::start(vec![("GET /v1/tenants", ok(json!(many)))]);
    let mut child = cofferdam(&server.socket())
        .args(["tenant", "ls"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 6];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(&first, b"TENANT");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stderr, b"");
}

#[test]
fn a_disk_that_is_full() {
    let server = Server::start(vec![("GET /v1/tenants", ok(json!([])))]);
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = cofferdam(&server.socket())
        .args(["tenant", "ls", "--json"])
        .stdout(full)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .starts_with("cofferdam: cannot write to stdout: ")
    );
}
