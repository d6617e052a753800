//! One line on standard error for every step that takes longer than two seconds or so.

use crate::Outcome;
use std::time::Instant;

/// Runs a step, saying before it what it is and after it how long it took.
///
/// # Errors
/// Those of the step.
pub fn step<T>(what: &str, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    eprintln!("· {what} …");
    let begun = Instant::now();
    let result = work();
    let verdict = if result.is_ok() { "done" } else { "FAILED" };
    eprintln!("· {what}: {verdict} in {:.1} s", begun.elapsed().as_secs_f64());
    result
}
