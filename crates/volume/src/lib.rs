//! Volumes on this host: what an engine gets (a placeholder), what a container gets (a detached, idmapped
//! mount), and where a plain volume's data lies.
//!
//! | room | subject |
//! |---|---|
//! | [`id_map`] | which id on disk appears as which id in a container; pure |
//! | [`Placeholders`] | the read-only superblock that engines are given paths into |
//! | [`PlainStore`] | plain volumes: one directory each |
//! | [`SealedStore`] | sealed volumes: a deed and a store each |
//! | `trash` | deletion of trees that somebody else made |
//! | [`FirstContent`] | what a new volume begins with |
//! | `copy_up` | a directory of an image, copied |
//! | [`Opener`] | data directory → detached mount |
//!
//! What this crate does not do: decide. It opens what it is told to; the daemon tells it only with a proof
//! of admission in hand.

mod copy_up;
mod first_content;
pub mod id_map;
mod opener;
mod placeholders;
mod plain;
mod sealed;
mod trash;

pub use copy_up::{IdKind, Progress, Translate};
pub use first_content::{FirstContent, owner_within};
pub use opener::Opener;
pub use placeholders::{Lookup, NOTICE, Placeholders};
pub use plain::PlainStore;
pub use sealed::{Foreign, SealedStore};

use cofferdam_model::Problem;

/// A system call's error as a problem: a full or read-only disk is `unavailable`, the rest `internal`.
fn problem(doing: &str, error: std::io::Error) -> Problem {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            Problem::unavailable(format!("{doing}: the disk is full"))
                .remedy("free space on it and start again")
        }
        ErrorKind::ReadOnlyFilesystem => {
            Problem::unavailable(format!("{doing}: the filesystem is read-only"))
                .remedy("make it writable and start again")
        }
        _ => Problem::internal(format!("{doing}: {error}")),
    }
}
