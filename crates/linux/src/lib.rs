//! Linux, as safe calls on owned file descriptors: mounts, user namespaces, packets with descriptors,
//! processes, trusted files, FUSE, loop devices, locked memory, confinement.
//!
//! This crate holds all of the workspace's `unsafe`, each block with its reason, and knows nothing of
//! Cofferdam. What `rustix` offers is used as it is and not wrapped again. Errors are `std::io::Error`; the
//! callers know what they were doing and say so.

pub mod aligned;
pub mod file;
pub mod fuse;
pub mod loop_device;
#[cfg(feature = "mapped")]
pub mod mapped;
pub mod memory;
pub mod mount;
pub mod nowhere;
pub mod packet;
pub mod peer;
pub mod process;
pub mod random;
#[cfg(feature = "tokio")]
pub mod readiness;
pub mod sandbox;
pub mod shared_memory;
pub mod user_namespace;
