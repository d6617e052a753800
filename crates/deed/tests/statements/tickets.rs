//! Each refusal of a ticket.

use crate::fixture::*;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use cofferdam_deed::{KeyId, NewTicket, SignedTicket, TICKET_MAX, Ticket, TicketId, VerifiedTicket};
use cofferdam_model::ErrorKind::{Denied, Invalid};
use cofferdam_model::Result;
use jiff::{SignedDuration, Timestamp};

const HOST: [&str; 2] = ["age1alpha", "alpha"];

fn held() -> SignedTicket {
    SignedTicket::parse(ticket().sign(&tenant()).unwrap().text()).unwrap()
}

fn check_at(held: &SignedTicket, now: Timestamp) -> Result<VerifiedTicket> {
    held.check(
        &tenant().verifying(),
        &app("payments.postgres"),
        &image(0xaa),
        &HOST,
        now,
    )
}

#[test]
fn a_ticket_holds_for_its_launch() {
    let verified = check_at(&held(), now()).unwrap();
    assert_eq!(verified.id(), new_ticket().id);
    assert_eq!(verified.id().to_string(), "000102030405060708090a0b0c0d0e0f");
    assert_eq!(*verified.app(), app("payments.postgres"));
    assert_eq!(verified.until(), new_ticket().until);
    assert!(verified.once());
    assert_eq!(held().claims().unwrap().tenant.as_str(), "payments");
}

#[test]
fn it_fits_an_environment_variable() {
    let text = ticket().sign(&tenant()).unwrap().text().to_owned();
    assert!(
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)),
        "{text}"
    );
}

#[test]
fn forged() {
    // The stranger signs, and says that it was the tenant.
    let by_stranger = text(ticket().sign(&stranger()).unwrap().envelope().bytes());
    let forged = by_stranger.replace(
        &KeyId::of(&stranger().verifying()).to_string(),
        &KeyId::of(&tenant().verifying()).to_string(),
    );
    let forged = SignedTicket::parse(&URL_SAFE_NO_PAD.encode(forged)).unwrap();
    refused(
        check_at(&forged, now()),
        Denied,
        &[
            "the ticket does not verify",
            "forged or damaged",
            "have tenant payments issue",
        ],
    );
}

#[test]
fn of_another_tenant() {
    let other = ticket().sign(&stranger()).unwrap();
    refused(
        check_at(&other, now()),
        Denied,
        &[
            "of another tenant",
            &KeyId::of(&stranger().verifying()).to_string(),
        ],
    );
}

#[test]
fn for_another_app() {
    refused(
        held().check(
            &tenant().verifying(),
            &app("payments.web"),
            &image(0xaa),
            &HOST,
            now(),
        ),
        Denied,
        &["the ticket is for app payments.postgres, and not for payments.web"],
    );
}

#[test]
fn for_another_image() {
    refused(
        held().check(
            &tenant().verifying(),
            &app("payments.postgres"),
            &image(0xbb),
            &HOST,
            now(),
        ),
        Denied,
        &["the ticket is for image aaaaaaaaaaaa of payments.postgres, and not for bbbbbbbbbbbb"],
    );
}

#[test]
fn for_another_host() {
    let on = |host: &[&str]| {
        held().check(
            &tenant().verifying(),
            &app("payments.postgres"),
            &image(0xaa),
            host,
            now(),
        )
    };
    for host in [&[][..], &["beta", "age1beta"], &["alph"], &["Alpha"], &[""]] {
        refused(on(host), Denied, &["is for host alpha, and not for this one"]);
    }
    let anywhere = NewTicket {
        host: None,
        ..new_ticket()
    };
    let anywhere = Ticket::new(anywhere).unwrap().sign(&tenant()).unwrap();
    let nowhere = &[][..];
    let answer = anywhere.check(
        &tenant().verifying(),
        &app("payments.postgres"),
        &image(0xaa),
        nowhere,
        now(),
    );
    answer.unwrap();
}

#[test]
fn expired() {
    let until = new_ticket().until;
    check_at(&held(), until - SignedDuration::from_nanos(1)).unwrap();
    refused(
        check_at(&held(), until),
        Denied,
        &["the ticket for payments.postgres expired at 2026-11-27T12:00:00Z"],
    );
}

#[test]
fn not_yet() {
    let issued = new_ticket().issued;
    check_at(&held(), issued - SignedDuration::from_secs(60)).unwrap();
    refused(
        check_at(&held(), issued - SignedDuration::from_secs(61)),
        Denied,
        &["does not hold yet: it was issued at 2026-11-26T11:59:00Z, and here it is 2026-11-26T11:57:59Z"],
    );
}

#[test]
fn what_is_no_ticket() {
    let text = held().text().to_owned();
    for wrong in [
        " ",
        "ticket!",
        &format!("{text}="),
        &format!("{text}\n"),
        &text[1..],
    ] {
        refused(SignedTicket::parse(wrong), Denied, &["ticket"]);
    }
    refused(
        SignedTicket::parse(""),
        Denied,
        &["the ticket's envelope cannot be read"],
    );
    refused(
        SignedTicket::parse(&"A".repeat(TICKET_MAX + 1)),
        Denied,
        &["longer than 8192 characters"],
    );
}

#[test]
fn what_no_ticket_can_say() {
    let (issued, days) = (new_ticket().issued, |days: i64| {
        SignedDuration::from_hours(24 * days)
    });
    let until = |until: Timestamp| {
        Ticket::new(NewTicket {
            until,
            ..new_ticket()
        })
    };
    until(issued + days(366)).unwrap();
    let longer = issued + days(366) + SignedDuration::from_nanos(1);
    refused(until(longer), Invalid, &["more than 366 days"]);
    refused(until(issued), Invalid, &["ends before it begins"]);
    refused(until(issued - days(1)), Invalid, &["ends before it begins"]);
    for host in ["", "two words", "\u{e9}", &"x".repeat(4097)] {
        let new = NewTicket {
            host: Some(host.to_owned()),
            ..new_ticket()
        };
        refused(
            Ticket::new(new),
            Invalid,
            &["neither an age recipient nor a host's name"],
        );
    }
    // A tenant's signature does not make it hold.
    let payload = format!(
        r#"{{"format":1,"id":"{}","app":"payments.postgres","image":"{}","issued":"{issued}","until":"{longer}","once":false}}"#,
        TicketId::from_bits(1),
        image(0xaa)
    );
    let envelope = envelope(
        "application/vnd.cofferdam.ticket+json",
        payload.as_bytes(),
        &[&tenant()],
    );
    let signed = SignedTicket::parse(&URL_SAFE_NO_PAD.encode(envelope)).unwrap();
    refused(check_at(&signed, now()), Denied, &["more than 366 days"]);
}

#[test]
fn one_that_would_be_too_long_is_not_made() {
    let longest = NewTicket {
        host: Some("x".repeat(4096)),
        app: app(&format!("{0}.{0}", "a".repeat(63))),
        ..new_ticket()
    };
    refused(
        Ticket::new(longest).unwrap().sign(&tenant()),
        Invalid,
        &["longer than 8192 characters"],
    );
}
