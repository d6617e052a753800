//! What every verb needs beside its own options: the daemon, the clock, and how to answer.

use crate::{arguments::Global, client::Client, report::Report};
use cofferdam_model::Result;
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use std::io::IsTerminal;

/// What every verb needs beside its own options.
#[derive(Debug)]
pub(crate) struct Context {
    /// The daemon.
    pub(crate) daemon: Client,
    /// The clock, read once, so that one answer counts from one instant.
    pub(crate) now: Timestamp,
    /// Answer in JSON.
    pub(crate) json: bool,
    /// Headers may be bold.
    pub(crate) bold: bool,
    /// What reads the output takes more than ASCII, by its locale.
    pub(crate) unicode: bool,
}

impl Context {
    /// As the command line says.
    pub(crate) fn new(global: &Global) -> Self {
        Context {
            daemon: Client::new(global.socket.clone(), global.timeout.get()),
            now: global.clock.unwrap_or_else(Timestamp::now),
            json: global.json,
            bold: std::io::stdout().is_terminal(),
            unicode: takes_unicode(),
        }
    }

    /// What is there before a change, for the sentence about it. JSON has no such sentence.
    ///
    /// # Errors
    ///
    /// Whatever the daemon answers, unless it is that nothing is there.
    pub(crate) fn before<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>> {
        if self.json {
            return Ok(None);
        }
        self.daemon.find(path)
    }

    /// The answer, in the form that was asked for.
    ///
    /// # Errors
    ///
    /// `internal` where the value has no JSON form.
    pub(crate) fn answer<T: Serialize>(&self, value: &T, human: impl FnOnce() -> Report) -> Result<Report> {
        if self.json {
            Report::json(value)
        } else {
            Ok(human())
        }
    }
}

/// Whether the locale's characters are UTF-8 (locale(7)): the first of these that is set says so.
#[expect(
    clippy::disallowed_methods,
    reason = "nothing is decided by it but how a mark is written"
)]
fn takes_unicode() -> bool {
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(|name| {
        let value = std::env::var(name).ok()?;
        (!value.is_empty()).then_some(value)
    });
    set.is_some_and(|locale| locale.to_ascii_lowercase().replace('-', "").contains("utf8"))
}
