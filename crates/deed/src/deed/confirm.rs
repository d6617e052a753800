//! That a deed is about the key that was unwrapped from it.

use super::make::volume_bytes;
use super::record::KeyRecord;
use super::{Deed, SignedDeed};
use crate::document::Document as _;
use crate::public_key::KeyId;
use cofferdam_model::{Problem, Result};
use cofferdam_vault::VolumeKey;
use std::hint::black_box;
use std::ops::Deref;

/// A deed of which it is proved that its signer had the volume's key, and that this key is the one in hand. Only by one
/// of these may a volume be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmedDeed(SignedDeed);

impl SignedDeed {
    /// Holds the deed against the key that was unwrapped from it.
    ///
    /// # Errors
    /// `corrupt` where it is about another key, or was put there by somebody who did not have the key.
    pub fn confirm(&self, key: &VolumeKey) -> Result<ConfirmedDeed> {
        self.holds(&self.record().key, key)?;
        Ok(ConfirmedDeed(self.clone()))
    }

    /// Holds the deed against the key before that was unwrapped from it.
    ///
    /// # Errors
    /// As [`Self::confirm`]; `internal` where it has none.
    pub fn confirm_before(&self, key: &VolumeKey) -> Result<()> {
        match &self.record().key_before {
            Some(record) => self.holds(record, key),
            None => Err(Problem::internal(format!(
                "the deed of {} has no key before",
                self.name()
            ))),
        }
    }

    fn holds(&self, record: &KeyRecord, key: &VolumeKey) -> Result<()> {
        let (volume, name) = (volume_bytes(self.volume()), self.name());
        let tenant = self.tenant_key();
        if !same(&key.commitment(&volume), &record.commitment.0) {
            return Err(Problem::corrupt(format!(
                "the key that is wrapped in the deed of {name} is not the volume's"
            ))
            .remedy("put the deed back that the volume's tenant signed"));
        }
        if !same(&key.binding(&volume, &tenant), &record.binding.0) {
            return Err(Problem::corrupt(format!(
                "the deed of {name} was not made by anybody who has the volume's key: its tenant's key, {}, is not bound \
                 to it",
                KeyId::of(&tenant)
            ))
            .remedy("put the deed back that the volume's tenant signed"));
        }
        Ok(())
    }
}

impl ConfirmedDeed {
    /// What it says.
    #[must_use]
    pub fn deed(&self) -> &Deed {
        self.0.deed()
    }
}

impl Deref for ConfirmedDeed {
    type Target = SignedDeed;

    fn deref(&self) -> &SignedDeed {
        &self.0
    }
}

/// Compares without stopping at the first difference: how long it takes tells nothing of where that is.
fn same(one: &[u8; 32], other: &[u8; 32]) -> bool {
    let different = one
        .iter()
        .zip(other)
        .fold(0, |different, (one, other)| black_box(different | (one ^ other)));
    different == 0
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn every_bit_counts() {
        for bit in 0..256 {
            let mut other = [5; 32];
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!same(&[5; 32], &other), "bit {bit}");
        }
        assert!(same(&[5; 32], &[5; 32]));
    }
}
