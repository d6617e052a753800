//! What carries a signed document: DSSE, the Dead Simple Signing Envelope, version 1
//! (github.com/secure-systems-lab/dsse, protocol.md and envelope.md), with Ed25519 (RFC 8032).
//!
//! The envelope is JSON, UTF-8, at most 256 KiB, without space between tokens or around, with these fields in this
//! order:
//!
//! | field | value |
//! |---|---|
//! | `payloadType` | the kind of document, such as `application/vnd.cofferdam.deed+json` |
//! | `payload` | the document's bytes, base64 (RFC 4648, section 4: standard alphabet, padded, unused bits zero) |
//! | `signatures` | list of 1 to 8 objects, no two of one key |
//! | `signatures[].keyid` | the key's id: the first 16 lower-case hexadecimal digits of the SHA-256 of its 32 bytes |
//! | `signatures[].sig` | Ed25519 signature of the bytes below, 64 bytes, base64 |
//!
//! What is signed (DSSE's PAE, where SP is one space and LEN a length in bytes, in decimal without leading zeros):
//!
//! ```text
//! "DSSEv1" SP LEN(payloadType) SP payloadType SP LEN(payload) SP payload
//! ```
//!
//! So a signature of one kind of document is never one of another. This is a profile of DSSE: whatever verifies here
//! verifies in any other implementation, but we take no other spelling of the same envelope (spaces, URL-safe base64,
//! other orders, no `keyid`), so that nobody without a key can change a byte of it unnoticed.
//!
//! A payload is parsed after its signature has verified, never before, but for [`Envelope::claims`].

use crate::document::{self, Document, refused, unreadable};
use crate::public_key::KeyId;
use crate::shown::shown;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use cofferdam_model::{Problem, Result, Sha256};
use cofferdam_vault::{SIGNATURE, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use std::marker::PhantomData;

/// The longest envelope, in bytes.
pub const ENVELOPE_MAX: usize = 256 * 1024;

/// The longest payload, in bytes: with eight signatures it still fits.
pub const PAYLOAD_MAX: usize = 190 * 1024;

const SIGNATURES_MAX: usize = 8;

/// A document and its signatures, of which none has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope<T> {
    payload: Vec<u8>,
    signatures: Vec<(KeyId, [u8; SIGNATURE])>,
    /// The whole, as it is stored.
    bytes: Vec<u8>,
    document: PhantomData<fn() -> T>,
}

/// A document that a key has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T> {
    document: T,
    key: VerifyingKey,
}

impl<T> Verified<T> {
    /// What was signed.
    #[must_use]
    pub fn into_document(self) -> T {
        self.document
    }

    /// What was signed.
    #[must_use]
    pub fn document(&self) -> &T {
        &self.document
    }

    /// Who signed it.
    #[must_use]
    pub fn key(&self) -> &VerifyingKey {
        &self.key
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    #[serde(rename = "payloadType")]
    payload_type: String,
    payload: String,
    signatures: Vec<WireSignature>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireSignature {
    keyid: KeyId,
    sig: String,
}

impl<T: Document> Envelope<T> {
    /// Reads an envelope. Nothing in it is to be believed yet.
    ///
    /// # Errors
    /// Of the document's kind, where it is too long, carries another kind of document, or is not exactly in the form above.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let what = format!("the {}'s envelope", T::NAME);
        if bytes.len() > ENVELOPE_MAX {
            return Err(refused::<T>(format!(
                "{what} is longer than {ENVELOPE_MAX} bytes"
            )));
        }
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| unreadable::<T>(&what, &error))?;
        if wire.payload_type != T::TYPE {
            let found = shown(&wire.payload_type);
            return Err(refused::<T>(format!(
                "{what} carries a {found:?} and not a {}",
                T::TYPE
            )));
        }
        let malformed =
            |field: &str| refused::<T>(format!("{what} has a {field} that is not in its canonical form"));
        let payload = base64_decoded(&wire.payload).ok_or_else(|| malformed("payload"))?;
        let mut signatures = Vec::new();
        for WireSignature { keyid, sig } in wire.signatures {
            let signature = base64_decoded(&sig).and_then(|bytes| bytes.try_into().ok());
            signatures.push((keyid, signature.ok_or_else(|| malformed("signature"))?));
        }
        let envelope = Self::of_parts(payload, signatures)?;
        if envelope.bytes != bytes {
            return Err(
                refused::<T>(format!("{what} is not written in its canonical form"))
                    .remedy("take the file as Cofferdam wrote it: spaces and the order of fields count"),
            );
        }
        Ok(envelope)
    }

    /// Signs a payload.
    pub(crate) fn sign(payload: Vec<u8>, key: &SigningKey) -> Result<Self> {
        let signature = key.sign(&to_be_signed::<T>(&payload));
        Self::of_parts(payload, vec![(KeyId::of(&key.verifying()), signature)])
    }

