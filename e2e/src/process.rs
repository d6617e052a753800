//! Signals to processes by number, and waiting for something to come true.

use crate::failure::{Failure, Outcome, ensure};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    thread::sleep,
    time::{Duration, Instant},
};

/// How often a condition is looked at.
const PACE: Duration = Duration::from_millis(20);

/// Sends a signal to one process.
///
/// # Errors
/// Where there is none.
pub fn signal(pid: u32, signal: Signal) -> Outcome {
    let number = i32::try_from(pid)?;
    let pid = Pid::from_raw(number).ok_or_else(|| Failure::new("0 is not a process"))?;
    Ok(kill_process(pid, signal)?)
}

/// Waits until something holds.
///
/// # Errors
/// Where it does not hold within `limit`.
pub fn until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) -> Outcome {
    let begun = Instant::now();
    while !holds() {
        ensure(begun.elapsed() < limit, || {
            format!("{what}: not within {} s", limit.as_secs())
        })?;
        sleep(PACE);
    }
    Ok(())
}

/// The processes whose command line contains each of these words, oldest first.
pub fn with_arguments(words: &[&str]) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let mut found: Vec<u32> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            words.iter().all(|word| line.contains(word))
        })
        .collect();
    found.sort_unstable();
    found
}
