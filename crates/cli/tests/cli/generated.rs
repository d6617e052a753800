//! Man pages and completions are complete.

use crate::{command::run, server::Server};
use std::{fs, path::Path};

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn every_verb_has_a_man_page() {
    let directory = tempfile::tempdir().unwrap();
    let (by_command, by_library) = (directory.path().join("a"), directory.path().join("b"));
    let output = run(&Server::start(vec![]), &["man", by_command.to_str().unwrap()]);
    assert!(output.status.success());
    assert!(output.stdout.is_empty());
    cofferdam_cli::write_man_pages(&by_library).unwrap();
    assert_eq!(names(&by_command), names(&by_library));

    for page in [
        "cofferdam.1",
        "cofferdam-volume.1",
        "cofferdam-volume-create.1",
        "cofferdam-grant.1",
        "cofferdam-why.1",
    ] {
        let text = fs::read_to_string(by_command.join(page)).unwrap();
        assert!(text.contains("Examples:"), "{page} has no examples");
    }
    assert!(
        !by_command.join("cofferdam-man.1").exists(),
        "a hidden verb has a page"
    );
}

#[test]
fn every_shell_has_completions() {
    let directory = tempfile::tempdir().unwrap();
    cofferdam_cli::write_completions(directory.path()).unwrap();
    assert_eq!(
        names(directory.path()),
        ["_cofferdam", "cofferdam.bash", "cofferdam.fish"]
    );
    let server = Server::start(vec![]);
    for (shell, file) in [
        ("bash", "cofferdam.bash"),
        ("zsh", "_cofferdam"),
        ("fish", "cofferdam.fish"),
    ] {
        let output = run(&server, &["completions", shell]);
        assert!(output.status.success());
        assert_eq!(output.stdout, fs::read(directory.path().join(file)).unwrap());
        assert!(String::from_utf8(output.stdout).unwrap().contains("attachments"));
    }
}

#[test]
fn a_place_that_cannot_be_written_is_an_error() {
    assert!(cofferdam_cli::write_man_pages(Path::new("/proc/nowhere")).is_err());
    assert!(cofferdam_cli::write_completions(Path::new("/dev/null/x")).is_err());
}
