//! Checkpoints: the ledger's signed word that it has so many records with this root (C2SP tlog-checkpoint). A signed
//! note whose text is three lines:
//!
//! | line | what it is |
//! |---|---|
//! | 1 | the ledger's origin, which is also the name of the key that signs |
//! | 2 | the number of records, decimal, below 2^63 |
//! | 3 | base64 of the root of their Merkle tree |
//!
//! In the ledger's file it stands in one line, `{"checkpoint":"…"}`, with the whole note as a JSON string, and then it
//! carries the ledger's own signature alone.
//!
//! INVARIANT: a [`Checkpoint`] was signed by the ledger's key: there is no other way to get one.

use crate::note;
use crate::tree::Frontier;
use crate::verifier_key::{Origin, VerifierKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cofferdam_model::{Problem, Result, Sha256};
use cofferdam_vault::SigningKey;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a checkpoint's line begins, and no record's.
const LINE_BEGINS: &[u8] = br#"{"checkpoint":"#;

/// What no ledger's size reaches, so that sums cannot overflow.
const BEYOND: u64 = 1 << 63;

/// A signed checkpoint whose signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: Origin,
    size: u64,
    root: Sha256,
    note: String,
}

/// The checkpoint as it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    checkpoint: String,
}

impl Checkpoint {
    /// Signs the tree of `frontier`.
    pub(crate) fn sign(frontier: &Frontier, verifier: &VerifierKey, key: &SigningKey) -> Self {
        let (size, root) = (frontier.size(), frontier.root());
        let base64 = STANDARD.encode(root.as_bytes());
        let text = format!("{}\n{size}\n{base64}\n", verifier.origin());
        Checkpoint {
            origin: verifier.origin().clone(),
            size,
            root,
            note: note::sign(&text, verifier, key),
        }
    }

    /// Reads a signed note, with any number of witnesses' signatures beside the ledger's.
    ///
    /// # Errors
    /// `corrupt` where it is no checkpoint that `verifier` signed.
    pub fn parse(note: &str, verifier: &VerifierKey) -> Result<Self> {
        Self::read(note, verifier).map_err(|why| {
            Problem::corrupt(format!("the checkpoint {why}"))
                .remedy("compare the verifier key with the one that the ledger's host shows")
        })
    }

