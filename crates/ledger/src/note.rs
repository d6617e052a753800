//! Signed notes (C2SP signed-note), of which checkpoints are one kind. No meaning of the text is known here.
//!
//! | line | what it is |
//! |---|---|
//! | one or more | the text; its last newline is part of what is signed |
//! | one | empty |
//! | one or more | `—` (U+2014), space, the key's name, space, base64 of the key's id (4 bytes) and the signature |
//!
//! A note may carry signatures of keys that we do not know, such as witnesses': they say nothing to us. One that
//! names our key must be its.

use crate::verifier_key::VerifierKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cofferdam_vault::{SIGNATURE, SigningKey};

/// The longest note, in bytes: room for more than sixteen signatures of the longest kind that there is.
pub(crate) const NOTE_MAX: usize = 128 << 10;

/// Before each signature.
const DASH: &str = "\u{2014} ";

/// The note of `text`, which ends in a newline, signed by `key`, whose verifier is `verifier`.
pub(crate) fn sign(text: &str, verifier: &VerifierKey, key: &SigningKey) -> String {
    let mut signature = verifier.id().to_vec();
    signature.extend(key.sign(text.as_bytes()));
    let signature = STANDARD.encode(signature);
    format!("{text}\n{DASH}{} {signature}\n", verifier.origin())
}

/// The text of `note`, if it has the form and `verifier` signed it; else why it is refused, as the end of a sentence
/// that begins with the note.
pub(crate) fn open<'a>(note: &'a str, verifier: &VerifierKey) -> Result<&'a str, &'static str> {
    const FORM: &str = "has not the form of a signed note";
    if note.len() > NOTE_MAX || note.chars().any(|c| c < ' ' && c != '\n') {
        return Err(FORM);
    }
    let gap = note.rfind("\n\n").ok_or(FORM)?;
    let (text, rest) = note.split_at_checked(gap + 1).ok_or(FORM)?;
    let signatures = rest
        .strip_prefix('\n')
        .and_then(|rest| rest.strip_suffix('\n'))
        .ok_or(FORM)?;
    let mut signed = false;
    for line in signatures.split('\n') {
        let (name, signature) = line
            .strip_prefix(DASH)
            .and_then(|line| line.split_once(' '))
            .ok_or(FORM)?;
        let bytes = STANDARD.decode(signature).map_err(|_| FORM)?;
        let (id, signature) = bytes.split_first_chunk::<4>().ok_or(FORM)?;
        if name.is_empty() || signature.is_empty() {
            return Err(FORM);
        }
        if name != verifier.origin().as_str() || *id != verifier.id() {
            continue;
        }
        let signature: &[u8; SIGNATURE] = signature.try_into().map_err(|_| FORM)?;
        verifier
            .key()
            .verify(text.as_bytes(), signature)
            .map_err(|_| "has a signature that is not of its text")?;
        signed = true;
    }
    signed.then_some(text).ok_or("is not signed with this key")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of golang.org/x/mod/sumdb/note: seed, key, text and note.
    const SEED: [u8; 32] = [
        129, 10, 20, 2, 213, 20, 108, 141, 132, 242, 68, 51, 48, 245, 64, 128, 235, 249, 142, 225, 125, 156,
        116, 246, 37, 47, 197, 213, 199, 40, 49, 115,
    ];
    const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const TEXT: &str = "If you think cryptography is the answer to your problem,\n\
        then you don't know what your problem is.\n";
    const SIGNATURE_LINE: &str = "— PeterNeumann \
        x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    const ANOTHER: &str = "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

    fn key() -> VerifierKey {
        KEY.parse().unwrap()
    }

    fn note() -> String {
        format!("{TEXT}\n{SIGNATURE_LINE}")
    }

    #[test]
    fn the_published_note_is_made_and_opened() {
        let signing = SigningKey::take(&mut SEED.clone()).unwrap();
        assert_eq!(sign(TEXT, &key(), &signing), note());
        assert_eq!(open(&note(), &key()), Ok(TEXT));
    }

    #[test]
    fn a_note_of_the_go_checksum_database_is_opened() {
        let key = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
        let text = "go.sum database tree\n49189689\nftjbAOzaupaIvaPo/G+Dk63nxOZ2s1OPOKIaPtXs7S4=\n";
        let note = format!(
            "{text}\n— sum.golang.org Az3grlKZssqRoMNPpZfKt0TphbbcF+pzXqElURJKRNFKfaUAgqeI5k2AORH0QAhg/ebRwyIqD/OqP4oLtLnNumvOBAM=\n"
        );
        assert_eq!(open(&note, &key.parse().unwrap()), Ok(text));
    }

    #[test]
    fn signatures_of_others_say_nothing() {
        let before = format!("{TEXT}\n{ANOTHER}{SIGNATURE_LINE}");
        let behind = format!("{TEXT}\n{SIGNATURE_LINE}{ANOTHER}");
        assert_eq!(open(&before, &key()), Ok(TEXT));
        assert_eq!(open(&behind, &key()), Ok(TEXT));
        assert!(open(&format!("{TEXT}\n{ANOTHER}"), &key()).is_err());
        let renamed = SIGNATURE_LINE.replace("PeterNeumann", "NeumannPeter");
        assert!(open(&format!("{TEXT}\n{renamed}"), &key()).is_err());
    }

    #[test]
    fn each_changed_byte_is_noticed() {
        let note = note();
        for at in 0..note.len() {
            for bit in 0..8 {
                let mut bytes = note.as_bytes().to_vec();
                bytes[at] ^= 1 << bit;
                if let Ok(changed) = String::from_utf8(bytes) {
                    assert!(open(&changed, &key()).is_err(), "{changed:?}");
                }
            }
            assert!(
                note.get(..at).is_none_or(|cut| open(cut, &key()).is_err()),
                "cut at {at}"
            );
        }
    }

    #[test]
    fn other_forms_are_refused() {
        let gap = format!("{TEXT}\n");
        for note in [
            format!("{gap}{SIGNATURE_LINE}\n"),
            format!("{gap}{SIGNATURE_LINE}x\n"),
            format!(
                "{gap}{SIGNATURE_LINE}{}",
                SIGNATURE_LINE.replace("x08go/ZJ", "x08go/ZK")
            ),
            format!("{gap}{}", SIGNATURE_LINE.replace('—', "-")),
            format!("{gap}{}", SIGNATURE_LINE.replace("AM=", "AM")),
            format!("{gap}{SIGNATURE_LINE}— w AAAA\n"),
            format!("{gap}{SIGNATURE_LINE}—  AAAAAAAA\n"),
            format!("{TEXT}{SIGNATURE_LINE}"),
            format!("\n\n{SIGNATURE_LINE}"),
            gap + &ANOTHER.repeat(NOTE_MAX / ANOTHER.len()) + SIGNATURE_LINE,
        ] {
            assert!(open(&note, &key()).is_err(), "{:?}", &note[..200.min(note.len())]);
        }
    }
}
