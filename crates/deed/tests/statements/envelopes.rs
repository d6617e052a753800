//! Envelopes and payloads that are not in the one form. Each is signed with the tenant's own key where it can be, so that
//! it is the form that is refused.

use crate::fixture::*;
use cofferdam_deed::{ENVELOPE_MAX, SignedDeed, SignedTicket, open};
use cofferdam_model::ErrorKind::{Corrupt, Unavailable};
use cofferdam_model::Result;

fn opened(envelope: &str) -> Result<SignedDeed> {
    open(envelope.as_bytes(), &expected(&volume()))
}

fn good() -> String {
    text(signed().bytes())
}

/// The fixture's deed with something put in place of something, signed.
#[track_caller]
fn altered(from: &str, to: &str) -> Result<SignedDeed> {
    let payload = text(signed().payload());
    let other = payload.replacen(from, to, 1);
    assert_ne!(payload, other, "the deed has no {from}");
    opened(&envelope(DEED_TYPE, other.as_bytes(), &[&tenant()]))
}

#[test]
fn what_the_tests_write_is_what_the_crate_writes() {
    assert_eq!(envelope(DEED_TYPE, signed().payload(), &[&tenant()]), good());
}

#[test]
fn an_envelope_has_one_spelling() {
    let mut spellings = vec![
        format!(" {}", good()),
        format!("{}\n", good()),
        good().replacen(':', ": ", 1),
        good().replacen("\"payload\"", "\"p\\u0061yload\"", 1),
        good().replacen("application/", "application\\/", 1),
        good().replacen("\"keyid\"", "\"keyId\"", 1),
        good().replacen("{\"payloadType\"", "{\"extra\":1,\"payloadType\"", 1),
        good().replacen("{\"payloadType\"", "{\"payloadType\":\"x\",\"payloadType\"", 1),
        good().replacen("==\"", "\"", 1),
    ];
    let value: serde_json::Value = serde_json::from_str(&good()).unwrap();
    spellings.push(serde_json::to_string_pretty(&value).unwrap());
    spellings.push(format!(
        r#"{{"payload":{},"payloadType":{},"signatures":{}}}"#,
        value["payload"], value["payloadType"], value["signatures"]
    ));
    let signature = value["signatures"][0]["sig"].as_str().unwrap();
    let url_safe = signature.replace('+', "-").replace('/', "_");
    assert_ne!(signature, url_safe);
    spellings.push(good().replace(signature, &url_safe));
    for other in spellings {
        assert_ne!(other, good());
        refused(opened(&other), Corrupt, &["the deed's envelope"]);
    }
}

#[test]
fn what_is_no_envelope_is_refused() {
    for text in [
        "",
        "{}",
        "null",
        "[]",
        "\u{0}",
        &"[".repeat(100_000),
        "{\"payloadType\":1}",
    ] {
        refused(opened(text), Corrupt, &["cannot be read"]);
    }
    let long = " ".repeat(ENVELOPE_MAX + 1);
    refused(opened(&long), Corrupt, &["longer than 262144 bytes"]);
}

#[test]
fn one_kind_of_document_is_not_another() {
    let ticket = ticket().sign(&tenant()).unwrap();
    refused(
        open(ticket.envelope().bytes(), &expected(&volume())),
        Corrupt,
        &["carries a \"application/vnd.cofferdam.ticket+json\""],
    );
    // Nor does a signature of one serve the other.
    let as_text = |payload: &[u8]| envelope("text/plain", payload, &[&tenant()]);
    let relabelled = as_text(signed().payload()).replace("text/plain", DEED_TYPE);
    refused(opened(&relabelled), Corrupt, &["forged or damaged"]);
    let deed = base64::Engine::encode(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD,
        signed().bytes(),
    );
    refused(
        SignedTicket::parse(&deed),
        cofferdam_model::ErrorKind::Denied,
        &["carries a", "deed+json"],
    );
}

#[test]
fn an_envelope_has_one_to_eight_signatures_each_of_another_key() {
    let payload = signed().payload().to_vec();
    let none = envelope(DEED_TYPE, &payload, &[]);
    refused(opened(&none), Corrupt, &["1 to 8 signatures"]);
    let twice = envelope(DEED_TYPE, &payload, &[&tenant(), &tenant()]);
    refused(opened(&twice), Corrupt, &["1 to 8 signatures"]);
    let keys: Vec<_> = (1..=9).map(key).collect();
    let nine = envelope(DEED_TYPE, &payload, &keys.iter().collect::<Vec<_>>());
    refused(opened(&nine), Corrupt, &["1 to 8 signatures"]);
}

#[test]
fn a_deed_has_exactly_one_signature() {
    let both = envelope(DEED_TYPE, signed().payload(), &[&stranger(), &tenant()]);
    refused(opened(&both), Corrupt, &["more than one signature"]);
}

