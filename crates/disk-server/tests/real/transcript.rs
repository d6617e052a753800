//! All that can be seen of one run of the program: the line, what was printed, the exit code.

use e2e::{Outcome, disk::Place};
use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// Transcripts of one test, and where they must agree with the files in `tests/golden`.
pub(crate) struct Transcripts {
    place: Place,
    wrong: Vec<String>,
}

impl Transcripts {
    pub(crate) fn new(place: &Place) -> Self {
        Transcripts {
            place: place.clone(),
            wrong: Vec::new(),
        }
    }

    /// Runs one line, whose paths begin with `/srv`: that is the scratch directory.
    pub(crate) fn run(&mut self, name: &str, line: &str) -> Outcome {
        let words = line
            .split(' ')
            .map(|word| word.replace("/srv", &self.place.scratch.to_string_lossy()));
        let output = Command::new(crate::ground::program())
            .args(words)
            .env_clear()
            .stdin(Stdio::null())
            .current_dir(&self.place.scratch)
            .output()?;
        let seen = format!("$ cofferdam-disk {line}\n{}", self.text(&output));
        self.compare(name, &seen)
    }

    /// Compares what was seen otherwise.
    pub(crate) fn compare(&mut self, name: &str, seen: &str) -> Outcome {
        let (path, seen) = (golden().join(format!("{name}.txt")), self.masked(seen));
        #[expect(
            clippy::disallowed_methods,
            reason = "whoever runs the tests asks for new files this way: BLESS=1"
        )]
        let bless = std::env::var("BLESS").is_ok_and(|value| value == "1");
        if bless {
            std::fs::write(&path, &seen)?;
        }
        let agreed = std::fs::read_to_string(&path).unwrap_or_default();
        if agreed != seen {
            self.wrong
                .push(format!("{name}:\n--- agreed\n{agreed}--- seen\n{seen}"));
        }
        Ok(())
    }

    /// Fails where one differed.
    pub(crate) fn end(self) -> Outcome {
        e2e::failure::ensure(self.wrong.is_empty(), || self.wrong.join("\n"))
    }

    fn text(&self, output: &Output) -> String {
        let code = output
            .status
            .code()
            .map_or("by a signal".to_owned(), |code| code.to_string());
        section("stdout", &output.stdout) + &section("stderr", &output.stderr) + &format!("--- exit {code}\n")
    }

    /// Without what differs from run to run and from machine to machine.
    fn masked(&self, text: &str) -> String {
        let mut text = text.replace(&*self.place.scratch.to_string_lossy(), "/srv");
        let digit = |c: char| c.is_ascii_digit();
        for (after, least, kind, instead) in [
            ("/dev/loop", 1, digit, "N"),
            ("\"volume\":\"", 32, char::is_alphanumeric, "ID"),
            ("volume     ", 32, char::is_alphanumeric, "ID"),
            ("\"alignment\":", 1, digit, "N"),
            ("alignment  ", 1, digit, "N"),
            // How the engine lays things out is not agreed upon here.
            ("\"segments\":", 1, digit, "N"),
            ("\"bytes\":", 1, digit, "N"),
            ("\"dead\":", 1, digit, "N"),
            ("\"leftovers\":", 1, digit, "N"),
            ("--- stdout\n", 1, digit, "N"),
            (" segments, ", 1, digit, "N"),
            (" live, ", 1, digit, "N"),
        ] as [(&str, usize, fn(char) -> bool, &str); 12]
        {
            text = replace_runs(&text, after, kind, least, instead);
        }
        let lines = text.split_inclusive('\n');
        lines
            .filter(|line| !line.starts_with("cofferdam-disk: not confined as it should be"))
            .collect()
    }
}

/// Puts `instead` for what follows `after`, where it is at least `least` characters of a kind.
fn replace_runs(text: &str, after: &str, kind: fn(char) -> bool, least: usize, instead: &str) -> String {
    let mut parts = text.split(after);
    let mut done = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        done += after;
        let rest = part.trim_start_matches(kind);
        if part.len() - rest.len() >= least {
            done += instead;
            done += rest;
        } else {
            done += part;
        }
    }
    done
}

fn section(name: &str, bytes: &[u8]) -> String {
    match bytes {
        [] => String::new(),
        bytes => format!("--- {name}\n{}", String::from_utf8_lossy(bytes)),
    }
}

pub(crate) fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}
