//! Identity files: made, read, and refused.

use super::*;
use cofferdam_model::ErrorKind;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, text).unwrap();
    file
}

#[test]
fn what_is_made_can_be_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("identity");
    let made = HostIdentity::make(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(text.ends_with('\n') && lines.len() == 3);
    assert_eq!(lines[1], format!("# public key: {}", made.recipient()));
    assert!(lines[2].starts_with("AGE-SECRET-KEY-1") && lines[2].len() == 74);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(HostIdentity::read(&path).unwrap().recipient(), made.recipient());
    assert!(!format!("{made:?}").contains("SECRET"));
}

#[test]
fn none_is_made_over_another() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("identity");
    HostIdentity::make(&path).unwrap();
    let before = fs::read(&path).unwrap();
    assert_eq!(HostIdentity::make(&path).unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(fs::read(&path).unwrap(), before);
    let nowhere = directory.path().join("not/there");
    assert_eq!(HostIdentity::make(&nowhere).unwrap_err().kind, ErrorKind::Missing);
}

#[test]
fn a_link_to_a_file_that_is_not_there_makes_none() {
    let directory = tempfile::tempdir().unwrap();
    let (link, target) = (directory.path().join("link"), directory.path().join("target"));
    symlink(&target, &link).unwrap();
    assert_eq!(HostIdentity::make(&link).unwrap_err().kind, ErrorKind::Conflict);
    assert!(!target.exists());
}

#[test]
fn only_a_file_of_ones_own_that_nobody_else_may_touch_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("identity");
    HostIdentity::make(&path).unwrap();
    let kind = |path: &Path| HostIdentity::read(path).unwrap_err().kind;
    for mode in [0o640, 0o604, 0o660, 0o610] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert_eq!(kind(&path), ErrorKind::Denied, "mode {mode:o}");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    assert!(HostIdentity::read(&path).is_ok());
    let link = directory.path().join("link");
    symlink(&path, &link).unwrap();
    assert_eq!(kind(&link), ErrorKind::Invalid);
    assert_eq!(kind(directory.path()), ErrorKind::Invalid);
    assert_eq!(kind(&directory.path().join("nothing")), ErrorKind::Missing);
    assert!(
        rustix::process::geteuid().is_root(),
        "run this as root: it gives files away"
    );
    chown(&path, Some(1000), None).unwrap();
    assert_eq!(kind(&path), ErrorKind::Denied);
}

#[test]
fn a_pipe_does_not_hold_us_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    assert_eq!(HostIdentity::read(&path).unwrap_err().kind, ErrorKind::Invalid);
}

#[test]
fn what_is_no_identity_is_refused_and_not_repeated() {
    let host = "AGE-SECRET-KEY-14WPNTXVLWTV08Y70PT9KTPJHU86QEQK4CTRMU46W9TJX57VX89MQGXT52E";
    let broken = host.replace("GXT52E", "GXT52Q");
    let both = format!("{host}\nAGE-PLUGIN-YUBIKEY-1QQQQQQQQQQQQQ60QCVX\n");
    let long = format!("#{}\n{host}\n", "x".repeat(20_000));
    for (text, why) in [
        ("", "no identity in"),
        ("# nothing\n\n", "no identity in"),
        (
            "AGE-PLUGIN-YUBIKEY-1QQQQQQQQQQQQQ60QCVX\n",
            "not one X25519 identity",
        ),
        (&both, "not one X25519 identity"),
        (&format!("{host}\n{host}\n"), "not one X25519 identity"),
        (&format!("# one\n{broken}\n"), "line 2"),
        (&format!("{host} \n"), "line 1"),
        ("AGE-PLUGIN-YUBIKEY-1QQQQQQQQQQQQQ60QCVV\n", "line 1"),
        ("-----BEGIN AGE ENCRYPTED FILE-----\n", "is encrypted itself"),
        ("age-encryption.org/v1\n", "is encrypted itself"),
        (&long, "longer than"),
    ] {
        let problem = HostIdentity::read(file(text).path()).unwrap_err();
        assert_eq!(problem.kind, ErrorKind::Invalid);
        assert!(problem.message.contains(why), "{text:?}: {problem}");
        assert!(!problem.to_string().contains("TXVLWT"), "a secret is repeated");
    }
    assert!(HostIdentity::read(file(&format!("\n# one\n{host}")).path()).is_ok());
    let further = file(&both);
    let identities = Identities::of(HostIdentity::read(file(host).path()).unwrap())
        .with_file(further.path())
        .unwrap();
    assert_eq!(
        (identities.x25519().count(), identities.plugins().count()),
        (2, 1)
    );
}
