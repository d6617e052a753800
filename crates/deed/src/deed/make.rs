//! A volume's first deed.

use super::record::{DeedGrant, Filesystem, KeyRecord, Record, order};
use super::{Deed, Draft, SignedDeed};
use crate::document::{Document as _, FORMAT};
use crate::envelope::being_made;
use crate::hex::Hex32;
use crate::public_key::PublicKey;
use cofferdam_model::{Access, ByteSize, Owner, Result, VolumeId, VolumeName};
use cofferdam_vault::{SigningKey, VerifyingKey, VolumeKey};
use jiff::Timestamp;

/// What is known of a volume when it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDeed {
    /// Its id.
    pub volume: VolumeId,
    /// Its name, and so its tenant.
    pub name: VolumeName,
    /// When it is made.
    pub created: Timestamp,
    /// How big it is.
    pub size: ByteSize,
    /// What is on it.
    pub filesystem: Filesystem,
    /// One holder or many.
    pub access: Access,
    /// The canonical ids, where it has content already.
    pub owner: Option<Owner>,
    /// Who may open it, in any order.
    pub grants: Vec<DeedGrant>,
}

/// A volume key, wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrappedFor {
    /// Whom it is wrapped for, for people to read.
    pub recipients: Vec<String>,
    /// The armored age file.
    pub wrapped: String,
}

impl KeyRecord {
    pub(super) fn of(key: &VolumeKey, volume: &VolumeId, tenant: &VerifyingKey, wrapped: WrappedFor) -> Self {
        let volume = volume_bytes(volume);
        KeyRecord {
            commitment: Hex32(key.commitment(&volume)),
            binding: Hex32(key.binding(&volume, tenant)),
            recipients: wrapped.recipients,
            wrapped: wrapped.wrapped,
        }
    }
}

impl Deed {
    /// The first deed of a volume with this key, to be signed by the tenant's.
    ///
    /// # Errors
    /// `invalid` where an app has two grants, the size is 0, there is no recipient, or something is too long.
    pub fn first(new: NewDeed, tenant: &VerifyingKey, key: &VolumeKey, wrapped: WrappedFor) -> Result<Self> {
        let mut grants = new.grants;
        grants.sort_by_key(order);
        let key = KeyRecord::of(key, &new.volume, tenant, wrapped);
        Self::of_record(Record {
            format: FORMAT,
            version: 1,
            volume: new.volume,
            name: new.name,
            tenant_key: PublicKey::from(*tenant),
            created: new.created,
            size: new.size,
            filesystem: new.filesystem,
            access: new.access,
            owner: new.owner,
            grants,
            key,
            key_before: None,
            previous: None,
        })
        .map_err(being_made)
    }

    /// The deed, signed.
    ///
    /// # Errors
    /// `denied` where it is not the tenant's key; `invalid` where it would be too long.
    pub fn sign(self, key: &SigningKey) -> Result<SignedDeed> {
        Draft::of(self)?.sign(key)
    }
}

/// The 16 bytes that a volume's id stands for.
#[expect(
    clippy::expect_used,
    reason = "a `VolumeId` is 32 hexadecimal digits, by its type"
)]
pub(super) fn volume_bytes(volume: &VolumeId) -> [u8; 16] {
    u128::from_str_radix(volume.as_str(), 16)
        .expect("32 hexadecimal digits are 128 bits")
        .to_be_bytes()
}
