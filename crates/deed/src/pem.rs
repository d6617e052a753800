//! Keys in files, as OpenSSL writes them: PEM (RFC 7468) around DER (RFC 8410).
//!
//! | key | label | DER: fixed bytes, then the key's 32 | made by |
//! |---|---|---|---|
//! | private | `PRIVATE KEY` | `302e020100300506032b657004220420`, the seed (PKCS#8) | `openssl genpkey -algorithm ed25519 -out payments.key` |
//! | public | `PUBLIC KEY` | `302a300506032b6570032100`, the point (SubjectPublicKeyInfo) | `openssl pkey -in payments.key -pubout -out payments.pub` |
//!
//! A file has exactly three lines: the label's two and one of base64 between them. They end in LF or CR LF, and the last
//! may have no end. Nothing else is taken, no text around, no attributes, no encrypted key, and the error says what it
//! is instead, without showing any of it.
//!
//! A private key is read, decoded and written in locked memory alone, which is wiped.

mod other;

use crate::public_key::PublicKey;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use cofferdam_linux::memory::{self, Locked};
use cofferdam_model::{Problem, Result};
use cofferdam_vault::{SigningKey, VerifyingKey};
use std::io::{self, Read, Write};

/// The longest file that is looked at, in bytes.
const LONGEST: usize = 8 * 1024;

const PRIVATE_PREFIX: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];
const PUBLIC_PREFIX: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// The two DER forms, in bytes and in characters of base64.
const PRIVATE_DER: usize = 48;
const PRIVATE_BODY: usize = 64;
const PUBLIC_DER: usize = 44;
const PUBLIC_BODY: usize = 60;

const PRIVATE_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PRIVATE_END: &str = "-----END PRIVATE KEY-----";
const PUBLIC_BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const PUBLIC_END: &str = "-----END PUBLIC KEY-----";

/// A private key's file: three lines, each with its end.
const PRIVATE_TEXT: usize = PRIVATE_BEGIN.len() + PRIVATE_BODY + PRIVATE_END.len() + 3;

/// Reads a private key, up to the end of the source, straight into locked memory. The source should be unbuffered (a
/// `File`, not a `BufReader`), for a buffer keeps a copy.
///
/// # Errors
/// `invalid` where it is anything but a private key as above, with what it is and how to make one; `unavailable` where
/// reading fails or no memory can be locked.
pub fn read_private(source: impl Read) -> Result<SigningKey> {
    let unavailable = |error: io::Error| Problem::unavailable(format!("reading a private key: {error}"));
    let mut text = Locked::<[u8; LONGEST]>::zeroed().map_err(unavailable)?;
    let length = fill(source, &mut *text);
    memory::clear_registers();
    let text = length
        .map_err(unavailable)?
        .and_then(|length| text.get(..length))
        .ok_or_else(|| other::too_long(other::PRIVATE))?;
    let mut der = Locked::<[u8; PRIVATE_DER]>::zeroed().map_err(unavailable)?;
    let body = body(text, PRIVATE_BEGIN, PRIVATE_END, PRIVATE_BODY)
        .ok_or_else(|| other::of(text, other::PRIVATE))?;
    let decoded = memory::scrubbed(|| STANDARD.decode_slice(body, &mut *der).is_ok());
    match der.split_first_chunk_mut::<16>() {
        Some((prefix, seed)) if decoded && *prefix == PRIVATE_PREFIX => {
            let seed = seed
                .first_chunk_mut()
                .ok_or_else(|| other::of(text, other::PRIVATE))?;
            SigningKey::take(seed).map_err(unavailable)
        }
        _ => Err(other::of(text, other::PRIVATE)),
    }
}

/// Hands `write` the text of a private key, which is wiped afterwards. What it is written to should be unbuffered, and
/// readable by its owner alone.
///
/// # Errors
/// As `write`; or no memory could be locked.
pub fn write_private<R>(key: &SigningKey, write: impl FnOnce(&[u8]) -> io::Result<R>) -> io::Result<R> {
    let mut der = Locked::<[u8; PRIVATE_DER]>::zeroed()?;
    let mut body = Locked::<[u8; PRIVATE_BODY]>::zeroed()?;
    let mut text = Locked::<[u8; PRIVATE_TEXT]>::zeroed()?;
    memory::scrubbed(|| {
        let mut rest: &mut [u8] = &mut *der;
        rest.write_all(&PRIVATE_PREFIX)?;
        key.write(rest)?;
        STANDARD
            .encode_slice(der.as_slice(), &mut *body)
            .map_err(io::Error::other)?;
        let mut rest: &mut [u8] = &mut *text;
        rest.write_all(PRIVATE_BEGIN.as_bytes())?;
        rest.write_all(b"\n")?;
        rest.write_all(&*body)?;
        rest.write_all(b"\n")?;
        rest.write_all(PRIVATE_END.as_bytes())?;
        rest.write_all(b"\n")
    })?;
    let written = write(&*text);
    memory::clear_registers();
    written
}

/// Reads a public key.
///
/// # Errors
/// `invalid` where it is anything but a public key as above, with what it is and how to make one.
pub fn parse_public(text: &[u8]) -> Result<PublicKey> {
    if text.len() > LONGEST {
        return Err(other::too_long(other::PUBLIC));
    }
    let mut der = [0; PUBLIC_DER];
    let key = body(text, PUBLIC_BEGIN, PUBLIC_END, PUBLIC_BODY)
        .filter(|body| STANDARD.decode_slice(body, &mut der).is_ok())
        .and_then(|_| der.strip_prefix(&PUBLIC_PREFIX))
        .and_then(|key| <[u8; 32]>::try_from(key).ok());
    match key {
        Some(key) => Ok(VerifyingKey::from_bytes(key).into()),
        None => Err(other::of(text, other::PUBLIC)),
    }
}

/// The text of a public key.
#[must_use]
pub fn public_text(key: &PublicKey) -> String {
    let der = [&PUBLIC_PREFIX[..], key.verifying().as_bytes()].concat();
    format!("{PUBLIC_BEGIN}\n{}\n{PUBLIC_END}\n", STANDARD.encode(der))
}

/// The line between the two of the label, where it has that length and there is nothing else.
fn body<'a>(text: &'a [u8], begin: &str, end: &str, length: usize) -> Option<&'a [u8]> {
    let mut lines = text
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let (first, body, last) = (lines.next()?, lines.next()?, lines.next()?);
    let ended = matches!((lines.next(), lines.next()), (None | Some(b""), None));
    let whole = ended && first == begin.as_bytes() && last == end.as_bytes() && body.len() == length;
    whole.then_some(body)
}

/// Reads to the end; none where there is more than fits.
fn fill(mut source: impl Read, into: &mut [u8]) -> io::Result<Option<usize>> {
    let mut length = 0;
    while let Some(room @ [_, ..]) = into.get_mut(length..) {
        match source.read(room) {
            Ok(0) => return Ok(Some(length)),
            Ok(more) => length += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}
