//! The ledger: an append-only, hash-chained, signed record of every decision, key release, opening, closing, sign of
//! tampering and administrative act.
//!
//! Nothing is handed out before the record of it is durable, and a ledger that cannot be written closes the road. The
//! file can be verified anywhere, with a public key and nothing else, and so can a single record.
//!
//! | room | subject | I/O |
//! |---|---|---|
//! | [`tree`] | the Merkle tree of RFC 6962: roots, proofs | no |
//! | `event`, `record` | what is recorded, and its line | no |
//! | `verifier_key`, `note`, `checkpoint` | the C2SP formats that outside witnesses speak | no |
//! | `chain`, `breakage`, `finding` | the rules of the file, and what a broken one looks like | no |
//! | `line`, `walk`, `verify` | verifying a file | reads |
//! | `proof` | proofs that travel alone | no |
//! | `ledger` | the files: appending, reading, opening after a crash | yes |
//!
//! # The file, format v1
//!
//! `ledger.log`, and an export of it, is a sequence of frames without anything between them. A frame is what was written
//! and made durable at once:
//!
//! | lines | what they are |
//! |---|---|
//! | one or more | records |
//! | one | the checkpoint of all records so far |
//!
//! Lines are UTF-8 JSON without white space, end in one newline (`0x0a`), and have at most 512 KiB before it. They are
//! byte for byte as they were written: of the same JSON in another form the hash is another.
//!
//! | field of a record, in this order | what it is |
//! |---|---|
//! | `index` | a number: 0 for the first record, 1 more for each |
//! | `at` | a string: when it happened, RFC 3339 in UTC. It need not grow |
//! | `previous` | `sha256:` and 64 hexadecimal digits: the leaf hash of the record before; zeros for the first |
//! | `event` | an object with one field, which is named after what happened and holds it ([`Event`]) |
//!
//! | field of a checkpoint's line | what it is |
//! |---|---|
//! | `checkpoint` | a string: the signed note |
//!
//! A checkpoint's line begins with `{"checkpoint":`, a record's never does. The leaf of a record is the line without its
//! newline; its leaf hash is SHA-256 of `0x00` and the leaf; the tree is that of RFC 6962, section 2.1.
//!
//! The signed note, in which `<root>` is the base64 of the tree's root, and the signature is Ed25519 (RFC 8032) over the
//! first three lines with their newlines:
//!
//! ```text
//! <origin>
//! <number of records, decimal>
//! <root>
//!
//! — <origin> <base64 of the key's id (4 bytes) and the signature (64 bytes)>
//! ```
//!
//! The key's id is the first four bytes of SHA-256 of origin, `0x0a`, `0x01` and the public key. A verifier key is
//! written `<origin>+<the id in hexadecimal>+<base64 of 0x01 and the public key>`.
//!
//! A verifier refuses a file in which any line breaks a rule: an index that is not the next; a `previous` that is not
//! the leaf hash of the record before; a checkpoint that the key has not signed, that has another root or number than
//! the records before it, or no record since the one before; an end that is not a checkpoint's newline.
//!
//! Beside the log lies `ledger.state`, which only spares time; whoever reads the log needs nothing of it.
//!
//! # What this crate does not do
//!
//! Keep root on this host from rewriting a ledger that nobody else has seen: whoever has the signing key can sign
//! another history. Send checkpoints elsewhere ([`Ledger::checkpoint`] is the text to send, and
//! [`Ledger::prove_extension`] what a witness asks for), and verify against the newest that came back. It also takes no
//! time from a clock, stores no environment or labels, and never repairs.

mod breakage;
mod chain;
mod checkpoint;
mod event;
mod finding;
mod ledger;
mod line;
mod note;
mod proof;
mod record;
mod tip;
pub mod tree;
mod verifier_key;
mod verify;
mod walk;

pub use checkpoint::Checkpoint;
pub use event::{Actor, Event, TEXT_MAX, TEXTS_MAX, VolumeOutcome, digest, measurement_digest};
pub use finding::{Fault, Finding, Looks};
pub use ledger::Ledger;
pub use proof::{Extension, Proof, Proven, verify_extension, verify_proof};
pub use record::Record;
pub use verifier_key::{Origin, VerifierKey};
pub use verify::{Verified, verify};

use cofferdam_model::Problem;

/// What a person is told of an error of the system's.
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
        ErrorKind::NotFound => Problem::unavailable(format!("{doing}: {error}"))
            .remedy("make the directory, for root alone, and start again"),
        ErrorKind::InvalidData => Problem::corrupt(format!("{doing}: {error}"))
            .remedy("keep the file as it is, and verify it to learn where it was changed"),
        _ => Problem::internal(format!("{doing}: {error}"))
            .remedy("look into the kernel's log for the disk's errors"),
    }
}
