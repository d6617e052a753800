//! Asks a person before data is destroyed, or something is signed.

use cofferdam_model::{Problem, Result};
use std::io::{BufRead, IsTerminal, Write};

/// The longest answer that is read, in bytes.
const ANSWER_MAX: u64 = 1024;

/// Asks on the terminal.
///
/// # Errors
///
/// `invalid` with `otherwise` as the next step where there is nobody to ask; `denied` for any answer
/// but yes.
pub(crate) fn ask(question: &str, otherwise: &str) -> Result<()> {
    let nobody = "this destroys data, and there is no terminal to ask on";
    agree(question, nobody, otherwise, "nothing was removed")
}

/// Asks on the terminal whether something is wanted.
///
/// # Errors
///
/// `invalid` with `nobody` and `otherwise` where there is nobody to ask; `denied` with `left` for any answer but yes.
pub(crate) fn agree(question: &str, nobody: &str, otherwise: &str, left: &str) -> Result<()> {
    let (stdin, stderr) = (std::io::stdin(), std::io::stderr());
    if !stdin.is_terminal() || !stderr.is_terminal() {
        return Err(Problem::invalid(nobody).remedy(otherwise));
    }
    settle(question, left, stdin.lock(), stderr.lock())
}

fn settle(question: &str, left: &str, input: impl BufRead, mut output: impl Write) -> Result<()> {
    let unheard = |error| Problem::unavailable(format!("cannot ask on the terminal: {error}"));
    write!(output, "{question} [y/N] ")
        .and_then(|()| output.flush())
        .map_err(unheard)?;
    let mut answer = String::new();
    input.take(ANSWER_MAX).read_line(&mut answer).map_err(unheard)?;
    match answer.trim().to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Problem::denied(left)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for (answer, agreed) in [
            ("y\n", true),
            ("YES\n", true),
            ("\n", false),
            ("", false),
            ("yesterday\n", false),
            ("n\n", false),
        ] {
            let mut asked = Vec::new();
            let outcome = settle("Remove it?", "nothing was removed", answer.as_bytes(), &mut asked);
            assert_eq!(outcome.is_ok(), agreed, "{answer:?}");
            assert_eq!(asked, b"Remove it? [y/N] ");
        }
    }
}
