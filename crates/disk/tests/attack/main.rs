//! The disk under attack: whoever can write to the store changes, drops, swaps, duplicates and replays what a real
//! [`Directory`](cofferdam_disk::Directory) store holds. What follows must be an error that names the place, or
//! exactly what was written: never other data, never a panic, never an end without an end.

#[cfg(test)]
mod flips;
#[cfg(test)]
mod headers;
#[cfg(test)]
mod mixes;
#[cfg(test)]
mod places;
#[cfg(test)]
mod tail;
#[cfg(test)]
mod world;
