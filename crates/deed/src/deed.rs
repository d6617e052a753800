//! Deeds: who may open a sealed volume, signed by its tenant. A deed travels with the volume, so that the mapping holds on
//! every host, and whoever keeps the registry or the store can deny service but not grant access.
//!
//! Payload type `application/vnd.cofferdam.deed+json`; the envelope has exactly one signature, by the tenant's key. The
//! fields, in this order, in the canonical form of [`document`](crate::document):
//!
//! | field | value |
//! |---|---|
//! | `format` | 1 |
//! | `version` | number from 1, one higher with each change, at most 2^53 − 1 |
//! | `volume` | the volume's id, 32 lower-case hexadecimal digits; as bytes, those 16 that they stand for |
//! | `name` | `tenant.name`; the tenant is the owner |
//! | `tenant_key` | the key that signs, base64 of its 32 bytes |
//! | `created` | when the volume was made |
//! | `size` | bytes of the volume, a number, not 0 |
//! | `filesystem` | `"ext4"` |
//! | `access` | `"exclusive"` or `"shared"` |
//! | `owner` | optional: `{"uid": number, "gid": number}`, the canonical ids; none until there is first content |
//! | `grants` | list, sorted by the bytes of `app`, none twice |
//! | `grants[].app` | `tenant.name` |
//! | `grants[].rule` | the app's launch rule |
//! | `grants[].write`, `.exec` | booleans |
//! | `grants[].until` | optional: an instant from which on it does not hold |
//! | `key.commitment` | 64 hexadecimal digits: HKDF-SHA-256(volume key, no salt, "cofferdam commitment v1" ‖ volume) |
//! | `key.binding` | likewise: HKDF-SHA-256(volume key, no salt, "cofferdam deed v1" ‖ volume ‖ tenant key) |
//! | `key.recipients` | list of 1 to 64 texts: whom the key is wrapped for, for people to read |
//! | `key.wrapped` | the volume key, wrapped: an armored age file, at most 64 KiB |
//! | `key_before` | optional: as `key`, of the key before, while the volume is encrypted anew |
//! | `previous` | 64 hexadecimal digits: SHA-256 of the previous deed's envelope; none in version 1 alone |
//!
//! **Why a grant carries the rule.** Otherwise another host, or a registry that lies, could put another program under the
//! app's name. A field that launch rules get later is to be left out of the JSON while it has its default, or older
//! deeds are not canonical any more; the golden deed of the tests shows it.
//!
//! **Why two values of the key.** The commitment names the one key that the deed is about. The binding can only be made by
//! who has that key, so that nobody can put a deed of his own, signed by a key of his own, beside a wrapped key that he
//! cannot unwrap. It matters where no registry has pinned the tenant's key yet.

mod change;
mod claims;
mod confirm;
mod draft;
mod make;
mod open;
mod permit;
mod record;

pub use claims::DeedClaims;
pub use confirm::ConfirmedDeed;
pub use draft::Draft;
pub use make::{NewDeed, WrappedFor};
pub use open::{Expected, SignedDeed, open};
pub use record::{DeedGrant, Filesystem};

use cofferdam_model::{Access, ByteSize, Owner, Sha256, VolumeId, VolumeName};
use cofferdam_vault::VerifyingKey;
use jiff::Timestamp;
use record::Record;

/// What a deed says. That somebody has signed it, [`SignedDeed`] says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deed {
    // INVARIANT: fits together, as `record::check` has it.
    record: Record,
}

impl Deed {
    /// Counts the changes, from 1.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.record.version
    }

    /// Whose it is.
    #[must_use]
    pub fn volume(&self) -> &VolumeId {
        &self.record.volume
    }

    /// The volume's name, and so its tenant.
    #[must_use]
    pub fn name(&self) -> &VolumeName {
        &self.record.name
    }

    /// The key of the tenant, which signs it.
    #[must_use]
    pub fn tenant_key(&self) -> VerifyingKey {
        self.record.tenant_key.verifying()
    }

    /// When the volume was made.
    #[must_use]
    pub fn created(&self) -> Timestamp {
        self.record.created
    }

    /// How big it is.
    #[must_use]
    pub fn size(&self) -> ByteSize {
        self.record.size
    }

    /// What is on it.
    #[must_use]
    pub fn filesystem(&self) -> Filesystem {
        self.record.filesystem
    }

    /// One holder or many.
    #[must_use]
    pub fn access(&self) -> Access {
        self.record.access
    }

    /// The canonical ids; none until it has its first content.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        self.record.owner
    }

    /// Who may open it, sorted by app.
    #[must_use]
    pub fn grants(&self) -> &[DeedGrant] {
        &self.record.grants
    }

    /// Whom the key is wrapped for, for people to read: what counts is the wrapped key itself.
    #[must_use]
    pub fn recipients(&self) -> &[String] {
        &self.record.key.recipients
    }

    /// The volume key, wrapped: an armored age file.
    #[must_use]
    pub fn wrapped(&self) -> &str {
        &self.record.key.wrapped
    }

    /// The key before, wrapped likewise, while the volume is encrypted anew.
    #[must_use]
    pub fn wrapped_before(&self) -> Option<&str> {
        self.record.key_before.as_ref().map(|key| key.wrapped.as_str())
    }

    /// The digest of the deed before this one; none for the first.
    #[must_use]
    pub fn previous(&self) -> Option<Sha256> {
        self.record.previous.map(|digest| Sha256::from_bytes(digest.0))
    }
}
