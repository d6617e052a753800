//! How much is measured: the full run, or a small one that shows whether everything works.

use serde::Serialize;
use std::{fmt, time::Duration};

/// How long any one program may take: slow rivals on a busy machine need minutes.
pub(crate) const LIMIT: Duration = Duration::from_secs(1800);

/// One gibibyte.
pub(crate) const GIB: u64 = 1 << 30;

/// One mebibyte.
pub(crate) const MIB: u64 = 1 << 20;

/// Sizes, durations and counts; the same for all contestants.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Plan {
    /// Times that every row is measured.
    pub(crate) repetitions: u32,
    /// Small files in the archive.
    pub(crate) files: u32,
    /// The one large file, in bytes.
    pub(crate) file_bytes: u64,
    /// The disk of the contestants that have one, in bytes.
    pub(crate) volume_bytes: u64,
    /// Each random read or write, in seconds.
    pub(crate) random_seconds: u32,
    /// pgbench's scale: 100,000 accounts each.
    pub(crate) scale: u32,
    /// pgbench's run, in seconds.
    pub(crate) transaction_seconds: u32,
    /// What is stored in each volume that is opened, in bytes.
    pub(crate) open_bytes: u64,
    /// Times that each of them is opened in one repetition.
    pub(crate) opens: u32,
    /// The volume that is filled and overwritten, in bytes.
    pub(crate) space_bytes: u64,
}

impl Plan {
    /// The full run.
    pub(crate) fn full(repetitions: u32) -> Self {
        Plan {
            repetitions,
            files: 20_000,
            file_bytes: GIB,
            volume_bytes: 6 * GIB,
            random_seconds: 10,
            scale: 20,
            transaction_seconds: 30,
            open_bytes: GIB,
            opens: 3,
            space_bytes: 2 * GIB,
        }
    }

    /// The small one: its numbers mean little.
    pub(crate) fn quick(repetitions: u32) -> Self {
        Plan {
            repetitions,
            files: 2_000,
            file_bytes: 128 * MIB,
            volume_bytes: 2 * GIB,
            random_seconds: 1,
            scale: 2,
            transaction_seconds: 5,
            open_bytes: 64 * MIB,
            opens: 1,
            space_bytes: 512 * MIB,
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} small files; one file of {} MiB; random rows {} s each; pgbench at scale {} for {} s; medians of {}",
            self.files,
            self.file_bytes / MIB,
            self.random_seconds,
            self.scale,
            self.transaction_seconds,
            self.repetitions
        )
    }
}
