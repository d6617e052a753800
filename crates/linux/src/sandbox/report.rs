//! What holds of a confinement, what does not, and why: for one line of the log.

use std::fmt;
use std::io;

/// One thing that confines a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// No core dumps, no debugger but root's with CAP_SYS_PTRACE.
    NotDumpable,
    /// All memory, now and later, stays in RAM.
    MemoryLocked,
    /// Memory that this process asks for is not waited for in ways that need this process (prctl(2)).
    IoFlusher,
    /// Nothing that it could execute has more rights than it has (prctl(2)).
    NoNewPrivileges,
    /// No capabilities: effective, permitted, inheritable, ambient.
    NoCapabilities,
    /// None can come back either.
    EmptyBoundingSet,
    /// No capabilities but those that it keeps.
    FewCapabilities,
    /// No others come back with what it executes either.
    FewCapabilitiesLater,
    /// No files but those below its directories (landlock(7)).
    Files,
    /// No TCP, not even on sockets that it inherited (Landlock, Linux 6.7).
    Network,
    /// No signals and no abstract unix sockets to processes outside (Landlock, Linux 6.12).
    Scope,
    /// No system calls but those listed, or none of those listed (seccomp(2)).
    Calls,
}

impl fmt::Display for Measure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Measure::NotDumpable => "not dumpable",
            Measure::MemoryLocked => "memory locked",
            Measure::IoFlusher => "I/O flusher",
            Measure::NoNewPrivileges => "no new privileges",
            Measure::NoCapabilities => "no capabilities",
            Measure::EmptyBoundingSet => "empty bounding set",
            Measure::FewCapabilities => "few capabilities",
            Measure::FewCapabilitiesLater => "small bounding set",
            Measure::Files => "files confined",
            Measure::Network => "no TCP",
            Measure::Scope => "no signals to others",
            Measure::Calls => "system calls filtered",
        })
    }
}

/// See the module. Its [`Display`](fmt::Display) is the line.
#[derive(Debug, Default)]
pub struct Report {
    holding: Vec<Measure>,
    lacking: Vec<(Measure, String)>,
}

impl Report {
    /// Whether it holds.
    pub fn holds(&self, measure: Measure) -> bool {
        self.holding.contains(&measure)
    }

    /// What does not hold, each with the reason and, where there is one, the remedy.
    pub fn lacking(&self) -> &[(Measure, String)] {
        &self.lacking
    }

    pub(super) fn holds_now(&mut self, measure: Measure) {
        self.holding.push(measure);
    }

    pub(super) fn lacks(&mut self, measure: Measure, reason: impl fmt::Display) {
        self.lacking.push((measure, reason.to_string()));
    }

    pub(super) fn add(&mut self, measure: Measure, result: io::Result<()>) {
        match result {
            Ok(()) => self.holds_now(measure),
            Err(error) => self.lacks(measure, error),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, measure) in self.holding.iter().enumerate() {
            let between = if index == 0 { "" } else { ", " };
            write!(out, "{between}{measure}")?;
        }
        for (index, (measure, reason)) in self.lacking.iter().enumerate() {
            let between = if index == 0 { "; lacking: " } else { ", " };
            write!(out, "{between}{measure} ({reason})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_one_line() {
        let mut report = Report::default();
        report.holds_now(Measure::NotDumpable);
        report.holds_now(Measure::Calls);
        report.lacks(Measure::IoFlusher, "why");
        report.lacks(Measure::Scope, "old kernel");
        assert_eq!(
            report.to_string(),
            "not dumpable, system calls filtered; lacking: I/O flusher (why), no signals to others (old kernel)"
        );
        assert!(report.holds(Measure::Calls) && !report.holds(Measure::Scope));
    }
}
