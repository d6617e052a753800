//! Wrapped keys that somebody changed: refused at every byte, by a problem and never by a panic.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails ends")]

mod bed;

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use bed::{bytes, drawer, host, key, recipient};
use cofferdam_keys::{Identities, Providers, WrappedKey, unwrap, wrap};
use cofferdam_model::{ErrorKind, Result};
use cofferdam_vault::VolumeKey;
use std::io::{Read, Write};

fn dearmored(wrapped: &WrappedKey) -> Vec<u8> {
    let mut file = Vec::new();
    ArmoredReader::new(wrapped.as_str().as_bytes())
        .read_to_end(&mut file)
        .unwrap();
    file
}

fn armored(file: &[u8]) -> String {
    let mut writer = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor).unwrap();
    writer.write_all(file).unwrap();
    String::from_utf8(writer.finish().unwrap()).unwrap()
}

fn open(text: &str, host: &Identities, providers: &Providers) -> Result<VolumeKey> {
    unwrap(&text.parse()?, host, providers)
}

fn assert_refused(text: &str, host: &Identities, providers: &Providers, what: &str) {
    let problem = open(text, host, providers).expect_err(what);
    assert!(
        matches!(problem.kind, ErrorKind::Corrupt | ErrorKind::Denied),
        "{what}: {problem}"
    );
}

#[test]
fn every_byte_of_the_text_counts() {
    let (host, none) = (host(), Providers::none());
    let wrapped = wrap(&key(), &[recipient(&host)], &none).unwrap();
    assert_eq!(
        bytes(&open(wrapped.as_str(), &host, &none).unwrap()),
        bytes(&key())
    );
    for place in 0..wrapped.as_str().len() {
        for other in *b"A=/-\n \r~\0" {
            let mut text = wrapped.as_str().as_bytes().to_vec();
            if text[place] != other {
                text[place] = other;
                let text = String::from_utf8(text).unwrap();
                assert_refused(&text, &host, &none, &format!("byte {place} as {other}"));
            }
        }
    }
}

#[test]
fn every_byte_of_the_file_counts_for_every_recipient() {
    let (host, other, drawer) = (host(), host(), drawer());
    let recipients = [
        recipient(&host),
        "pkcs11:token=hsm;object=volumes".parse().unwrap(),
    ];
    let file = dearmored(&wrap(&key(), &recipients, &drawer).unwrap());
    for identities in [&host, &other] {
        let whole = open(&armored(&file), identities, &drawer).unwrap();
        assert_eq!(bytes(&whole), bytes(&key()));
        for place in 0..file.len() {
            for change in [1, 0x20, 0x80, 0xff] {
                let mut file = file.clone();
                file[place] ^= change;
                assert_refused(
                    &armored(&file),
                    identities,
                    &drawer,
                    &format!("byte {place} ^ {change}"),
                );
            }
        }
    }
}

#[test]
fn every_cut_is_refused() {
    let (host, none) = (host(), Providers::none());
    let file = dearmored(&wrap(&key(), &[recipient(&host)], &none).unwrap());
    for length in 0..file.len() {
        assert_refused(
            &armored(&file[..length]),
            &host,
            &none,
            &format!("{length} bytes"),
        );
    }
    let longer = [&file[..], &[0]].concat();
    assert_refused(&armored(&longer), &host, &none, "one byte more");
}

#[test]
fn copies_cannot_be_added_taken_away_or_moved_to_another_file() {
    let (host, other, none) = (host(), host(), Providers::none());
    let both = [recipient(&host), recipient(&other)];
    let one = String::from_utf8_lossy(&dearmored(&wrap(&key(), &both, &none).unwrap())).into_owned();
    let file = dearmored(&wrap(&key(), &both, &none).unwrap());
    let lines: Vec<&[u8]> = file.split_inclusive(|byte| *byte == b'\n').collect();
    // Without its first copy, and with the two copies the other way round.
    let fewer = [&lines[..1], &lines[3..]].concat().concat();
    let swapped = [&lines[..1], &lines[3..5], &lines[1..3], &lines[5..]]
        .concat()
        .concat();
    let foreign: Vec<&[u8]> = one
        .lines()
        .skip(1)
        .take(2)
        .flat_map(|line| [line.as_bytes(), b"\n"])
        .collect();
    let more = [&lines[..1], &foreign[..], &lines[1..]].concat().concat();
    for (file, what) in [(fewer, "fewer"), (swapped, "swapped"), (more, "more")] {
        for identities in [&host, &other] {
            assert_refused(&armored(&file), identities, &none, what);
        }
    }
    assert!(open(&armored(&file), &host, &none).is_ok());
}

#[test]
fn a_copy_for_a_token_names_a_key_in_the_one_form() {
    let (host, drawer) = (host(), drawer());
    let file = dearmored(&wrap(&key(), &["pkcs11:token=t;object=k".parse().unwrap()], &drawer).unwrap());
    let at = file.windows(8).position(|bytes| bytes == b"object=k").unwrap();
    for reference in [
        &b"object=K"[..],
        b"object=k;token=t",
        b"object=k x",
        b"object=",
        b"id=1",
    ] {
        let file = [&file[..at], reference, &file[at + 8..]].concat();
        let problem = open(&armored(&file), &host, &drawer).unwrap_err();
        let expected = if reference == b"object=K" {
            ErrorKind::Denied
        } else {
            ErrorKind::Corrupt
        };
        assert_eq!(problem.kind, expected, "{problem}");
    }
}
