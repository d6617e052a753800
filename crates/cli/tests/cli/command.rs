//! Runs the real command and writes down what it did.

use crate::server::Server;
use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

/// The instant that every test counts from.
pub(crate) const NOW: &str = "2026-11-24T12:00:00Z";

/// The command, without anything of this process's surroundings.
pub(crate) fn cofferdam(socket: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cofferdam"));
    command
        .env_clear()
        .stdin(Stdio::null())
        .arg("--clock")
        .arg(NOW)
        .arg("--socket")
        .arg(socket);
    command
}

/// Runs one command line.
pub(crate) fn run(server: &Server, arguments: &[&str]) -> Output {
    cofferdam(&server.socket()).args(arguments).output().unwrap()
}

/// All that can be seen of one run: the command line, what the daemon was asked, what was printed, the
/// exit code.
pub(crate) fn transcript(server: &Server, arguments: &[&str]) -> String {
    let output = run(server, arguments);
    let words: Vec<String> = arguments
        .iter()
        .map(|word| {
            if word.contains(' ') || word.is_empty() {
                format!("{word:?}")
            } else {
                (*word).to_owned()
            }
        })
        .collect();
    let mut text = format!("$ cofferdam {}\n", words.join(" "));
    for asked in server.asked() {
        text += &format!("> {asked}\n");
    }
    text += &section("stdout", &output.stdout);
    text += &section("stderr", &output.stderr);
    text += &format!("--- exit {}\n", output.status.code().unwrap());
    let socket = server.socket().display().to_string();
    text.replace(&socket, "/run/cofferdam/admin.sock")
}

fn section(name: &str, bytes: &[u8]) -> String {
    match bytes {
        [] => String::new(),
        bytes => format!("--- {name}\n{}", String::from_utf8(bytes.to_vec()).unwrap()),
    }
}
