//! Reading a deed: whose it must be, and that it is not an older one or one of two.

use super::Deed;
use crate::document::or_remedy;
use crate::envelope::Envelope;
use crate::public_key::KeyId;
use cofferdam_model::{Problem, Result, Sha256, VolumeId};
use cofferdam_vault::VerifyingKey;
use std::cmp::Ordering;
use std::ops::Deref;

/// What to do about a deed that is none.
const PUT_BACK: &str = "put the volume's own deed back, from a copy";

/// What the reader knows.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The volume that is to be opened.
    pub volume: &'a VolumeId,
    /// The tenant's key, where the registry has pinned it. Without it a deed is believed that says itself by which key it
    /// is signed; then [`SignedDeed::confirm`] alone shows that it is the volume's.
    pub tenant_key: Option<VerifyingKey>,
    /// Version and digest of the newest deed that was seen.
    pub seen: Option<(u64, Sha256)>,
}

/// A deed that the tenant's key has signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedDeed {
    deed: Deed,
    envelope: Envelope<Deed>,
    digest: Sha256,
}

/// Reads and verifies a deed.
///
/// # Errors
/// `corrupt` where it is no deed, does not verify, is signed by another key than the pinned one, is another volume's, is
/// older than what was seen, or is another one of the same version; `unavailable` where a later Cofferdam wrote it.
pub fn open(bytes: &[u8], expected: &Expected<'_>) -> Result<SignedDeed> {
    let volume = expected.volume;
    let unproved = |problem: Problem| or_remedy(problem, PUT_BACK).context(format_args!("volume {volume}"));
    let envelope = Envelope::<Deed>::parse(bytes).map_err(unproved)?;
    let key = match expected.tenant_key {
        Some(pinned) if !envelope.names(&pinned) => return Err(unproved(another_key(&envelope, &pinned))),
        Some(pinned) => pinned,
        None => envelope.claims().map_err(unproved)?.tenant_key,
    };
    let signed = SignedDeed::verified(envelope, &key).map_err(unproved)?;
    if signed.volume() != volume {
        return Err(Problem::corrupt(format!(
            "volume {volume}: the deed that is there is the one of {} ({})",
            signed.name(),
            signed.volume()
        ))
        .remedy(PUT_BACK));
    }
    if let Some((version, digest)) = &expected.seen {
        follows(&signed, *version, digest)?;
    }
    Ok(signed)
}

fn another_key(envelope: &Envelope<Deed>, pinned: &VerifyingKey) -> Problem {
    Problem::corrupt(format!(
        "the deed is signed by key {}, and the tenant's key is {}",
        envelope.signers(),
        KeyId::of(pinned)
    ))
    .remedy(
        "put the tenant's own deed back; where the tenant has a new key, an operator has to pin that first",
    )
}

/// Whether a deed is the one that was seen, or a later one.
fn follows(signed: &SignedDeed, version: u64, digest: &Sha256) -> Result<()> {
    let (name, found) = (signed.name(), signed.version());
    let fork = |what: String| {
        Problem::corrupt(what).remedy(
            "find out who signed both: the tenant's key is used in two places, or in wrong hands; then have the tenant \
             sign a newer version",
        )
    };
    match found.cmp(&version) {
        Ordering::Less => Err(Problem::corrupt(format!(
            "the deed of {name} is version {found}, and version {version} was seen before: an older one was put back"
        ))
        .remedy(
            "put the newer one back; to accept the older one is an operator's explicit act, for it brings back grants and \
             keys that were taken away since",
        )),
        Ordering::Equal if signed.digest != *digest => Err(fork(format!(
            "the deed of {name} is another version {found} than the one that was seen before"
        ))),
        Ordering::Greater if found - version == 1 && signed.previous() != Some(*digest) => Err(fork(format!(
            "the deed of {name} is version {found}, but follows another version {version} than the one that was seen before"
        ))),
        _ => Ok(()),
    }
}

impl SignedDeed {
    /// The deed in an envelope, where `key` is its tenant's and has signed it.
    pub(super) fn verified(envelope: Envelope<Deed>, key: &VerifyingKey) -> Result<Self> {
        if envelope.signatures() != 1 {
            return Err(Problem::corrupt(
                "the deed has more than one signature, and so more than one digest",
            ));
        }
        let deed = envelope.verify(key)?.into_document();
        if deed.tenant_key() != *key {
            return Err(Problem::corrupt(format!(
                "the deed of {} is signed by key {}, but names {} as its tenant's",
                deed.name(),
                KeyId::of(key),
                KeyId::of(&deed.tenant_key())
            )));
        }
        let digest = envelope.digest();
        Ok(SignedDeed {
            deed,
            envelope,
            digest,
        })
    }

    /// What it says.
    #[must_use]
    pub fn deed(&self) -> &Deed {
        &self.deed
    }

    /// Its envelope, as it is stored.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.envelope.bytes()
    }

    /// The SHA-256 of its envelope: with the version, what is to be remembered of it.
    #[must_use]
    pub fn digest(&self) -> &Sha256 {
        &self.digest
    }

    /// What was signed: JSON.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.envelope.payload()
    }
}

impl Deref for SignedDeed {
    type Target = Deed;

    fn deref(&self) -> &Deed {
        &self.deed
    }
}
