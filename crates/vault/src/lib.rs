//! Keys, and the only cipher of the workspace: no other crate names one.
//!
//! | key | from | serves |
//! |---|---|---|
//! | [`VolumeKey`] | 256 random bits | deriving the others; nothing is ever encrypted with it |
//! | [`SegmentKey`] | HKDF of it, with the segment's own salt | AES-256-GCM within one segment |
//! | [`HeadKey`] | HKDF of it, with the volume's id | HMAC-SHA-256 of the head and the witness |
//! | [`SigningKey`], [`VerifyingKey`] | 256 random bits of their own | Ed25519 signatures of deeds, tickets and checkpoints |
//!
//! Every key lives in locked memory (`cofferdam_linux::memory`), is overwritten on drop, and cannot be
//! cloned, printed or serialised. Derivations run on stack that is overwritten afterwards.
//!
//! What this crate does not do: choose nonces and additional data (the format does, by [`Nonce`]'s rule),
//! wrap keys for recipients, or touch files.

mod derive;
mod head;
mod nonce;
#[cfg(test)]
mod published;
mod segment;
mod signing;
mod suite;
mod volume;

pub use head::HeadKey;
pub use nonce::Nonce;
pub use segment::{SegmentKey, TAG};
pub use signing::{SIGNATURE, SigningKey, VerifyingKey};
pub use suite::Suite;
pub use volume::VolumeKey;

/// The bytes, or what they were bound to, are not what was sealed under this key. Nothing of them may be
/// used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("does not verify")]
pub struct Forged;
