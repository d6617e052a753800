//! Each kind of text, and what is none.

use super::*;

const HOST: &str = "age1sjk8fx9zef8l7havszx8ctxswnnypmssjx4ljz45mncqh9489ewqt8mk6w";
const TAG: &str = "age1tag1qd43050juykyy3lchnnw2caygre8wqmasyk7kvaq7jsnj3wcnrpfvt5hxye";
const PLUGIN: &str = "age1yubikey1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqjrljxx";

/// A key that nobody has: its ML-KEM part is zero, its point is P-256's base point.
fn post_quantum() -> String {
    let point = "ydvtaruhp93py079uumjk8fzq7fmsxlvp9h4n8g855yu5tkycc2tylc6zutlp5lum3mn7kjnup70pv27wxdtkkv27em9mvsrgx7l4rag8q3agq";
    format!("age1tagpq1{}{point}", "q".repeat(1895))
}

#[test]
fn each_kind_parses_and_shows_the_same() {
    for text in [
        HOST,
        TAG,
        &post_quantum(),
        PLUGIN,
        "pkcs11:token=hsm;object=volumes",
    ] {
        let recipient: Recipient = text.parse().unwrap();
        assert_eq!(recipient.to_string(), text);
        let json = serde_json::to_string(&recipient).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<Recipient>(&json).unwrap(), recipient);
    }
}

#[test]
fn each_text_is_of_its_kind() {
    let kind = |text: &str| text.parse::<Recipient>().unwrap().kind;
    assert!(matches!(kind(HOST), Kind::X25519(_)));
    assert!(matches!(kind(TAG), Kind::Tag(_)));
    assert!(matches!(kind(&post_quantum()), Kind::TagPq(_)));
    assert!(matches!(kind(PLUGIN), Kind::Plugin(plugin) if plugin.plugin() == "yubikey"));
    assert!(matches!(
        kind("pkcs11:token=a;object=b"),
        Kind::Provider("pkcs11")
    ));
}

#[test]
fn what_is_no_recipient_is_refused_with_the_reason() {
    let secret = "AGE-SECRET-KEY-14WPNTXVLWTV08Y70PT9KTPJHU86QEQK4CTRMU46W9TJX57VX89MQGXT52E";
    let long = format!("age1{}", "q".repeat(5000));
    for (text, why) in [
        ("", "not a recipient"),
        ("age", "not a recipient"),
        ("age1", "checksum"),
        (&HOST[..61], "checksum"),
        (&format!("{HOST}\n"), "checksum"),
        (&format!(" {HOST}"), "not a recipient"),
        (&HOST.replace("jk8", "bk8"), "checksum"),
        (&HOST.to_uppercase(), "capital letters"),
        (&HOST.replace("jk8", "JK8"), "not a recipient"),
        // Bech32 with a right checksum, but 31 bytes.
        (
            "age1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqar8nxw",
            "checksum",
        ),
        // The same, but no point.
        ("age1tag1q0llllllllllllllllllllllllllllllluzt4t5t", "checksum"),
        (secret, "is a secret"),
        (&secret.to_lowercase(), "is a secret"),
        ("AGE-PLUGIN-YUBIKEY-1QQQQQQQQQQQQQ60QCVX", "is a secret"),
        ("ssh-ed25519 AAAA", "not a recipient"),
        ("awskms:key", "not a recipient"),
        ("pkcs11:token=a", "object is not there"),
        (&long, "too long"),
    ] {
        let problem = text.parse::<Recipient>().unwrap_err();
        assert_eq!(problem.kind, cofferdam_model::ErrorKind::Invalid);
        assert!(problem.message.contains(why), "{text:?}: {problem}");
        assert!(problem.remedy.is_some(), "{text:?} has no remedy");
    }
    let problem = secret.parse::<Recipient>().unwrap_err();
    assert!(!problem.to_string().contains("TXVLWT"), "a secret is repeated");
}

#[test]
fn order_is_that_of_the_texts() {
    let mut recipients: Vec<Recipient> = [PLUGIN, TAG, HOST]
        .iter()
        .map(|text| text.parse().unwrap())
        .collect();
    recipients.sort();
    assert_eq!(
        recipients.iter().map(Recipient::as_str).collect::<Vec<_>>(),
        [HOST, TAG, PLUGIN]
    );
}
