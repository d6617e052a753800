//! What a deed says of itself before anything has been verified.

use cofferdam_model::{VolumeId, VolumeName};
use cofferdam_vault::VerifyingKey;

/// Claims that anybody may have written: to find out which volume and which tenant to ask the registry for, and nothing
/// else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeedClaims {
    /// The volume that it claims to be of.
    pub volume: VolumeId,
    /// The name that it claims.
    pub name: VolumeName,
    /// The key that it claims to be signed by.
    pub tenant_key: VerifyingKey,
    /// The version that it claims to be.
    pub version: u64,
}
