//! Help, derived from the definitions: every command has one, with examples that really parse.

use crate::{command::transcript, server::Server};
use clap::Command;

/// Every command's words (`["volume", "create"]`) and definition, the hidden ones too.
fn commands() -> Vec<(Vec<String>, Command)> {
    fn collect(words: &[String], command: &Command, all: &mut Vec<(Vec<String>, Command)>) {
        all.push((words.to_vec(), command.clone()));
        for inner in command.get_subcommands() {
            let words = [words, &[inner.get_name().to_owned()]].concat();
            collect(&words, inner, all);
        }
    }
    let mut all = Vec::new();
    collect(&[], &cofferdam_cli::command(), &mut all);
    all
}

/// `cofferdam … --help` of every command, named for its golden file.
pub(crate) fn transcripts() -> Vec<(String, String)> {
    let server = Server::start(vec![]);
    let helped = commands().into_iter().map(|(words, _)| {
        let name = [&["help".to_owned()], words.as_slice()].concat().join("-");
        let mut arguments: Vec<&str> = words.iter().map(String::as_str).collect();
        arguments.push("--help");
        (name, transcript(&server, &arguments))
    });
    let mut all: Vec<_> = helped.collect();
    all.push(("version".to_owned(), transcript(&server, &["--version"])));
    all
}

#[test]
fn definitions_are_sound() {
    cofferdam_cli::command().debug_assert();
}

#[test]
fn every_help_has_examples_that_parse() {
    for (words, command) in commands() {
        let help = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let examples: Vec<&str> = help
            .lines()
            .filter_map(|line| line.trim().strip_prefix("cofferdam "))
            .collect();
        assert!(
            help.starts_with("Examples:") && !examples.is_empty(),
            "cofferdam {} --help has no example",
            words.join(" ")
        );
        for example in examples {
            let typed = words_of(example.split(" > ").next().unwrap());
            let parsed = cofferdam_cli::command()
                .try_get_matches_from(["cofferdam".to_owned()].into_iter().chain(typed));
            assert!(
                parsed.is_ok(),
                "the example `cofferdam {example}` does not parse: {}",
                parsed.unwrap_err()
            );
            let own = words
                .iter()
                .zip(example.split(' '))
                .all(|(word, typed)| word == typed);
            assert!(own, "`cofferdam {example}` is no example of {}", words.join(" "));
        }
    }
}

/// As a shell takes a line apart.
fn words_of(line: &str) -> Vec<String> {
    let script = format!("printf '%s\\0' {line}");
    let said = std::process::Command::new("sh")
        .arg("-c")
        .arg(script)
        .output()
        .unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    said.split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn every_argument_is_explained() {
    for (words, command) in commands() {
        assert!(
            command.get_about().is_some(),
            "cofferdam {} is not explained",
            words.join(" ")
        );
        for argument in command.get_arguments() {
            let known =
                argument.get_help().is_some() || ["help", "version"].contains(&argument.get_id().as_str());
            assert!(
                known,
                "{} of cofferdam {} is not explained",
                argument.get_id(),
                words.join(" ")
            );
        }
    }
}
