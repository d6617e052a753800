//! Keys in files, with the real `openssl` on the other side.

use crate::fixture::*;
use crate::golden::file;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use cofferdam_deed::{Draft, PublicKey, pem};
use cofferdam_model::ErrorKind::{Invalid, Unavailable};
use cofferdam_model::Result;
use cofferdam_vault::SigningKey;
use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A directory in which `openssl` works.
struct OpenSsl(TempDir);

impl OpenSsl {
    fn new() -> Self {
        OpenSsl(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// Runs `openssl` with arguments that name files in the directory.
    #[track_caller]
    fn run(&self, line: &str) {
        let ran = Command::new("openssl")
            .args(line.split(' '))
            .current_dir(self.0.path())
            .output()
            .unwrap_or_else(|error| {
                panic!("openssl cannot be run ({error}); install it: apt-get install openssl")
            });
        assert!(
            ran.status.success(),
            "openssl {line}: {}",
            String::from_utf8_lossy(&ran.stderr)
        );
    }
}

fn private_text(key: &SigningKey) -> Vec<u8> {
    pem::write_private(key, |text| Ok(text.to_vec())).unwrap()
}

fn private(text: &[u8]) -> Result<SigningKey> {
    pem::read_private(text)
}

fn public(key: &SigningKey) -> PublicKey {
    key.verifying().into()
}

#[test]
fn what_openssl_makes_is_read_and_written_alike() {
    let openssl = OpenSsl::new();
    openssl.run("genpkey -algorithm ed25519 -out payments.key");
    openssl.run("pkey -in payments.key -pubout -out payments.pub");
    let key = private(&openssl.read("payments.key")).unwrap();
    let read = pem::parse_public(&openssl.read("payments.pub")).unwrap();
    assert_eq!(read, public(&key));
    assert_eq!(private_text(&key), openssl.read("payments.key"));
    assert_eq!(pem::public_text(&read).into_bytes(), openssl.read("payments.pub"));
}

#[test]
fn what_we_make_openssl_reads() {
    let openssl = OpenSsl::new();
    let key = SigningKey::generate().unwrap();
    openssl.write("ours.key", &private_text(&key));
    openssl.run("pkey -in ours.key -pubout -out ours.pub");
    assert_eq!(
        pem::public_text(&public(&key)).into_bytes(),
        openssl.read("ours.pub")
    );
}

#[test]
fn openssl_signs_a_draft() {
    let openssl = OpenSsl::new();
    openssl.write("payments.key", &private_text(&tenant()));
    let draft = Draft::of(first(new_deed())).unwrap();
    openssl.write("message", &draft.to_be_signed());
    openssl.run("pkeyutl -sign -inkey payments.key -rawin -in message -out signature");
    let signature = openssl.read("signature").try_into().unwrap();
    assert_eq!(draft.with_signature(&signature).unwrap(), signed());
}

/// The golden deed, taken apart by its documentation alone.
#[test]
fn openssl_verifies_a_deed() {
    let openssl = OpenSsl::new();
    openssl.write("payments.pub", pem::public_text(&public(&tenant())).as_bytes());
    let envelope: serde_json::Value =
        serde_json::from_slice(&fs::read(file("deed.envelope.json")).unwrap()).unwrap();
    let decoded = |value: &serde_json::Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
    let payload = decoded(&envelope["payload"]);
    let head = format!("DSSEv1 {} {DEED_TYPE} {} ", DEED_TYPE.len(), payload.len());
    openssl.write("message", &[head.as_bytes(), &payload].concat());
    openssl.write("signature", &decoded(&envelope["signatures"][0]["sig"]));
    openssl.run("pkeyutl -verify -pubin -inkey payments.pub -rawin -in message -sigfile signature");
}

#[test]
fn keys_of_other_kinds_are_told_by_name() {
    let openssl = OpenSsl::new();
    for (made, name) in [
        ("-algorithm x25519", "X25519"),
        ("-algorithm x448", "X448"),
        ("-algorithm ed448", "Ed448"),
        ("-algorithm rsa -pkeyopt rsa_keygen_bits:2048", "RSA"),
        ("-algorithm ec -pkeyopt ec_paramgen_curve:P-256", "elliptic-curve"),
    ] {
        openssl.run(&format!("genpkey {made} -out other.key"));
        openssl.run("pkey -in other.key -pubout -out other.pub");
        let words = ["another algorithm", name];
        refused(private(&openssl.read("other.key")), Invalid, &words);
        refused(pem::parse_public(&openssl.read("other.pub")), Invalid, &words);
    }
}

#[test]
fn files_of_other_kinds_are_told_by_what_they_are() {
    let openssl = OpenSsl::new();
    openssl.run("genpkey -algorithm ed25519 -out plain.key");
    openssl.run("pkey -in plain.key -aes256 -passout pass:secret -out locked.key");
    openssl.run("pkey -in plain.key -pubout -out plain.pub");
    openssl.run("req -x509 -key plain.key -subj /CN=x -out plain.crt");
    let made = "openssl genpkey -algorithm ed25519 -out payments.key";
    refused(
        private(&openssl.read("locked.key")),
        Invalid,
        &[
            "not an Ed25519 private key but a private key under a password",
            made,
        ],
    );
    refused(
        private(&openssl.read("plain.pub")),
        Invalid,
        &["but a public key", made],
    );
    refused(
        private(&openssl.read("plain.crt")),
        Invalid,
        &["but a certificate", made],
    );
    let made = "openssl pkey -in payments.key -pubout -out payments.pub";
    refused(
        pem::parse_public(&openssl.read("plain.key")),
        Invalid,
        &["not an Ed25519 public key but a private key", made],
    );
    refused(pem::parse_public(b""), Invalid, &["but an empty file", made]);
    refused(pem::parse_public(b" \n"), Invalid, &["but an empty file"]);
    refused(pem::parse_public(&[7; 32]), Invalid, &["no PEM text at all"]);
    let odd = "-----BEGIN \u{1b}[2J-----\n-----END \u{1b}[2J-----\n";
    refused(
        pem::parse_public(odd.as_bytes()),
        Invalid,
        &["PEM text of another kind"],
    );
    refused(pem::parse_public(&[b'x'; 9000]), Invalid, &["too long"]);
    refused(private(&[b'x'; 9000]), Invalid, &["too long", "genpkey"]);
}

#[test]
fn a_file_is_three_lines() {
    let good = text(&private_text(&tenant()));
    let taken = |text: &str| private(text.as_bytes()).map(|key| key.verifying());
    for fine in [good.trim_end(), &good.replace('\n', "\r\n")] {
        assert_eq!(taken(fine).unwrap(), tenant().verifying());
    }
    let lines: Vec<&str> = good.lines().collect();
    let (front, back) = lines[1].split_at(32);
    for other in [
        &format!("{good}\n"),
        &format!("\n{good}"),
        &format!("a comment\n{good}"),
        &format!("{good}{good}"),
        &format!("{}\n{front}\n{back}\n{}\n", lines[0], lines[2]),
        &good.replace(&lines[1][63..], "="),
        &good.replacen("MC4C", "MC4D", 1),
        &good.replacen("-----END", "----END", 1),
        &good[..60],
    ] {
        let refusal = taken(other).unwrap_err();
        assert_eq!(refusal.kind, Invalid, "{other}");
        // Nothing of the key is in the message.
        assert!(!refusal.to_string().contains(&back[..8]), "{refusal}");
    }
    let public_text = pem::public_text(&public(&tenant()));
    for other in [
        &format!("{public_text}\n"),
        &public_text.replacen("MCow", "MCox", 1),
        &public_text[..80],
    ] {
        refused(
            pem::parse_public(other.as_bytes()),
            Invalid,
            &["not an Ed25519 public key"],
        );
    }
}

/// The examples of RFC 8410, section 10: a public key, and two private keys, of which one has attributes.
#[test]
fn rfc_8410_section_10() {
    let public = b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    let private_text = b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    let with_attributes = b"-----BEGIN PRIVATE KEY-----\nMHICAQEwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\noB8wHQYKKoZIhvcNAQkJFDEPDA1DdXJkbGUgQ2hhaXJzgSEAGb9ECWmEzf6FQbrB\nZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PRIVATE KEY-----\n";
    let key = private(private_text).unwrap();
    assert_eq!(
        PublicKey::from(key.verifying()),
        pem::parse_public(public).unwrap()
    );
    refused(
        private(with_attributes),
        Invalid,
        &["another form than three lines"],
    );
}

#[test]
fn a_private_key_comes_in_pieces_and_failures_are_told() {
    /// One byte at a time, with interruptions; fails at the end where it is to.
    struct Halting<'a>(&'a [u8], bool, bool);
    impl Read for Halting<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            match (self.1, self.0.split_first()) {
                (true, _) => Err(io::ErrorKind::Interrupted.into()),
                (false, Some((byte, rest))) => {
                    (into[0], self.0) = (*byte, rest);
                    Ok(1)
                }
                (false, None) if self.2 => Err(io::ErrorKind::PermissionDenied.into()),
                (false, None) => Ok(0),
            }
        }
    }
    let good = private_text(&tenant());
    let key = pem::read_private(Halting(&good, false, false)).unwrap();
    assert_eq!(key.verifying(), tenant().verifying());
    let failed = pem::read_private(Halting(&good, false, true));
    refused(
        failed,
        Unavailable,
        &["reading a private key", "permission denied"],
    );
    let failed = pem::write_private(&tenant(), |_| {
        io::Result::<()>::Err(io::ErrorKind::StorageFull.into())
    });
    assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
}
