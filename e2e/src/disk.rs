//! A sealed disk as its users see it: the program `cofferdam-disk`, a mount, processes that can be killed.
//!
//! | room | subject |
//! |---|---|
//! | [`place`] | a mount namespace and a scratch directory of one's own, and the end of all that lives there |
//! | [`volume`] | a sealed disk on a store: made, served, checked |
//! | [`server`] | a running `cofferdam-disk serve`, its supervisor and its worker |
//! | [`crash`] | crashes again and again, and what was promised compared after each |
//! | [`ledger`] | writers that remember outside of the disk what was promised to them, and compare |
//! | [`postgres`] | PostgreSQL on it |
//!
//! Used by the tests of `cofferdam-disk-server` and by `cargo xtask soak`.

pub mod crash;
pub mod ledger;
pub mod place;
pub mod postgres;
pub mod server;
pub mod volume;

pub use place::Place;
pub use server::Server;
pub use volume::Volume;
