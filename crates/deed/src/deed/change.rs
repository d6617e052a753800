//! Changes: the next version of a deed, to be signed. One that changes nothing gives the same deed, of the same version.

use super::record::{DeedGrant, KeyRecord, Record, order};
use super::{Deed, SignedDeed, WrappedFor};
use crate::document::Document as _;
use crate::envelope::being_made;
use crate::hex::Hex32;
use cofferdam_model::{AppName, ByteSize, LaunchRule, Owner, Problem, Result};
use cofferdam_vault::VolumeKey;

impl SignedDeed {
    /// With this grant, in place of the one that the app may have had.
    ///
    /// # Errors
    /// `invalid` where no version can follow this one, or the deed would have too much in it.
    pub fn with_grant(&self, grant: DeedGrant) -> Result<Deed> {
        self.next(|record| {
            record.grants.retain(|held| held.app != grant.app);
            record.grants.push(grant);
            record.grants.sort_by_key(order);
        })
    }

    /// With this rule for an app, where it grants that app something: how much stays as it was signed.
    ///
    /// # Errors
    /// As [`Self::with_grant`].
    pub fn with_rule(&self, app: &AppName, rule: &LaunchRule) -> Result<Deed> {
        self.next(|record| {
            let held = record.grants.iter_mut().filter(|held| held.app == *app);
            held.for_each(|held| held.rule = rule.clone());
        })
    }

    /// Without what the app may have been granted.
    ///
    /// # Errors
    /// As [`Self::with_grant`].
    pub fn without_grant(&self, app: &AppName) -> Result<Deed> {
        self.next(|record| record.grants.retain(|held| held.app != *app))
    }

    /// With its canonical ids, once it has its first content. They never change afterwards: the files are theirs.
    ///
    /// # Errors
    /// `conflict` where it has other ones already; as [`Self::with_grant`].
    pub fn with_owner(&self, owner: Owner) -> Result<Deed> {
        match self.owner() {
            Some(held) if held != owner => Err(Problem::conflict(format!(
                "the files of {} belong to {held} by its deed, and cannot be {owner}'s as well",
                self.name()
            ))
            .remedy("leave them as they are: they are mapped to whoever may open the volume")),
            _ => self.next(|record| record.owner = Some(owner)),
        }
    }

    /// With another size.
    ///
    /// # Errors
    /// `invalid` where it is 0; as [`Self::with_grant`].
    pub fn with_size(&self, size: ByteSize) -> Result<Deed> {
        self.next(|record| record.size = size)
    }

    /// With a key wrapped anew: the same one for other recipients, or another one after the volume was encrypted anew.
    ///
    /// # Errors
    /// `invalid` where there is no recipient or something is too long; as [`Self::with_grant`].
    pub fn with_key(&self, key: &VolumeKey, wrapped: WrappedFor) -> Result<Deed> {
        self.next(|record| {
            record.key = KeyRecord::of(key, &record.volume, &record.tenant_key.verifying(), wrapped);
        })
    }

    /// With the same key in another wrapping: what can be said of that without the key itself.
    ///
    /// # Errors
    /// As [`Self::with_key`].
    pub fn with_wrapped(&self, wrapped: WrappedFor) -> Result<Deed> {
        self.next(|record| {
            record.key.recipients = wrapped.recipients;
            record.key.wrapped = wrapped.wrapped;
        })
    }

    /// With the key that `other` has, wrapped for whom its own is, and its own as the one before: as [`Self::with_rotation`], for
    /// who does not know the key.
    ///
    /// # Errors
    /// As [`Self::with_rotation`].
    pub fn with_rotation_to_key_of(&self, other: &Deed) -> Result<Deed> {
        let new = KeyRecord {
            recipients: self.record().key.recipients.clone(),
            ..other.record().key.clone()
        };
        self.rotated(new)
    }

    /// With another key, and the one it has as the one before: until everything is encrypted anew both are needed.
    ///
    /// # Errors
    /// `conflict` where there is one before already; as [`Self::with_key`].
    pub fn with_rotation(&self, key: &VolumeKey, wrapped: WrappedFor) -> Result<Deed> {
        self.rotated(KeyRecord::of(key, self.volume(), &self.tenant_key(), wrapped))
    }

    fn rotated(&self, new: KeyRecord) -> Result<Deed> {
        if self.wrapped_before().is_some() {
            return Err(
                Problem::conflict(format!("{} is being encrypted anew already", self.name()))
                    .remedy("wait until that has ended"),
            );
        }
        self.next(|record| record.key_before = Some(std::mem::replace(&mut record.key, new)))
    }

    /// Without the key before, which nothing is under any more.
    ///
    /// # Errors
    /// As [`Self::with_grant`].
    pub fn without_key_before(&self) -> Result<Deed> {
        self.next(|record| record.key_before = None)
    }

    fn next(&self, change: impl FnOnce(&mut Record)) -> Result<Deed> {
        let mut record = self.record().clone();
        change(&mut record);
        if record == *self.record() {
            return Ok(self.deed().clone());
        }
        record.version = self.version().saturating_add(1);
        record.previous = Some(Hex32(*self.digest().as_bytes()));
        Deed::of_record(record).map_err(being_made)
    }
}
