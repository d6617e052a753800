//! What a case or a step of the harness fails with: text for the engineer who reads the run.

use std::fmt;

/// Why it failed, as one or more lines of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure(String);

/// What every step returns.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    /// A failure with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Failure(text.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure(error.to_string())
    }
}

/// Says during what something failed.
pub trait During<T> {
    /// `what: the failure`.
    ///
    /// # Errors
    /// The same failure, told from further out.
    fn during(self, what: impl fmt::Display) -> Outcome<T>;
}

impl<T, E: Into<Failure>> During<T> for Result<T, E> {
    fn during(self, what: impl fmt::Display) -> Outcome<T> {
        self.map_err(|error| Failure(format!("{what}: {}", error.into().0)))
    }
}

impl<T> During<T> for Option<T> {
    fn during(self, what: impl fmt::Display) -> Outcome<T> {
        self.ok_or_else(|| Failure(format!("{what}: nothing there")))
    }
}

/// Holds, or the case fails with this text.
///
/// # Errors
/// Where it does not hold.
pub fn ensure(holds: bool, text: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(Failure(text())) }
}
