//! Signing elsewhere: a file goes, an envelope comes back.

use crate::fixture::*;
use cofferdam_deed::{Draft, PAYLOAD_MAX};
use cofferdam_model::ErrorKind::{Conflict, Corrupt, Denied, Invalid, Unavailable};

fn draft() -> Draft {
    let next = signed().without_grant(&app("payments.web")).unwrap();
    Draft::of(next).unwrap()
}

#[test]
fn a_draft_is_signed_elsewhere_and_comes_back() {
    let there = Draft::parse(draft().bytes()).unwrap();
    assert_eq!(there, draft());
    assert_eq!(there.deed().version(), 2);
    let envelope = there.sign(&tenant()).unwrap();
    assert_eq!(draft().accept(envelope.bytes()).unwrap(), envelope);
    assert_eq!(envelope.payload(), draft().bytes());
}

#[test]
fn a_bare_signature_does_as_well() {
    let signature = tenant().sign(&draft().to_be_signed());
    assert_eq!(
        draft().with_signature(&signature).unwrap(),
        draft().sign(&tenant()).unwrap()
    );
    let wrong = stranger().sign(&draft().to_be_signed());
    refused(draft().with_signature(&wrong), Corrupt, &["forged or damaged"]);
}

#[test]
fn only_the_tenants_key_signs() {
    refused(
        draft().sign(&stranger()),
        Denied,
        &["payments.pgdata", "the key of tenant payments"],
    );
}

#[test]
fn what_comes_back_must_be_what_went() {
    let wider = signed().with_grant(grants()[0].clone()).unwrap();
    assert_eq!(wider.version(), 1);
    let other = signed()
        .with_size("20G".parse().unwrap())
        .unwrap()
        .sign(&tenant())
        .unwrap();
    refused(
        draft().accept(other.bytes()),
        Conflict,
        &["payments.pgdata", "size (10737418240, 21474836480)", "grants ("],
    );
    let foreign = envelope(DEED_TYPE, draft().bytes(), &[&stranger()]);
    refused(draft().accept(foreign.as_bytes()), Corrupt, &["not by key"]);
    refused(draft().accept(b"{}"), Corrupt, &["cannot be read"]);
}

#[test]
fn a_draft_has_one_spelling() {
    let bytes = text(draft().bytes());
    refused(
        Draft::parse(format!("{bytes}\n").as_bytes()),
        Invalid,
        &["canonical form"],
    );
    refused(Draft::parse(b""), Invalid, &["cannot be read"]);
    refused(
        Draft::parse(&vec![b' '; PAYLOAD_MAX + 1]),
        Invalid,
        &["longer than"],
    );
    let later = bytes.replacen("\"format\":1", "\"format\":2", 1);
    refused(Draft::parse(later.as_bytes()), Unavailable, &["format 2"]);
    let odd = bytes.replacen("\"version\":2", "\"version\":1", 1);
    refused(Draft::parse(odd.as_bytes()), Invalid, &["none before it"]);
}
