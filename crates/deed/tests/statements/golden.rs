//! A deed and a ticket, byte for byte: what lies on volumes for years. `BLESS=1` writes the files anew.
//!
//! | file | what |
//! |---|---|
//! | `deed.json` | a deed's payload, which is also the file of its draft |
//! | `deed.envelope.json` | the same, signed with the seed 11 11 … |
//! | `deed.2.json` | the next version: one app less, wrapped anew |
//! | `ticket.json` | a ticket's payload |
//! | `ticket.txt` | the ticket, as it is handed over |

use crate::fixture::*;
use cofferdam_deed::{Draft, SignedDeed, SignedTicket, open};
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name)
}

#[track_caller]
fn golden(name: &str, found: &[u8]) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a switch for developers, read by no program"
    )]
    let bless = std::env::var_os("BLESS").is_some();
    if bless {
        fs::write(file(name), found).unwrap();
    }
    let expected = fs::read(file(name)).unwrap_or_default();
    assert_eq!(
        text(found),
        text(&expected),
        "{name} differs; BLESS=1 rewrites it"
    );
}

fn second() -> SignedDeed {
    let one_less = signed().without_grant(&app("payments.web")).unwrap();
    one_less.sign(&tenant()).unwrap()
}

#[test]
fn a_deed_has_these_bytes() {
    golden("deed.json", signed().payload());
    golden("deed.envelope.json", signed().bytes());
    golden("deed.2.json", second().payload());
}

#[test]
fn a_ticket_has_these_bytes() {
    let ticket = ticket().sign(&tenant()).unwrap();
    let decoded: serde_json::Value = serde_json::from_slice(ticket.envelope().bytes()).unwrap();
    golden("ticket.txt", ticket.text().as_bytes());
    let payload = decoded["payload"].as_str().unwrap();
    golden(
        "ticket.json",
        &base64::Engine::decode(&base64::engine::general_purpose::STANDARD, payload).unwrap(),
    );
}

#[test]
fn what_was_written_then_is_read_now() {
    let volume = volume();
    let deed = open(&fs::read(file("deed.envelope.json")).unwrap(), &expected(&volume)).unwrap();
    assert_eq!(*deed.deed(), first(new_deed()));
    deed.confirm(&volume_key()).unwrap();
    let draft = Draft::parse(&fs::read(file("deed.2.json")).unwrap()).unwrap();
    assert_eq!(draft.deed(), second().deed());
    assert_eq!(draft.deed().previous(), Some(*deed.digest()));
    let ticket = SignedTicket::parse(&fs::read_to_string(file("ticket.txt")).unwrap()).unwrap();
    assert_eq!(ticket, crate::fixture::ticket().sign(&tenant()).unwrap());
}
