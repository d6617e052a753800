//! What a process that holds secrets and parses bytes from others takes from itself before it does either:
//! capabilities, files outside of its directories, the network, most system calls.
//!
//! | room | subject |
//! |---|---|
//! | [`restraint`] | the same for a process that needs much: what it never needs |
//! | [`calls`] | which system calls are left, or taken |
//! | `filter` | seccomp(2): from that list to the kernel's program |
//! | `landlock` | landlock(7): which files are left |
//! | `capabilities` | capabilities(7): which are left |
//! | [`report`] | what holds, what does not, and why |
//!
//! What this does not do: change the user. A process of root's still owns root's files, so it is Landlock that
//! keeps it from them; the files below its directories must belong to the user that it runs as, for it can no longer
//! override permissions. Descriptors that are open already stay as they are.

pub mod calls;
mod capabilities;
mod filter;
mod landlock;
pub mod report;
pub mod restraint;

pub use calls::Calls;
pub use report::{Measure, Report};
pub use restraint::Restraint;

use crate::{memory, process};
use rustix::thread::CapabilitySet;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is to be left to the process. See [`Self::apply`].
#[derive(Debug)]
pub struct Confinement<'a> {
    /// Directories: files anywhere below them may be made, opened, read, written, renamed and removed; nothing else
    /// may be opened.
    pub beneath: &'a [BorrowedFd<'a>],
    /// The system calls that do not end the process.
    pub calls: Calls,
    /// What to do on a kernel that cannot confine files.
    pub files: Strictness,
}

/// What to do where the kernel lacks something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// Fail.
    Required,
    /// Go on without, and say so in the report.
    BestEffort,
}

/// Whether this process has begun to confine itself, by whichever thread. What it inherited does not count.
static BEGUN: AtomicBool = AtomicBool::new(false);

impl Confinement<'_> {
    /// Confines the process, for good: not dumpable, memory locked, marked as one that the kernel's own writing back
    /// waits for (`PR_SET_IO_FLUSHER`), no new privileges, no capabilities, Landlock, seccomp; in this order, for
    /// the later ones forbid the earlier. Threads that are started afterwards are as confined as this one.
    ///
    /// # Errors
    /// `ResourceBusy` where there are other threads, for they would stay as they are; `AlreadyExists` the second
    /// time; `Unsupported` without Landlock where that is required. After any other error, the kernel's own, the
    /// process is confined by half: end it.
    pub fn apply(self) -> io::Result<Report> {
        begun_before()?;
        alone()?;
        let landlock = landlock::Ruleset::best();
        if let (Strictness::Required, Err(error)) = (self.files, &landlock) {
            return Err(io::Error::new(error.kind(), error.to_string()));
        }
        // Asked for once, the kernel's parameters are remembered; later, they could not be read any more.
        rustix::param::page_size();
        begin()?;
        let mut report = Report::default();
        memory::undumpable()?;
        report.holds_now(Measure::NotDumpable);
        report.add(Measure::MemoryLocked, memory::lock_all());
        report.add(Measure::IoFlusher, process::io_flusher());
        rustix::thread::set_no_new_privs(true)?;
        report.holds_now(Measure::NoNewPrivileges);
        let none = CapabilitySet::empty();
        report.add(
            Measure::EmptyBoundingSet,
            capabilities::keep_in_bounding_set(none),
        );
        capabilities::keep(none)?;
        report.holds_now(Measure::NoCapabilities);
        match landlock {
            Ok(ruleset) => ruleset.enforce(self.beneath, &mut report)?,
            Err(error) => report.add(Measure::Files, Err(error)),
        }
        filter::install(&self.calls)?;
        report.holds_now(Measure::Calls);
        Ok(report)
    }
}

/// Fails the second time.
fn begin() -> io::Result<()> {
    begun_before()?;
    BEGUN.store(true, Ordering::SeqCst);
    Ok(())
}

fn begun_before() -> io::Result<()> {
    if BEGUN.load(Ordering::SeqCst) {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "this process has confined itself before; do it once, at the start",
        ));
    }
    Ok(())
}

/// Succeeds where this is the process's only thread: capabilities and Landlock are each thread's own.
fn alone() -> io::Result<()> {
    let threads = std::fs::read_dir("/proc/self/task")
        .map_err(|error| {
            io::Error::new(
                error.kind(),
                format!("the process's threads cannot be counted ({error}); mount /proc"),
            )
        })?
        .count();
    if threads == 1 {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            format!(
                "{threads} threads run, and only this one would be confined; do it before starting others"
            ),
        ))
    }
}
