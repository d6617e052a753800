//! A private host: real Docker, real runc and the real daemon, walled off from the machine it runs on, and
//! the end-to-end cases that are driven on it.
//!
//! | room | subject |
//! |---|---|
//! | [`ground`] | what must be installed on the machine, and how it gets there |
//! | [`namespaces`] | entering the namespaces that everything then runs in |
//! | [`scratch`], [`cgroups`] | what is on the machine's disk and in its cgroups meanwhile, and its removal |
//! | [`fuse`] | ending what hangs on a FUSE server |
//! | [`host`], [`engine`], [`daemon`] | inside: the private host, its dockerd and its cofferdamd |
//! | [`image`], [`debian_image`], [`postgres_image`], [`service_images`] | images made on the spot, without a registry |
//! | [`gate`] | a runtime that waits, so that a case can act between the engine and the wrapper |
//! | [`disk`] | a sealed disk and its server, outside of the private host |
//! | [`command`], [`http`], [`failure`] | running things and saying what went wrong |
//! | [`suite`], [`cases`] | the cases, by subject |
//! | [`attack`] | attacks, each with a control without Cofferdam |
//!
//! What this crate does not do: build the binaries it drives (`cargo xtask` does), or use the libraries
//! behind them: it sees what a user sees.

pub mod attack;
pub mod binaries;
pub mod cases;
pub mod cgroups;
pub mod command;
pub mod daemon;
pub mod debian_image;
pub mod disk;
pub mod engine;
pub mod failure;
pub mod fuse;
pub mod gate;
pub mod ground;
pub mod host;
pub mod http;
pub mod image;
pub mod namespaces;
pub mod neighbour;
pub mod postgres_image;
pub mod process;
pub mod progress;
pub mod scratch;
pub mod service_images;
pub mod suite;

pub use command::Ran;
pub use failure::{Failure, Outcome};
pub use host::Host;
