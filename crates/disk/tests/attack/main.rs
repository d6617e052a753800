//! The disk under attack, and on stores that fail.
//!
//! Whoever can write to the store changes, drops, swaps, duplicates and replays what a real
//! [`Directory`](cofferdam_disk::Directory) store holds. What follows must be an error that names the place, or
//! exactly what was written: never other data, never a panic, never a wait without an end.
//!
//! | room | subject |
//! |---|---|
//! | `flips` | every byte changed in turn |
//! | `headers` | clear fields exchanged; seals of other keys |
//! | `mixes` | segments and heads dropped, duplicated, swapped, replayed |
//! | `tail` | the end of the log cut and damaged |
//! | `places` | links, pipes and directories where files belong |
//! | `errors`, `full` | stores that answer with errors, are full, slow, or large |
//! | `flushes` | flushes that wait while a store is slow |
//! | `rotation` | another key, a larger disk |
//! | `golden` | stores of every version of the format, kept byte for byte |
//! | `stranger` | a reader that knows the format's page and nothing else |
//!
//! Needs root and loop devices, for filesystems that are full.

#[cfg(test)]
mod errors;
#[cfg(test)]
mod failing;
#[cfg(test)]
mod flips;
#[cfg(test)]
mod flushes;
#[cfg(test)]
mod full;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod headers;
#[cfg(test)]
mod mixes;
#[cfg(test)]
mod places;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod stranger;
#[cfg(test)]
mod tail;
#[cfg(test)]
mod world;
