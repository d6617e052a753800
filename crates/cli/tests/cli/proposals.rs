//! The command that `why` proposes says, once a shell has read it, exactly what the container was.

use crate::{
    answers::{self, IMAGE, ok},
    command::run,
    server::Server,
};
use std::process::Command;

#[test]
fn a_proposal_survives_the_shell() {
    let decision = "GET /v1/decisions/7f3a";
    let server = Server::start(vec![(decision, ok(answers::refused_launch()))]);
    let output = run(&server, &["why", "7f3a"]);
    let told = String::from_utf8(output.stdout).unwrap();
    let proposal = told
        .lines()
        .find(|line| line.starts_with("  cofferdam app create "))
        .unwrap();
    let script = format!("cofferdam() {{ printf '%s\\n' \"$@\"; }}\n{proposal}");
    let words = Command::new("sh").arg("-c").arg(script).output().unwrap();
    let words = String::from_utf8(words.stdout).unwrap();
    let expected = [
        "app",
        "create",
        "payments.NAME",
        "--image",
        IMAGE,
        "--network",
        "host",
        "--allow-mount",
        "/usr/lib/my files",
        "--allow",
        "cap:NET_ADMIN",
        "--",
        "sh",
        "-c",
        "cat '/data/a b'; echo $HOME",
    ];
    assert_eq!(words.lines().collect::<Vec<_>>(), expected);

    let named = words.replace("payments.NAME", "payments.cat");
    let typed = std::iter::once("cofferdam").chain(named.lines());
    assert!(cofferdam_cli::command().try_get_matches_from(typed).is_ok());
}
