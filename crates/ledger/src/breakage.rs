//! Where a chain breaks, and what that looks like.

use crate::chain::Chain;
use crate::finding::{Finding, Looks};

/// The first line that breaks a rule, and how. `N` below is the index that comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Break {
    /// A line that is no record.
    NoRecord(String),
    /// A line that is longer than any.
    TooLong,
    /// A record with an index beyond N.
    Ahead(u64),
    /// A record with an index that a record before has.
    Again(u64),
    /// Another record with the index of the last one.
    Second(u64),
    /// Record N, which does not continue record N - 1.
    Link,
    /// A checkpoint that is not the key's; why.
    Unsigned(&'static str),
    /// A checkpoint with more records than there are.
    Short(u64),
    /// A checkpoint with no records since the one before.
    Stale(u64),
    /// A checkpoint with fewer records than there are.
    Long(u64),
    /// A checkpoint with another root.
    Root,
    /// Where the older checkpoint was, the root is another.
    Another(u64),
    /// The end, with records that no checkpoint covers, or in the middle of a line.
    Unfinished,
    /// The end, before the older checkpoint.
    Rewound(u64),
}

impl Break {
    /// Whether it tells more to know if a record N comes further down.
    pub(crate) fn asks_for_the_next(&self) -> bool {
        matches!(
            self,
            Break::NoRecord(_) | Break::TooLong | Break::Ahead(_) | Break::Link | Break::Short(_)
        )
    }

    /// What it looks like, at the byte `offset`, after what `chain` has read. `found` is whether a record N comes
    /// further down.
    pub(crate) fn finding(self, chain: &Chain<'_>, offset: u64, found: bool) -> Finding {
        let (next, covered) = (chain.frontier.size(), chain.covered());
        let here = |record, looks, message: String| Finding {
            looks,
            record,
            offset,
            message,
        };
        let last = |message: String| Finding {
            looks: Looks::Changed,
            record: next.saturating_sub(1),
            offset: chain.last_offset,
            message,
        };
        let end = |message: String| Finding {
            looks: Looks::Cut,
            record: covered,
            offset: chain.end(),
            message,
        };
        match self {
            Break::NoRecord(_) | Break::TooLong | Break::Link if found => here(
                next,
                Looks::Inserted,
                format!("a line stands before record {next} that was never written"),
            ),
            Break::NoRecord(why) => here(next, Looks::Changed, format!("record {next} was changed: {why}")),
            Break::TooLong => here(
                next,
                Looks::Changed,
                format!("record {next} was changed: its line is longer than any"),
            ),
            // The records under a checkpoint are proved: then it can only be this one.
            Break::Link if next == covered => here(
                next,
                Looks::Changed,
                format!("record {next} was changed: it does not continue the one before"),
            ),
            Break::Link => last(format!(
                "record {} was changed, or what record {next} says of it",
                next.saturating_sub(1)
            )),
            Break::Ahead(index) if found => here(
                next,
                Looks::Moved,
                format!("record {next} was moved: record {index} stands in its place"),
            ),
            Break::Ahead(index) => here(
                next,
                Looks::Removed,
                format!("records {next} to {} were removed", index.saturating_sub(1)),
            ),
            Break::Again(index) => here(
                index,
                Looks::Duplicated,
                format!("record {index} stands here a second time"),
            ),
            Break::Second(index) => here(
                index,
                Looks::Inserted,
                format!(
                    "of two records with index {index}, this one and the one before, one was never written"
                ),
            ),
            Break::Unsigned(why) => here(covered, Looks::Unsigned, format!("the checkpoint {why}")),
            Break::Short(_) if found => here(
                next,
                Looks::Moved,
                format!("record {next} was moved behind the checkpoint that covers it"),
            ),
            Break::Short(size) => here(
                next,
                Looks::Removed,
                format!("records {next} to {} were removed", size.saturating_sub(1)),
            ),
            Break::Stale(size) => here(
                size,
                Looks::Duplicated,
                format!("the checkpoint of {size} records stands behind its place"),
            ),
            Break::Long(size) => here(
                size,
                Looks::Inserted,
                format!("{next} records stand before the checkpoint of {size}"),
            ),
            Break::Root => last(format!(
                "record {} was changed, or several records since record {covered}",
                next.saturating_sub(1)
            )),
            Break::Another(size) => here(
                next.saturating_sub(1),
                Looks::Rewritten,
                format!("the first {size} records are not those of the older checkpoint"),
            ),
            Break::Unfinished => end("the end is not covered by a checkpoint".to_owned()),
            Break::Rewound(size) => end(format!(
                "the older checkpoint has {size} records, and here are only {covered}"
            )),
        }
    }
}
