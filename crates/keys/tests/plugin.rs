//! age plugins: one that works, one that refuses, one that is not there.
//!
//! age finds plugins on the `PATH`, and a test must not change that of the process that it runs in. So each test starts
//! this program again, for one test below `on_path`, with a `PATH` that has the plugin of `examples/`.
#![expect(clippy::unwrap_used, reason = "a test that fails ends")]

mod bed;

use bed::{bytes, host, key, recipient, secret_file};
use cofferdam_keys::{Identities, Providers, Recipient, unwrap, wrap};
use cofferdam_model::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

const PLUGIN: &str = "age-plugin-cofferdam-test";

/// Where cargo puts the examples, beside the tests.
fn examples() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let examples = test.parent().unwrap().parent().unwrap().join("examples");
    assert!(
        examples.join(PLUGIN).exists(),
        "{PLUGIN} is not built: run cargo test without --test, or cargo build --examples first"
    );
    examples
}

/// Runs one test of this program with the plugin on the `PATH`.
fn run_again(test: &str, debugging: bool) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--ignored", "--nocapture", test]);
    command.env("PATH", examples()).env_remove("AGEDEBUG");
    if debugging {
        command.env("AGEDEBUG", "plugin");
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{stderr}"
    );
}

#[test]
fn a_plugin_wraps_and_unwraps() {
    run_again("on_path::it_wraps_and_unwraps", false);
}

#[test]
fn a_plugin_that_refuses_is_quoted() {
    run_again("on_path::its_refusal_is_quoted", false);
}

#[test]
fn a_plugin_leaves_no_dead_process() {
    run_again("on_path::it_leaves_no_dead_process", false);
}

#[test]
fn no_plugin_is_run_where_age_would_print_keys() {
    run_again("on_path::it_is_not_run_for_debugging", true);
}

#[test]
fn a_plugin_that_is_not_there_is_named() {
    let (host, none) = (host(), Providers::none());
    let absent: Recipient = "age1absent1qqqqqqqqqqqqqe0xvzp".parse().unwrap();
    let problem = wrap(&key(), &[recipient(&host), absent], &none).unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Unavailable);
    assert!(
        problem.message.contains("the age plugin absent is not installed"),
        "{problem}"
    );
    assert!(problem.remedy.unwrap().contains("age-plugin-absent"));

    // The host's own copy opens all the same; without one, the missing plugin is the reason.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("identity");
    secret_file(&path, "AGE-PLUGIN-ABSENT-1QQQQQQQQQQQQQNSFU9U\n");
    let wrapped = wrap(&key(), &[recipient(&host)], &none).unwrap();
    let host = host.with_file(&path).unwrap();
    assert_eq!(bytes(&unwrap(&wrapped, &host, &none).unwrap()), bytes(&key()));
    let other = self::host().with_file(&path).unwrap();
    let problem = unwrap(&wrapped, &other, &none).unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Unavailable);
    assert!(problem.message.contains("absent"), "{problem}");
}

mod on_path {
    use super::*;

    /// The plugin's recipient, and a host with its identity.
    fn pair(directory: &Path, arguments: &[&str]) -> (Recipient, Identities) {
        let output = Command::new(PLUGIN).args(arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let public = text.lines().find(|line| line.contains("age1")).unwrap();
        let recipient = public.rsplit(' ').next().unwrap().parse().unwrap();
        let path = directory.join("identity");
        secret_file(&path, &text);
        (recipient, host().with_file(&path).unwrap())
    }

    #[test]
    #[ignore = "run by a_plugin_wraps_and_unwraps"]
    fn it_wraps_and_unwraps() {
        let (directory, none) = (tempfile::tempdir().unwrap(), Providers::none());
        let (by_plugin, identities) = pair(directory.path(), &[]);
        let host = host();
        let wrapped = wrap(&key(), &[recipient(&host), by_plugin], &none).unwrap();
        for identities in [&host, &identities] {
            assert_eq!(
                bytes(&unwrap(&wrapped, identities, &none).unwrap()),
                bytes(&key())
            );
        }
        let wrapped = wrap(&key(), &[recipient(&host)], &none).unwrap();
        let problem = unwrap(&wrapped, &identities, &none).unwrap_err();
        assert_eq!(problem.kind, ErrorKind::Denied);
    }

    #[test]
    #[ignore = "run by a_plugin_that_refuses_is_quoted"]
    fn its_refusal_is_quoted() {
        let (directory, none) = (tempfile::tempdir().unwrap(), Providers::none());
        let (refused, identities) = pair(directory.path(), &["refused"]);
        let problem = wrap(&key(), &[refused], &none).unwrap_err();
        assert_eq!(problem.kind, ErrorKind::Unavailable);
        assert!(
            problem.message.contains("the device is not plugged in"),
            "{problem}"
        );
        let wrapped = wrap(&key(), &[recipient(&host())], &none).unwrap();
        let problem = unwrap(&wrapped, &identities, &none).unwrap_err();
        assert_eq!(problem.kind, ErrorKind::Unavailable);
        assert!(
            problem.message.contains("the device is not plugged in"),
            "{problem}"
        );
    }

    #[test]
    #[ignore = "run by a_plugin_leaves_no_dead_process"]
    fn it_leaves_no_dead_process() {
        let (directory, none) = (tempfile::tempdir().unwrap(), Providers::none());
        let (by_plugin, identities) = pair(directory.path(), &[]);
        // A child of somebody else is not collected.
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("--help")
            .spawn()
            .unwrap();
        let wrapped = wrap(&key(), &[by_plugin], &none).unwrap();
        assert_eq!(
            bytes(&unwrap(&wrapped, &identities, &none).unwrap()),
            bytes(&key())
        );
        assert!(child.wait().unwrap().success());
        let left = rustix::process::wait(rustix::process::WaitOptions::NOHANG);
        assert_eq!(
            left.err(),
            Some(rustix::io::Errno::CHILD),
            "a plugin was not collected"
        );
    }

    #[test]
    #[ignore = "run by no_plugin_is_run_where_age_would_print_keys"]
    fn it_is_not_run_for_debugging() {
        let (directory, none) = (tempfile::tempdir().unwrap(), Providers::none());
        let (by_plugin, _) = pair(directory.path(), &[]);
        let problem = wrap(&key(), &[by_plugin], &none).unwrap_err();
        assert_eq!(problem.kind, ErrorKind::Denied);
        assert!(problem.message.contains("AGEDEBUG"), "{problem}");
    }
}
