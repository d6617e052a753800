//! The `age` program opens what is wrapped here, and what it made is opened here.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that fails ends")]

mod bed;

use bed::{bytes, drawer, host, key, recipient};
use cofferdam_keys::{HostIdentity, Identities, Providers, WrappedKey, unwrap, wrap};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs one of age's programs.
fn run(command: &mut Command) -> Output {
    let program = command.get_program().to_owned();
    match command.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => panic!("{program:?}: {error}; these tests need the package age (apt-get install age)"),
    }
}

fn decrypt(identity: &Path, file: &Path) -> Output {
    run(Command::new("age").arg("-d").arg("-i").arg(identity).arg(file))
}

#[test]
fn age_opens_what_was_wrapped() {
    let directory = tempfile::tempdir().unwrap();
    let (identity, file) = (
        directory.path().join("identity"),
        directory.path().join("key.age"),
    );
    let host = HostIdentity::make(&identity).unwrap();
    let drawer = drawer();
    // age passes over what is not its own.
    let recipients = [
        host.recipient().clone(),
        recipient(&self::host()),
        "pkcs11:token=hsm;object=volumes".parse().unwrap(),
    ];
    std::fs::write(&file, wrap(&key(), &recipients, &drawer).unwrap().as_str()).unwrap();
    let opened = decrypt(&identity, &file);
    assert!(
        opened.status.success(),
        "{}",
        String::from_utf8_lossy(&opened.stderr)
    );
    assert_eq!(opened.stdout, bytes(&key()));

    let other = directory.path().join("other");
    HostIdentity::make(&other).unwrap();
    assert!(!decrypt(&other, &file).status.success());
}

#[test]
fn what_age_made_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    // The identity is age's, too.
    let made = run(Command::new("age-keygen").arg("-o").arg(at("identity")));
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let identity = HostIdentity::read(&at("identity")).unwrap();
    let shown = run(Command::new("age-keygen").arg("-y").arg(at("identity")));
    assert_eq!(
        String::from_utf8(shown.stdout).unwrap().trim_end(),
        identity.recipient().as_str()
    );

    std::fs::write(at("key"), bytes(&key())).unwrap();
    let mut command = Command::new("age");
    command.arg("-a").arg("-r").arg(identity.recipient().as_str());
    let sealed = run(command.arg("-r").arg(recipient(&host()).as_str()).arg(at("key")));
    assert!(
        sealed.status.success(),
        "{}",
        String::from_utf8_lossy(&sealed.stderr)
    );
    let wrapped: WrappedKey = String::from_utf8(sealed.stdout).unwrap().parse().unwrap();
    let opened = unwrap(&wrapped, &Identities::of(identity), &Providers::none()).unwrap();
    assert_eq!(bytes(&opened), bytes(&key()));
}
