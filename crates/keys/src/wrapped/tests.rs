//! Files that were made to do harm.

use super::*;
use age::Encryptor;
use std::iter;

/// A file that looks right until a key is tried: stanzas, a MAC, a payload of this length.
fn file(stanzas: &str, payload: usize) -> Vec<u8> {
    let mac = "A".repeat(43);
    let mut file = format!("age-encryption.org/v1\n{stanzas}--- {mac}\n").into_bytes();
    file.resize(file.len() + payload, 7);
    file
}

fn parse(file: &[u8]) -> Result<WrappedKey> {
    armored(file).unwrap().parse()
}

fn refusal(file: &[u8]) -> String {
    let problem = parse(file).unwrap_err();
    assert_eq!(problem.kind, cofferdam_model::ErrorKind::Corrupt);
    problem.message
}

const STANZA: &str = "-> some-type argument\nQUJD\n";

#[test]
fn a_passphrase_is_refused_before_any_work() {
    // 2^30 rounds would take a terabyte.
    let scrypt = "-> scrypt clz122UFmC/c1yrVErp0hg 30\nd/hYzQ9yQ2WUjG2PmbEQwQAkqLkF7wvRxhl1IDylXy0\n";
    assert!(refusal(&file(scrypt, PAYLOAD)).contains("passphrase"));
    assert!(refusal(&file(&format!("{STANZA}{scrypt}"), PAYLOAD)).contains("passphrase"));
    assert!(refusal(&file("-> scrypt\n\n", PAYLOAD)).contains("passphrase"));
    assert!(parse(&file("-> scrypting\n\n", PAYLOAD)).is_ok());
}

#[test]
fn stanzas_lines_and_bytes_are_bounded() {
    assert!(parse(&file(&STANZA.repeat(STANZAS_MAX), PAYLOAD)).is_ok());
    assert!(refusal(&file(&STANZA.repeat(STANZAS_MAX + 1), PAYLOAD)).contains("64 recipients"));
    let lines = |count| format!("-> a\n{}", "A\n".repeat(count));
    assert!(parse(&file(&lines(LINES_MAX - 2), PAYLOAD)).is_ok());
    assert!(refusal(&file(&lines(LINES_MAX - 1), PAYLOAD)).contains("1024 lines"));
    let long = format!("-> a {}\n\n", "x".repeat(WRAPPED_MAX));
    assert!(refusal(&file(&long, PAYLOAD)).contains("longer than 65536 bytes"));
}

#[test]
fn only_a_key_of_32_bytes_fits() {
    let recipient = age::x25519::Identity::generate().to_public();
    let of = |length| {
        let encryptor = Encryptor::with_recipients(iter::once(&recipient as _)).unwrap();
        let mut file = Vec::new();
        let mut writer = encryptor.wrap_output(&mut file).unwrap();
        writer.write_all(&vec![7; length]).unwrap();
        writer.finish().unwrap();
        file
    };
    assert!(parse(&of(32)).is_ok());
    for length in [0, 1, 16, 31, 33, 64, 4096] {
        assert!(refusal(&of(length)).contains("256 bits"), "{length}");
    }
}

#[test]
fn what_is_no_age_file_is_refused() {
    assert!(refusal(b"").contains("no armored age file"));
    assert!(refusal(&[0; 200]).contains("no age file"));
    let newer = String::from_utf8(file(STANZA, PAYLOAD))
        .unwrap()
        .replace("/v1", "/v2");
    assert!(refusal(newer.as_bytes()).contains("no age file of version 1"));
    let endless = file(STANZA, 0);
    assert!(refusal(&endless[..endless.len() - 48]).contains("no end"));
}

#[test]
fn a_file_has_one_text() {
    let text = armored(&file(STANZA, PAYLOAD)).unwrap();
    assert_eq!(text.parse::<WrappedKey>().unwrap().as_str(), text);
    let short = text.trim_end();
    for other in [
        "",
        short,
        &format!("{text}\n"),
        &format!("{text} "),
        &format!("\n{text}"),
        &text.replace('\n', "\r\n"),
        &text.replacen("AGE ENCRYPTED", "AGE  ENCRYPTED", 1),
        &text.replacen("-----BEGIN", "----BEGIN", 1),
        "age-encryption.org/v1\n-> X25519 abc\nabc\n--- abc\n",
    ] {
        let problem = other.parse::<WrappedKey>().unwrap_err();
        assert_eq!(problem.kind, cofferdam_model::ErrorKind::Corrupt, "{other:?}");
    }
}

#[test]
fn json_is_the_text() {
    let key = parse(&file(STANZA, PAYLOAD)).unwrap();
    let json = serde_json::to_string(&key).unwrap();
    assert_eq!(serde_json::from_str::<String>(&json).unwrap(), key.as_str());
    assert_eq!(serde_json::from_str::<WrappedKey>(&json).unwrap(), key);
    assert!(serde_json::from_str::<WrappedKey>("\"\"").is_err());
}
