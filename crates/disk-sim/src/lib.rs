//! The judge of the sealed disk: it leads volumes through lives full of crashes and damage, on a simulated store,
//! beside a plain vector that says what they must hold.
//!
//! | room | subject |
//! |---|---|
//! | [`random`] | numbers that a seed decides |
//! | [`medium`] | what keeps bytes, and what a crash leaves of them |
//! | [`store`] | a store on it, and the faults that are ordered of it |
//! | [`oracle`] | what the disk must hold |
//! | [`session`] | one volume, its oracle, and one operation after the other |
//! | [`rot`] | damage, and old copies put back |
//! | [`life`] | a whole life, decided by a seed |
//! | [`lives`] | many of them, on all processors |
//!
//! What this crate does not do: real files, real time, more than one thread in a life (`crates/disk/tests` has those).

#![expect(
    clippy::indexing_slicing,
    reason = "a judge that is itself wrong must stop at once, and is never installed"
)]

pub mod life;
pub mod lives;
pub mod medium;
pub mod oracle;
pub mod random;
pub mod rot;
pub mod session;
pub mod store;

/// What the engine did that it must not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong(String);

impl Wrong {
    /// In words.
    pub fn new(what: impl Into<String>) -> Self {
        Wrong(what.into())
    }
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}
