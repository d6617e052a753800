//! Deeds and tickets through the public face.
//!
//! | room | subject |
//! |---|---|
//! | `fixture` | two tenants, a volume, an app, and documents as anybody could write them |
//! | `golden` | a deed and a ticket, byte for byte |
//! | `tampering` | every byte changed, left out and put in |
//! | `envelopes` | envelopes and payloads that are not in the one form |
//! | `opening` | whose deed it is, rollback, forks, the key |
//! | `permits` | what a deed allows |
//! | `changes` | the next version |
//! | `drafts` | signing elsewhere |
//! | `tickets` | each refusal of a ticket |
//! | `key_files` | PEM, with the real `openssl` |
//! | `properties` | random deeds and tickets |
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails ends"
)]

mod changes;
mod drafts;
mod envelopes;
mod fixture;
mod golden;
mod key_files;
mod opening;
mod permits;
mod properties;
mod tampering;
mod tickets;