#[test]
fn among_several_signatures_the_tenants_is_found() {
    let ticket = ticket().sign(&tenant()).unwrap();
    let bytes: serde_json::Value = serde_json::from_slice(ticket.envelope().bytes()).unwrap();
    let payload = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD,
        bytes["payload"].as_str().unwrap(),
    )
    .unwrap();
    let both = envelope(
        "application/vnd.cofferdam.ticket+json",
        &payload,
        &[&stranger(), &tenant()],
    );
    let both = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, both);
    let held = SignedTicket::parse(&both).unwrap();
    let verified = held.envelope().verify(&tenant().verifying()).unwrap();
    assert_eq!(*verified.document(), crate::fixture::ticket());
    assert_eq!(*verified.key(), tenant().verifying());
    assert!(held.envelope().verify(&key(0x44).verifying()).is_err());
}

#[test]
fn a_payload_has_one_spelling_too() {
    for (from, to) in [
        ("{\"format\"", "{ \"format\""),
        ("\"format\":1,", "\"format\":1.0,"),
        ("\"format\":1,\"version\":1", "\"version\":1,\"format\":1"),
        ("\"version\":1", "\"version\":1,\"version\":1"),
        ("\"version\":1", "\"version\":1,\"extra\":1"),
        ("\"write\":true", "\"write\":true,\"extra\":1"),
        (
            "{\"uid\":999,\"gid\":999}},",
            "{\"uid\":999,\"uid\":999,\"gid\":999}},",
        ),
        (",\"owner\":{\"uid\":999,\"gid\":999}", ",\"owner\":null"),
        ("\"ext4\"", "\"xfs\""),
        ("\"ext4\"", "\"\\u0065xt4\""),
        ("08:30:00.25Z", "08:30:00.250Z"),
        ("08:30:00.25Z", "09:30:00.25+01:00"),
        ("cap:NET_ADMIN", "cap:CAP_NET_ADMIN"),
        ("[\"/etc/postgres\"]", "[\"/etc/postgres\",\"/etc/postgres\"]"),
    ] {
        let told = altered(from, to).unwrap_err();
        assert_eq!(told.kind, Corrupt, "{from} → {to}: {told}");
        let form = told.message.contains("canonical form") || told.message.contains("cannot be read");
        assert!(form, "{from} → {to}: {told}");
    }
    // A bare name is the default tenant's, and so has two spellings.
    refused(altered("payments.pgdata", "pgdata"), Corrupt, &["canonical form"]);
}

#[test]
fn fields_have_to_fit_together() {
    let payload: serde_json::Value = serde_json::from_slice(signed().payload()).unwrap();
    let grants = payload["grants"].as_array().unwrap();
    let both = format!("{},{}", grants[0], grants[1]);
    let previous = format!(",\"previous\":\"{}\"}}", "ab".repeat(32));
    let last = format!("{}}}}}", payload["key"]["wrapped"]);
    let recipient = payload["key"]["recipients"][0].to_string();
    for (from, to, word) in [
        ("\"version\":1", "\"version\":0", "its version is 0"),
        (
            "\"version\":1",
            "\"version\":9007199254740992",
            "its version is 9007199254740992",
        ),
        ("\"version\":1", "\"version\":2", "none before it"),
        (
            &last,
            &last.replace("}}", &format!("}}{previous}")),
            "none before it",
        ),
        ("\"size\":10737418240", "\"size\":0", "size is 0"),
        (&both, &format!("{},{}", grants[1], grants[0]), "not sorted"),
        (&both, &format!("{},{}", grants[0], grants[0]), "one app has two"),
        (&recipient, "", "1 to 64 recipients"),
        (&recipient, &format!("{recipient},{recipient}"), "none twice"),
        (&recipient, "\"\"", "printable ASCII"),
        (&recipient, "\"age\u{e9}\"", "printable ASCII"),
        (&payload["key"]["wrapped"].to_string(), "\"\"", "wrapped key"),
        (
            &payload["key"]["wrapped"].to_string(),
            &format!("\"{}\"", "x".repeat(65_537)),
            "wrapped key",
        ),
    ] {
        refused(altered(from, to), Corrupt, &["payments.pgdata", word]);
    }
}

#[test]
fn a_later_format_is_not_damage() {
    let later = altered("\"format\":1", "\"format\":2,\"news\":[]");
    refused(later, Unavailable, &["format 2", "install"]);
    let ticket = br#"{"format":7}"#;
    let held = envelope("application/vnd.cofferdam.ticket+json", ticket, &[&tenant()]);
    let held = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, held);
    refused(
        SignedTicket::parse(&held).unwrap().claims(),
        Unavailable,
        &["format 7"],
    );
}

#[test]
fn what_an_attacker_wrote_does_not_steer_a_terminal() {
    let odd = good().replacen("\"payload\"", "\"\u{1b}[2J\u{202e}\"", 1);
    let told = opened(&odd).unwrap_err().to_string();
    assert!(
        told.chars().all(|c| c == '…' || c == ' ' || c.is_ascii_graphic()),
        "{told:?}"
    );
}