    pub(crate) fn of_parts(payload: Vec<u8>, signatures: Vec<(KeyId, [u8; SIGNATURE])>) -> Result<Self> {
        let name = T::NAME;
        if payload.len() > PAYLOAD_MAX {
            return Err(refused::<T>(format!(
                "the {name} would be longer than {PAYLOAD_MAX} bytes"
            )));
        }
        let mut keys: Vec<KeyId> = signatures.iter().map(|(id, _)| *id).collect();
        keys.sort_unstable();
        keys.dedup();
        if keys.len() != signatures.len() || !(1..=SIGNATURES_MAX).contains(&keys.len()) {
            return Err(refused::<T>(format!(
                "the {name}'s envelope must have 1 to {SIGNATURES_MAX} signatures, each of another key"
            )));
        }
        let wire = Wire {
            payload_type: T::TYPE.to_owned(),
            payload: STANDARD.encode(&payload),
            signatures: signatures
                .iter()
                .map(|(keyid, signature)| WireSignature {
                    keyid: *keyid,
                    sig: STANDARD.encode(signature),
                })
                .collect(),
        };
        Ok(Envelope {
            payload,
            signatures,
            bytes: document::encode(&wire)?,
            document: PhantomData,
        })
    }

    /// What the document says of itself, **without any proof**: only to find out under which key to verify it.
    ///
    /// # Errors
    /// As [`Self::verify`], but for signatures.
    pub fn claims(&self) -> Result<T::Claims> {
        document::decode::<T>(&self.payload).map(T::claims)
    }

    /// The document, where `key` has signed it.
    ///
    /// # Errors
    /// Of the document's kind, where there is no signature by that key, it does not verify, or the document is not in its
    /// canonical form or contradicts itself; `unavailable` where it is of a later format.
    pub fn verify(&self, key: &VerifyingKey) -> Result<Verified<T>> {
        let (id, name) = (KeyId::of(key), T::NAME);
        let (_, signature) = self.signatures.iter().find(|(by, _)| *by == id).ok_or_else(|| {
            refused::<T>(format!(
                "the {name} is signed by key {}, and not by key {id}",
                self.signers()
            ))
        })?;
        key.verify(&to_be_signed::<T>(&self.payload), signature)
            .map_err(|_| {
                refused::<T>(format!(
                    "the {name} does not verify under key {id}: it is forged or damaged"
                ))
            })?;
        let record = document::decode::<T>(&self.payload)?;
        Ok(Verified {
            document: T::of_record(record)?,
            key: *key,
        })
    }

    /// The ids of the keys that are said to have signed, for messages.
    pub(crate) fn signers(&self) -> String {
        let ids: Vec<String> = self.signatures.iter().map(|(id, _)| id.to_string()).collect();
        ids.join(" and ")
    }

    /// Whether it is said that this key has signed. Proves nothing.
    #[must_use]
    pub fn names(&self, key: &VerifyingKey) -> bool {
        let wanted = KeyId::of(key);
        self.signatures.iter().any(|(id, _)| *id == wanted)
    }

    pub(crate) fn signatures(&self) -> usize {
        self.signatures.len()
    }
}

impl<T> Envelope<T> {
    /// The envelope, as it is stored and sent.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The SHA-256 of its bytes.
    #[must_use]
    pub fn digest(&self) -> Sha256 {
        Sha256::from_bytes(sha2::Sha256::digest(&self.bytes).into())
    }

    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// The bytes that a signature of a document is made over.
pub(crate) fn to_be_signed<T: Document>(payload: &[u8]) -> Vec<u8> {
    pae(T::TYPE, payload)
}

/// DSSE's pre-authentication encoding.
fn pae(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

/// Bytes from base64 (RFC 4648, section 4); none where it is not the one spelling of them.
pub(crate) fn base64_decoded(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// What a problem with a document that somebody is just making is: his, not that of stored state.
pub(crate) fn being_made(problem: Problem) -> Problem {
    Problem {
        kind: cofferdam_model::ErrorKind::Invalid,
        ..problem
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vector in DSSE's protocol.md.
    #[test]
    fn pae_as_published() {
        assert_eq!(
            pae("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn pae_counts_bytes() {
        assert_eq!(pae("", "é".as_bytes()), "DSSEv1 0  2 é".as_bytes());
    }

    #[test]
    fn base64_has_one_spelling() {
        assert_eq!(base64_decoded("+/8="), Some(vec![0xfb, 0xff]));
        for other in ["-_8=", "+/8", "+/9=", "+/8=\n", " +/8=", "+/8==", "+/=8"] {
            assert_eq!(base64_decoded(other), None, "{other:?}");
        }
    }
}
