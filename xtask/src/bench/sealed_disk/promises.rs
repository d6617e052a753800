//! The rows of the table, and what is promised of each: the numbers that the design holds itself to.

use super::contestants::Kind::{self, Directory, Gocryptfs, Loop};

/// What a number is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Untar,
    Remove,
    Find,
    ReadFiles,
    SequentialWrite,
    SequentialRead,
    RandomReadOne,
    RandomReadFour,
    RandomWriteOne,
    RandomWriteFour,
    Transactions,
    ProcessorSequential,
    ProcessorRandomOne,
    ProcessorRandomFour,
    OpenSmall,
    OpenLarge,
    Resident,
    MapMemory,
    Space,
    SpacePeak,
    Overwrite,
    OverwriteLongest,
}

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    /// Speeds.
    Larger,
    /// Times and costs.
    Smaller,
}

impl Better {
    /// How ours stands to a rival's: above 1 ours is better, whichever way is. None where that says nothing.
    pub(crate) fn ratio(self, ours: f64, rival: f64) -> Option<f64> {
        let (above, below) = match self {
            Better::Larger => (ours, rival),
            Better::Smaller => (rival, ours),
        };
        (below > 0.0).then(|| above / below)
    }
}

/// One promise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Promise {
    /// At least so many times as good as a rival.
    AtLeast(f64, Kind),
    /// At most so many times a rival's cost.
    AtMost(f64, Kind),
    /// At most so much, in the row's unit.
    Within(f64),
}

impl Promise {
    /// Whether it holds; none where the rival was not measured.
    pub(crate) fn holds(
        self,
        better: Better,
        ours: f64,
        rival: impl Fn(Kind) -> Option<f64>,
    ) -> Option<bool> {
        match self {
            Promise::AtLeast(times, kind) => Some(better.ratio(ours, rival(kind)?)? >= times),
            Promise::AtMost(times, kind) => Some(ours <= times * rival(kind)?),
            Promise::Within(limit) => Some(ours <= limit),
        }
    }

