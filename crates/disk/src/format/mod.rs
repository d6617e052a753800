//! Format v1: what lies on the store, byte by byte. Each room has the table of its part; `docs/sealed-disk-format.md`
//! has them all, with the rules that bind them.
//!
//! Everything here is pure: bytes in, values out, and the other way round. Every parser takes bytes that an
//! attacker may have written.

pub(crate) mod checkpoint;
mod field;
pub(crate) mod head;
pub(crate) mod page;
pub(crate) mod record;
mod sealer;
pub(crate) mod segment_header;
mod witness;

pub(crate) use sealer::Sealer;
pub use witness::Witness;
