//! Signed statements of a tenant: deeds and tickets, and the keys that sign them, as text.
//!
//! | statement | says | travels with |
//! |---|---|---|
//! | [`Deed`] | who may open a sealed volume, and holds its key, wrapped | the volume |
//! | [`Ticket`] | that a launch of an image is a certain app of this tenant | the launch |
//!
//! Both are JSON within an [`Envelope`], signed with Ed25519. Each step towards the data is a type that only the step
//! before can make:
//!
//! ```text
//! bytes ── open ──▶ SignedDeed ── confirm(volume key) ──▶ ConfirmedDeed ── permits ──▶ ()
//! text ── parse ──▶ SignedTicket ── check(tenant's key) ──▶ VerifiedTicket
//! SignedDeed ── with_… ──▶ Deed ── sign ──▶ SignedDeed
//!                           └── draft ──▶ bytes, signed elsewhere ── accept ──▶ SignedDeed
//! ```
//!
//! Pure: no I/O, no clock, no randomness. Callers pass the time and ids, and read and write the bytes. What this does
//! not do: wrap keys, remember which deeds and tickets were seen, or decide; a deed only ever narrows what the policy
//! allows.

mod deed;
mod document;
mod envelope;
mod hex;
mod json_difference;
pub mod pem;
mod public_key;
mod shown;
mod ticket;

pub use deed::{
    ConfirmedDeed, Deed, DeedClaims, DeedGrant, Draft, Expected, Filesystem, NewDeed, SignedDeed, WrappedFor,
    open,
};
pub use envelope::{ENVELOPE_MAX, Envelope, PAYLOAD_MAX, Verified};
pub use public_key::{KeyId, PublicKey};
pub use ticket::{NewTicket, SignedTicket, TICKET_MAX, Ticket, TicketClaims, TicketId, VerifiedTicket};
