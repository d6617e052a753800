//! Processor time of the whole machine, so that servers and threads of the kernel count too.

use e2e::{Outcome, failure::During};
use std::fs;

/// What the machine has spent so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spent(u64);

impl Spent {
    /// Until now.
    pub(crate) fn now() -> Outcome<Self> {
        let text = fs::read_to_string("/proc/stat")?;
        busy_ticks(&text)
            .map(Spent)
            .during("the first line of /proc/stat")
    }

    /// Seconds since then, of all processors together.
    pub(crate) fn since(self) -> Outcome<f64> {
        let ticks = u32::try_from(Spent::now()?.0.saturating_sub(self.0))?;
        Ok(f64::from(ticks) / 100.0)
    }
}

/// User, nice, system, irq and softirq (proc_stat(5)), in hundredths of a second, which is the unit on every
/// architecture of Linux. Not idle, not waiting for I/O, and not what the hypervisor gave to others.
fn busy_ticks(stat: &str) -> Option<u64> {
    let fields: Vec<u64> = stat
        .lines()
        .next()?
        .strip_prefix("cpu ")?
        .split_whitespace()
        .map_while(|field| field.parse().ok())
        .collect();
    match *fields.as_slice() {
        [user, nice, system, _idle, _iowait, irq, softirq, ..] => Some(user + nice + system + irq + softirq),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_waiting_and_stolen_time_is_not_spent() {
        let text = "cpu  100 20 3 9999 8888 4 5 7777 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
        assert_eq!(busy_ticks(text), Some(132));
        assert_eq!(busy_ticks("cpu  1 2\n"), None);
    }
}
