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
}

impl Context {
    /// As the command line says.
    pub(crate) fn new(global: &Global) -> Self {
        Context {
            daemon: Client::new(global.socket.clone(), global.timeout.get()),
            now: global.clock.unwrap_or_else(Timestamp::now),
            json: global.json,
            bold: std::io::stdout().is_terminal(),
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