    /// For people.
    pub(crate) fn text(self, unit: &str) -> String {
        match self {
            Promise::AtLeast(times, kind) => format!("≥ {times} × {kind}"),
            Promise::AtMost(times, kind) => format!("≤ {times} × {kind}'s"),
            Promise::Within(limit) => format!("≤ {limit} {unit}"),
        }
    }
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Definition {
    pub(crate) subject: Subject,
    pub(crate) what: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    pub(crate) promises: &'static [Promise],
}

const fn row(
    subject: Subject,
    what: &'static str,
    unit: &'static str,
    better: Better,
    promises: &'static [Promise],
) -> Definition {
    Definition {
        subject,
        what,
        unit,
        better,
        promises,
    }
}

use Better::{Larger, Smaller};
use Promise::{AtLeast, AtMost, Within};

/// All rows, in the order of the table.
#[rustfmt::skip]
pub(crate) const ROWS: [Definition; 22] = [
    row(Subject::Untar, "untar small files", "s", Smaller, &[AtLeast(14.0, Gocryptfs), AtLeast(0.8, Loop)]),
    row(Subject::Remove, "rm -rf of them", "s", Smaller, &[AtLeast(9.0, Gocryptfs), AtLeast(0.8, Loop)]),
    row(Subject::Find, "find + stat, cold", "s", Smaller, &[AtLeast(3.0, Gocryptfs), AtLeast(0.9, Loop)]),
    row(Subject::ReadFiles, "read every file, cold", "s", Smaller, &[AtLeast(2.0, Gocryptfs), AtLeast(0.8, Loop)]),
    row(Subject::SequentialWrite, "sequential write", "MB/s", Larger, &[AtLeast(1.5, Gocryptfs), AtLeast(0.8, Loop)]),
    row(Subject::SequentialRead, "sequential read, cold", "MB/s", Larger, &[AtLeast(1.2, Gocryptfs), AtLeast(0.8, Loop)]),
    row(Subject::RandomReadOne, "random read 4k direct, 1 job", "IOPS", Larger, &[AtLeast(0.75, Gocryptfs), AtLeast(0.75, Loop)]),
    row(Subject::RandomReadFour, "random read 4k direct, 4 jobs", "IOPS", Larger, &[AtLeast(1.0, Gocryptfs), AtLeast(0.9, Loop)]),
    row(Subject::RandomWriteOne, "write 4k + fdatasync, 1 job", "IOPS", Larger, &[AtLeast(1.6, Gocryptfs), AtLeast(1.0, Loop)]),
    row(Subject::RandomWriteFour, "write 4k + fdatasync, 4 jobs", "IOPS", Larger, &[AtLeast(3.0, Gocryptfs), AtLeast(0.5, Loop)]),
    row(Subject::Transactions, "pgbench TPC-B, 4 clients", "tps", Larger, &[AtLeast(1.5, Gocryptfs), AtLeast(0.85, Loop), AtLeast(0.6, Directory)]),
    row(Subject::ProcessorSequential, "CPU per GiB, sequential write", "s", Smaller, &[AtMost(1.4, Loop)]),
    row(Subject::ProcessorRandomOne, "CPU per GiB, write 4k, 1 job", "s", Smaller, &[AtMost(1.4, Loop)]),
    row(Subject::ProcessorRandomFour, "CPU per GiB, write 4k, 4 jobs", "s", Smaller, &[AtMost(1.4, Loop)]),
    row(Subject::OpenSmall, "open a clean volume of 10 GiB", "ms", Smaller, &[Within(60.0), AtLeast(1.0, Gocryptfs)]),
    row(Subject::OpenLarge, "open a clean volume of 100 GiB", "ms", Smaller, &[Within(300.0), AtLeast(1.0, Gocryptfs)]),
    row(Subject::Resident, "peak memory per GiB stored", "MiB", Smaller, &[]),
    row(Subject::MapMemory, "  grows with the map, per GiB", "MiB", Smaller, &[Within(2.0)]),
    row(Subject::Space, "space / live data after overwrite", "×", Smaller, &[Within(1.4)]),
    row(Subject::SpacePeak, "  the most during it", "×", Smaller, &[]),
    row(Subject::Overwrite, "  overwrite 4k at 80 % full", "MB/s", Larger, &[]),
    row(Subject::OverwriteLongest, "  its longest write", "ms", Smaller, &[]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_one_is_better_whichever_way_is() {
        assert_eq!(Larger.ratio(200.0, 100.0), Some(2.0));
        assert_eq!(Smaller.ratio(2.0, 28.0), Some(14.0));
        assert_eq!(Smaller.ratio(0.0, 28.0), None);
    }

    #[test]
    fn promises_are_held_against_the_named_rival() {
        let rival = |kind| match kind {
            Gocryptfs => Some(28.0),
            Loop => Some(1.0),
            _ => None,
        };
        let holds = |promise: Promise| promise.holds(Smaller, 2.0, rival);
        assert_eq!(holds(AtLeast(14.0, Gocryptfs)), Some(true));
        assert_eq!(holds(AtLeast(14.1, Gocryptfs)), Some(false));
        assert_eq!(holds(AtLeast(0.5, Loop)), Some(true));
        assert_eq!(holds(AtMost(2.0, Loop)), Some(true));
        assert_eq!(holds(AtMost(1.4, Loop)), Some(false));
        assert_eq!(holds(AtLeast(1.0, Directory)), None);
        assert_eq!(holds(Within(2.0)), Some(true));
        assert_eq!(holds(Within(1.9)), Some(false));
    }

    #[test]
    fn every_subject_has_one_row() {
        for (number, definition) in ROWS.iter().enumerate() {
            assert_eq!(definition.subject as usize, number, "{}", definition.what);
        }
    }
}
