//! What is taken from a process that needs much of the system, mounts and starts others: what it never needs. So are its children.
//!
//! [`Confinement`](super::Confinement) leaves what is listed; this takes what is listed. A list of what may be done would have to hold
//! all that the C library, a database, a driver for a key in hardware and every program that is started may ever call.

use super::{Calls, Measure, Report, alone, begin, capabilities, filter};
use rustix::thread::CapabilitySet;
use std::io;

/// What is to be left to the process. See [`Self::apply`].
#[derive(Debug)]
pub struct Restraint {
    /// The capabilities that it keeps, of those that it has, for itself and for what it starts.
    pub keep: CapabilitySet,
    /// The system calls that are refused; all others are let through.
    pub calls: Calls,
}

impl Restraint {
    /// Restrains the process and whatever it starts, for good: no new privileges, no capabilities but those that it keeps, and a filter
    /// of system calls. Threads that are started afterwards are as restrained as this one.
    ///
    /// A kernel without filters, and a bounding set that cannot be made smaller (without CAP_SETPCAP), are told in the report, and are
    /// no error.
    ///
    /// # Errors
    /// `ResourceBusy` where there are other threads, for they would stay as they are; `AlreadyExists` the second time. After any
    /// other error, the kernel's own, the process is restrained by half: end it.
    pub fn apply(self) -> io::Result<Report> {
        alone()?;
        begin()?;
        let mut report = Report::default();
        rustix::thread::set_no_new_privs(true)?;
        report.holds_now(Measure::NoNewPrivileges);
        let bounded = capabilities::keep_in_bounding_set(self.keep);
        report.add(Measure::FewCapabilitiesLater, bounded);
        capabilities::keep(self.keep)?;
        report.holds_now(Measure::FewCapabilities);
        report.add(Measure::Calls, filter::install(&self.calls));
        Ok(report)
    }
}