    fn read(note: &str, verifier: &VerifierKey) -> std::result::Result<Self, &'static str> {
        let text = note::open(note, verifier)?;
        let (size, root) = Self::body(text, verifier).ok_or("is signed, but says no size and root")?;
        Ok(Checkpoint {
            origin: verifier.origin().clone(),
            size,
            root,
            note: note.to_owned(),
        })
    }

    fn body(text: &str, verifier: &VerifierKey) -> Option<(u64, Sha256)> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, digits, root) = (lines.next()?, lines.next()?, lines.next()?);
        let size: u64 = digits.parse().ok()?;
        let bytes = STANDARD.decode(root).ok()?;
        let root = Sha256::from_bytes(bytes.try_into().ok()?);
        let fits = lines.next().is_none()
            && origin == verifier.origin().as_str()
            && size < BEYOND
            && size.to_string() == digits
            && (size > 0 || root == Frontier::default().root());
        fits.then_some((size, root))
    }

    /// The line of the file, without its newline.
    ///
    /// # Errors
    /// `internal` where it cannot be written as JSON.
    pub(crate) fn line(&self) -> Result<Vec<u8>> {
        let line = Line {
            checkpoint: self.note.clone(),
        };
        serde_json::to_vec(&line)
            .map_err(|error| Problem::internal(format!("cannot write a checkpoint as JSON: {error}")))
    }

    /// Whether a line of the file is a checkpoint's and no record's, whatever else is wrong with it.
    pub(crate) fn is_line(line: &[u8]) -> bool {
        line.starts_with(LINE_BEGINS)
    }

    /// Reads a line of the file; else why it is refused, as the end of a sentence that begins with the checkpoint.
    pub(crate) fn from_line(line: &[u8], verifier: &VerifierKey) -> std::result::Result<Self, &'static str> {
        const FORM: &str = "has not the form that this ledger writes";
        let Line { checkpoint } = serde_json::from_slice(line).map_err(|_| FORM)?;
        let read = Self::read(&checkpoint, verifier)?;
        // The chain binds records to their bytes; this binds checkpoints to theirs.
        let alone = read.note.lines().count() == 5;
        let ours = alone && read.line().is_ok_and(|written| written == line);
        ours.then_some(read).ok_or(FORM)
    }

    /// The ledger's name.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The number of records.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The root of their Merkle tree.
    #[must_use]
    pub fn root(&self) -> Sha256 {
        self.root
    }

    /// The signed note, to be sent to witnesses.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.note)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::leaf_hash;

    fn keys() -> (SigningKey, VerifierKey) {
        let signing = SigningKey::take(&mut [7; 32]).unwrap();
        let origin = "example.com/ledger".parse().unwrap();
        let verifier = VerifierKey::new(origin, signing.verifying());
        (signing, verifier)
    }

    fn checkpoint() -> Checkpoint {
        let mut frontier = Frontier::default();
        frontier.push(leaf_hash(b"a"));
        let (signing, verifier) = keys();
        Checkpoint::sign(&frontier, &verifier, &signing)
    }

    #[test]
    fn what_is_signed_parses_back() {
        let (_, verifier) = keys();
        let signed = checkpoint();
        assert_eq!(Checkpoint::parse(signed.note(), &verifier).unwrap(), signed);
        assert_eq!(
            Checkpoint::from_line(&signed.line().unwrap(), &verifier),
            Ok(signed)
        );
    }

    #[test]
    fn even_signed_a_checkpoint_has_no_other_form() {
        let (signing, verifier) = keys();
        let root = STANDARD.encode(leaf_hash(b"a").as_bytes());
        let empty = STANDARD.encode(Frontier::default().root().as_bytes());
        let parses =
            |text: &str| Checkpoint::parse(&note::sign(text, &verifier, &signing), &verifier).is_ok();
        assert!(parses(&format!("example.com/ledger\n1\n{root}\n")));
        assert!(parses(&format!("example.com/ledger\n0\n{empty}\n")));
        for text in [
            format!("example.com/another\n1\n{root}\n"),
            format!("example.com/ledger\n01\n{root}\n"),
            format!("example.com/ledger\n+1\n{root}\n"),
            format!("example.com/ledger\n{BEYOND}\n{root}\n"),
            format!("example.com/ledger\n0\n{root}\n"),
            format!("example.com/ledger\n1\n{}\n", &root[..40]),
            format!("example.com/ledger\n1\n{root}\nan extension\n"),
            format!("example.com/ledger\n1\n\n{root}\n"),
            "example.com/ledger\n1\n".to_owned(),
        ] {
            assert!(!parses(&text), "{text:?}");
        }
    }

    #[test]
    fn a_line_has_one_form() {
        let (_, verifier) = keys();
        let line = String::from_utf8(checkpoint().line().unwrap()).unwrap();
        let witnessed = line.replace(r#"\n"}"#, r#"\n— w AAAAAAAA\n"}"#);
        for changed in [
            line.replace("{\"", "{ \""),
            line.replace('—', "\\u2014"),
            format!("{line} "),
            line.replace('}', ",\"more\":1}"),
            witnessed.clone(),
        ] {
            assert_ne!(changed, line);
            assert!(
                Checkpoint::from_line(changed.as_bytes(), &verifier).is_err(),
                "{changed}"
            );
        }
        // A witness's signature has its place in a note, though not in the file.
        let Line { checkpoint } = serde_json::from_str(&witnessed).unwrap();
        assert!(Checkpoint::parse(&checkpoint, &verifier).is_ok());
    }
}
