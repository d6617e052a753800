//! A wrong command line, told like every other problem; and help and version, which the parser treats
//! as errors too.

use crate::{exit, report::Report};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use cofferdam_model::Problem;
use std::{error::Error, ffi::OsString, process::ExitCode};

/// The most characters of a wrong value that are shown.
const VALUE_SHOWN: usize = 40;

/// Prints what the parser has to say.
pub(crate) fn explain(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let text = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => exit::success(Report::generated(text)),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            let problem = Problem::invalid("a command is missing").remedy("see: cofferdam --help");
            exit::failure(&problem, wants_json(arguments))
        }
        _ => exit::failure(&problem(error, &text), wants_json(arguments)),
    }
}

/// Whether `--json` stands among the options: the parser has not come far enough to say.
fn wants_json(arguments: &[OsString]) -> bool {
    arguments
        .iter()
        .take_while(|argument| *argument != "--")
        .any(|argument| argument == "--json")
}

fn problem(error: &clap::Error, text: &str) -> Problem {
    let cause = error.source().and_then(|source| source.downcast_ref::<Problem>());
    if let Some(cause) = cause {
        return cause.clone().context(culprit(error, &cause.message));
    }
    let mut paragraphs = text.trim().split("\n\n").map(one_line);
    let first = paragraphs.next().unwrap_or_default();
    let message = first.strip_prefix("error: ").unwrap_or(&first);
    if let Some((message, choices)) = message.split_once(" [possible values: ") {
        return Problem::invalid(message).remedy(format!("choose one of: {}", choices.trim_end_matches(']')));
    }
    let next = paragraphs
        .find(|paragraph| paragraph.starts_with("tip: ") || paragraph.starts_with("Usage: "))
        .unwrap_or_else(|| "see: cofferdam --help".to_owned());
    Problem::invalid(message).remedy(next.trim_start_matches("tip: "))
}

/// The argument that was wrong, as the usage line names it, and its value where the message lacks it.
fn culprit(error: &clap::Error, message: &str) -> String {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    let name = text(ContextKind::InvalidArg);
    let value: String = text(ContextKind::InvalidValue)
        .chars()
        .take(VALUE_SHOWN)
        .collect();
    if message.contains(&format!("{value:?}")) {
        name.to_owned()
    } else {
        format!("{name} {value:?}")
    }
}

fn one_line(paragraph: &str) -> String {
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}
