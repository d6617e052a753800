//! What a file is that holds no key of ours, told without showing any of it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use cofferdam_linux::memory;
use cofferdam_model::Problem;

/// What was wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    what: &'static str,
    label: &'static str,
    remedy: &'static str,
}

pub(super) const PRIVATE: Wanted = Wanted {
    what: "an Ed25519 private key",
    label: "PRIVATE KEY",
    remedy: "make one with: openssl genpkey -algorithm ed25519 -out payments.key",
};

pub(super) const PUBLIC: Wanted = Wanted {
    what: "an Ed25519 public key",
    label: "PUBLIC KEY",
    remedy: "make one from the private key with: openssl pkey -in payments.key -pubout -out payments.pub",
};

/// Labels of PEM that people may take for what is wanted.
const LABELS: [(&str, &str); 9] = [
    ("PRIVATE KEY", "a private key"),
    ("PUBLIC KEY", "a public key"),
    ("ENCRYPTED PRIVATE KEY", "a private key under a password"),
    ("OPENSSH PRIVATE KEY", "a private key of OpenSSH's own form"),
    ("RSA PRIVATE KEY", "an RSA private key"),
    ("EC PRIVATE KEY", "an elliptic-curve private key"),
    ("CERTIFICATE", "a certificate"),
    ("CERTIFICATE REQUEST", "a certificate request"),
    ("AGE ENCRYPTED FILE", "a file that age encrypted"),
];

/// Algorithms by their object identifiers, as DER has them.
const ALGORITHMS: [(&[u8], &str); 6] = [
    (&[0x06, 0x03, 0x2b, 0x65, 0x6e], "X25519"),
    (&[0x06, 0x03, 0x2b, 0x65, 0x6f], "X448"),
    (&[0x06, 0x03, 0x2b, 0x65, 0x70], "Ed25519"),
    (&[0x06, 0x03, 0x2b, 0x65, 0x71], "Ed448"),
    (
        &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01],
        "RSA",
    ),
    (
        &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01],
        "elliptic-curve",
    ),
];

/// The characters of base64 in which the algorithm stands, and the bytes that they make.
const HEAD: usize = 28;
const HEAD_DER: usize = 21;

pub(super) fn too_long(wanted: Wanted) -> Problem {
    problem(wanted, "a file that is too long for one")
}

/// The problem with a text that is not what was wanted.
pub(super) fn of(text: &[u8], wanted: Wanted) -> Problem {
    if text.iter().all(u8::is_ascii_whitespace) {
        return problem(wanted, "an empty file");
    }
    let Some((label, rest)) = label(text) else {
        return problem(wanted, "no PEM text at all");
    };
    if label != wanted.label.as_bytes() {
        let known = LABELS.iter().find(|(known, _)| known.as_bytes() == label);
        return problem(wanted, known.map_or("PEM text of another kind", |(_, what)| what));
    }
    match algorithm(rest) {
        Some("Ed25519") => problem(
            wanted,
            "one that is damaged, has something around it, or is in another form than three lines of PEM",
        ),
        Some(name) => problem(wanted, &format!("a key of another algorithm, {name}")),
        None => problem(wanted, "a key of another algorithm, or a damaged one"),
    }
}

fn problem(wanted: Wanted, found: &str) -> Problem {
    Problem::invalid(format!("not {} but {found}", wanted.what)).remedy(wanted.remedy)
}

/// The first label, and what follows its line.
fn label(text: &[u8]) -> Option<(&[u8], &[u8])> {
    const BEGIN: &[u8] = b"-----BEGIN ";
    let start = text.windows(BEGIN.len()).position(|bytes| bytes == BEGIN)?;
    let line = text.get(start + BEGIN.len()..)?;
    let length = line.windows(5).position(|bytes| bytes == b"-----")?;
    let rest = line.get(length + 5..)?;
    Some((line.get(..length)?, rest.trim_ascii_start()))
}

/// The algorithm that a key's first bytes name. The rest, which may be secret, is not looked at.
fn algorithm(body: &[u8]) -> Option<&'static str> {
    let mut der = [0; HEAD_DER];
    let decoded = STANDARD.decode_slice(body.get(..HEAD)?, &mut der).is_ok();
    let found = ALGORITHMS
        .iter()
        .find(|(id, _)| der.windows(id.len()).any(|bytes| bytes == *id));
    memory::wipe(&mut der);
    found.filter(|_| decoded).map(|(_, name)| *name)
}
