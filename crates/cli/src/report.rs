//! What a verb answers: text for stdout, and notes for the person at the terminal on stderr.
//!
//! INVARIANT: nothing in a report can steer a terminal. Text gets in only through [`Report::line`],
//! [`Report::block`] and [`Report::json`], which make what is invisible visible; [`Report::generated`]
//! is for our own text.

use crate::visible::{visible, visible_json};
use cofferdam_model::{Problem, Result};
use serde::Serialize;
use std::fmt::Display;

/// What a verb answers.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// For stdout.
    pub(crate) stdout: String,
    /// For stderr: what a script need not read.
    pub(crate) notes: String,
    /// The exit code, where what was asked for was answered and the answer is no.
    pub(crate) code: u8,
}

impl Report {
    /// The value as indented JSON.
    ///
    /// # Errors
    ///
    /// `internal` where the value has no JSON form.
    pub(crate) fn json<T: Serialize>(value: &T) -> Result<Self> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Problem::internal(format!("cannot write the answer as JSON: {error}")))?;
        Ok(Report {
            stdout: visible_json(&text) + "\n",
            ..Report::default()
        })
    }

    /// Text that this program made itself, byte for byte.
    pub(crate) fn generated(stdout: String) -> Self {
        Report {
            stdout,
            ..Report::default()
        }
    }

    /// With one more line.
    #[must_use]
    pub(crate) fn line(mut self, text: impl Display) -> Self {
        self.stdout.push_str(&visible(&text.to_string()));
        self.stdout.push('\n');
        self
    }

    /// With the lines of a table, which has made them visible already.
    #[must_use]
    pub(crate) fn block(mut self, block: crate::layout::Block) -> Self {
        self.stdout.push_str(&block.into_text());
        self
    }

    /// With this exit code.
    #[must_use]
    pub(crate) fn ending(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// With one more line for the person at the terminal.
    #[must_use]
    pub(crate) fn note(mut self, text: impl Display) -> Self {
        self.notes.push_str(&visible(&text.to_string()));
        self.notes.push('\n');
        self
    }
}
