//! Keys in a token: SoftHSM, the real library, with a token of its own for each test.
//!
//! SoftHSM finds its token through a variable of the environment, and a test must not change that of the process that
//! it runs in. So each test makes a token and starts this program again, for one test below `with_token`, in the
//! directory of the token.
#![cfg(feature = "pkcs11")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that fails ends"
)]

mod bed;
#[path = "softhsm/with_token.rs"]
mod with_token;

use bed::{bytes, host, key, recipient, secret_file};
use cofferdam_keys::{Pkcs11, Pkcs11Settings, Provider, Providers, Recipient, unwrap, wrap};
use cofferdam_model::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

const PIN: &str = "271828";
const KEY: &str = "pkcs11:token=The%20Token;object=volumes";

/// The module, wherever the distribution puts it.
fn module() -> PathBuf {
    let architecture = std::env::consts::ARCH;
    let places = [
        "/usr/lib/softhsm/libsofthsm2.so".to_owned(),
        format!("/usr/lib/{architecture}-linux-gnu/softhsm/libsofthsm2.so"),
        "/usr/lib64/softhsm/libsofthsm2.so".to_owned(),
    ];
    let found = places.iter().map(PathBuf::from).find(|place| place.exists());
    found.expect("these tests need SoftHSM: install the package softhsm2 (apt-get install softhsm2)")
}

/// Runs softhsm2-util on the token of a directory.
fn softhsm(directory: &Path, arguments: &[&str]) {
    let mut command = Command::new("softhsm2-util");
    let output = match command
        .args(arguments)
        .env("SOFTHSM2_CONF", directory.join("conf"))
        .output()
    {
        Ok(output) => output,
        Err(error) => {
            panic!("softhsm2-util: {error}; install the package softhsm2 (apt-get install softhsm2)")
        }
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Makes a token, and runs one test of this program with it.
fn run_again(test: &str) {
    let directory = tempfile::tempdir().unwrap();
    let tokens = directory.path().join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    let settings = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\n",
        tokens.display()
    );
    std::fs::write(directory.path().join("conf"), settings).unwrap();
    secret_file(&directory.path().join("pin"), &format!("{PIN}\n"));
    for label in ["The Token", "Another"] {
        let named = ["--init-token", "--free", "--label", label];
        softhsm(
            directory.path(),
            &[&named[..], &["--so-pin", "31415926", "--pin", PIN]].concat(),
        );
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--ignored", "--nocapture", test]);
    command.current_dir(directory.path());
    let output = command
        .env("SOFTHSM2_CONF", directory.path().join("conf"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{stderr}"
    );
}

#[test]
fn a_key_in_a_token_wraps_and_unwraps() {
    run_again("with_token::it_wraps_and_unwraps");
}

#[test]
fn a_copy_that_was_changed_does_not_verify() {
    run_again("with_token::every_byte_of_a_copy_counts");
}

#[test]
fn a_copy_is_bound_to_its_reference_and_its_key() {
    run_again("with_token::a_copy_is_bound");
}

#[test]
fn a_wrong_pin_is_tried_once() {
    run_again("with_token::a_wrong_pin_is_tried_once");
}

#[test]
fn what_is_missing_is_named() {
    run_again("with_token::what_is_missing_is_named");
}

#[test]
fn threads_do_not_disturb_each_other() {
    run_again("with_token::threads_do_not_disturb_each_other");
}

#[test]
fn a_module_that_cannot_be_used_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let at = |module: PathBuf| {
        let provider = Pkcs11::new(Pkcs11Settings {
            module,
            token: "The Token".to_owned(),
            pin_file: directory.path().join("pin"),
        });
        let problem = provider.make_key(&KEY.parse().unwrap()).unwrap_err();
        assert!(problem.remedy.is_some(), "{problem}");
        problem.kind
    };
    assert_eq!(at(directory.path().join("nothing.so")), ErrorKind::Missing);
    assert_eq!(at("libsofthsm2.so".into()), ErrorKind::Invalid);
    let text = directory.path().join("text.so");
    secret_file(&text, "this is no library");
    assert_eq!(at(text.clone()), ErrorKind::Unavailable);
    std::os::unix::fs::chown(&text, Some(1000), None).unwrap();
    assert_eq!(at(text), ErrorKind::Denied);
}
