//! Every byte changed, left out and put in: nothing of it may pass, not even as the same deed in other clothes.

use crate::fixture::*;
use cofferdam_deed::{Expected, SignedTicket, open};

/// All that differs from `bytes` in one place.
fn neighbours(bytes: &[u8]) -> impl Iterator<Item = (usize, Vec<u8>)> {
    (0..=bytes.len()).flat_map(move |place| {
        let with =
            |middle: &[u8], rest: usize| [&bytes[..place], middle, bytes.get(rest..).unwrap_or(&[])].concat();
        let mut all: Vec<Vec<u8>> = b" \n\t0A=+\"".iter().map(|byte| with(&[*byte], place)).collect();
        if let Some(byte) = bytes.get(place) {
            all.push(with(&[], place + 1));
            all.push(bytes[..place].to_vec());
            all.extend((0..8).map(|bit| with(&[byte ^ (1 << bit)], place + 1)));
            all.push(with(b" ", place + 1));
        }
        all.into_iter().map(move |other| (place, other))
    })
}

#[test]
fn a_deed_of_which_one_byte_differs_is_refused() {
    let (volume, deed) = (volume(), signed());
    let pinned = expected(&volume);
    let unpinned = Expected {
        tenant_key: None,
        ..pinned
    };
    let (mut tried, mut same) = (0, 0);
    for (place, other) in neighbours(deed.bytes()) {
        if other == deed.bytes() {
            same += 1;
            continue;
        }
        for expected in [&pinned, &unpinned] {
            let opened = open(&other, expected);
            assert!(
                opened.is_err(),
                "byte {place}: {}",
                String::from_utf8_lossy(&other)
            );
        }
        tried += 1;
    }
    // A space is never replaced by a space, for there is none.
    assert_eq!(same, 0);
    assert!(tried > 19 * deed.bytes().len() - 20, "only {tried} were tried");
}

#[test]
fn a_ticket_of_which_one_character_differs_is_refused() {
    let ticket = ticket().sign(&tenant()).unwrap();
    let check = |text: &str| {
        let held = SignedTicket::parse(text)?;
        held.check(
            &tenant().verifying(),
            &app("payments.postgres"),
            &image(0xaa),
            &["alpha"],
            now(),
        )
    };
    check(ticket.text()).unwrap();
    let mut tried = 0;
    for (place, other) in neighbours(ticket.text().as_bytes()) {
        let Ok(other) = String::from_utf8(other) else {
            continue;
        };
        if other != ticket.text() {
            assert!(check(&other).is_err(), "character {place}: {other}");
            tried += 1;
        }
    }
    assert!(tried > 15 * ticket.text().len(), "only {tried} were tried");
}
