//! The sealed disk: a virtual disk of 4 KiB blocks, each encrypted and authenticated before it leaves the process,
//! appended to a chained log of immutable segments.
//!
//! | room | subject |
//! |---|---|
//! | [`geometry`] | sizes, addresses, places |
//! | `keys` | which key is whose, also while a volume is rotated |
//! | `format` | format v1, byte by byte; no I/O |
//! | `log` | the log as a state machine: no I/O, no clock, no randomness |
//! | [`store`] | where segments lie: a directory |
//! | [`volume`] | the driver: recovery, reads, writes, flushes, upkeep, on a real store |
//! | [`fault`] | what can go wrong, by who must act |
//!
//! What this crate does not do: name a cipher (`cofferdam-vault` does), show the disk to the kernel
//! (`cofferdam-disk-server` does), decide who may open it.

pub mod fault;
mod format;
pub mod geometry;
#[cfg(feature = "judge")]
pub mod judge;
mod keys;
mod log;
pub mod store;
pub mod volume;

pub use fault::{Fault, Outcome};
pub use format::Witness;
pub use geometry::{BLOCK, Geometry};
pub use keys::Keys;
pub use log::Memory;
pub use log::buffer::{Arena, Rescue};
pub use store::{Access, Claim, Directory, Store};
pub use volume::Volume;
