//! A deed that is to be signed elsewhere, where the tenant's key is: a file goes there, and an envelope comes back.
//!
//! The file is the very payload that is signed, in its canonical form and without a line end, so that what the signer
//! reads is what he signs. What comes back is taken only where it says exactly that.

use super::{Deed, SignedDeed};
use crate::document::{Document as _, decode, encode};
use crate::envelope::{Envelope, PAYLOAD_MAX, being_made, to_be_signed};
use crate::json_difference::differences;
use crate::public_key::KeyId;
use cofferdam_model::{Problem, Result};
use cofferdam_vault::{SIGNATURE, SigningKey};

/// A deed before it is signed, with the bytes to be signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    deed: Deed,
    payload: Vec<u8>,
}

impl Draft {
    /// The draft of a deed.
    ///
    /// # Errors
    /// `invalid` where it is too long.
    pub fn of(deed: Deed) -> Result<Self> {
        let payload = encode(deed.record())?;
        if payload.len() > PAYLOAD_MAX {
            return Err(Problem::invalid(format!(
                "the deed of {} would be longer than {PAYLOAD_MAX} bytes",
                deed.name()
            ))
            .remedy("give fewer grants or fewer recipients"));
        }
        Ok(Draft { deed, payload })
    }

    /// Reads a draft's file.
    ///
    /// # Errors
    /// `invalid` where it is not exactly what [`Self::bytes`] gives; `unavailable` where a later Cofferdam wrote it.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let corrupt = |problem: Problem| match problem.kind {
            cofferdam_model::ErrorKind::Corrupt => being_made(problem),
            _ => problem,
        };
        if bytes.len() > PAYLOAD_MAX {
            return Err(Problem::invalid(format!(
                "the draft is longer than {PAYLOAD_MAX} bytes"
            )));
        }
        let record = decode::<Deed>(bytes).map_err(corrupt)?;
        Ok(Draft {
            deed: Deed::of_record(record).map_err(corrupt)?,
            payload: bytes.to_vec(),
        })
    }

    /// What it says.
    #[must_use]
    pub fn deed(&self) -> &Deed {
        &self.deed
    }

    /// Its file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.payload
    }

    /// The bytes that the signature is made over, for signers that know nothing of envelopes, such as a token or
    /// `openssl pkeyutl -sign -rawin`.
    #[must_use]
    pub fn to_be_signed(&self) -> Vec<u8> {
        to_be_signed::<Deed>(&self.payload)
    }

    /// Signs it.
    ///
    /// # Errors
    /// `denied` where it is not the key of the deed's tenant.
    pub fn sign(&self, key: &SigningKey) -> Result<SignedDeed> {
        let tenant = self.deed.tenant_key();
        if key.verifying() != tenant {
            return Err(Problem::denied(format!(
                "the deed of {} is to be signed by key {}, and this is key {}",
                self.deed.name(),
                KeyId::of(&tenant),
                KeyId::of(&key.verifying())
            ))
            .remedy(format!("give the key of tenant {}", self.deed.name().tenant())));
        }
        SignedDeed::verified(Envelope::sign(self.payload.clone(), key)?, &tenant)
    }

    /// Takes a signature over [`Self::to_be_signed`].
    ///
    /// # Errors
    /// `corrupt` where it is not that of the deed's tenant.
    pub fn with_signature(&self, signature: &[u8; SIGNATURE]) -> Result<SignedDeed> {
        let tenant = self.deed.tenant_key();
        let envelope = Envelope::of_parts(self.payload.clone(), vec![(KeyId::of(&tenant), *signature)])?;
        SignedDeed::verified(envelope, &tenant)
    }

    /// Takes the envelope that came back.
    ///
    /// # Errors
    /// `corrupt` where the deed's tenant has not signed it; `conflict` where something else was signed, with what differs.
    pub fn accept(&self, bytes: &[u8]) -> Result<SignedDeed> {
        let signed = SignedDeed::verified(Envelope::parse(bytes)?, &self.deed.tenant_key())?;
        if signed.payload() != self.payload {
            return Err(Problem::conflict(format!(
                "what was signed is not the draft of the deed of {}: they differ (draft, signed) in {}",
                self.deed.name(),
                differences(self.deed.record(), signed.record())
            ))
            .remedy("have the draft itself signed, unchanged"));
        }
        Ok(signed)
    }
}
