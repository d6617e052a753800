//! Lines for whoever runs this, on standard error.

use std::{fmt, io::Write};

/// Writes a line. Where nobody reads it any more, serving goes on: `eprintln!` would panic.
pub(crate) fn notice(what: impl fmt::Display) {
    drop(writeln!(std::io::stderr(), "cofferdam-disk: {what}"));
}
