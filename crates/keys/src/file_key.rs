//! The key of one age file, which the copies hold and which encrypts the volume's key.

use crate::problem::no_memory;
use age::secrecy::ExposeSecret;
use cofferdam_linux::memory::{self, Locked};
use cofferdam_model::Result;
use std::fmt;

/// The length of a file key, in bytes.
const LENGTH: usize = age_core::format::FILE_KEY_BYTES;

/// A file key in locked memory: 128 random bits, new for each wrapping.
pub struct FileKey(Locked<[u8; LENGTH]>);

impl FileKey {
    /// The key in `bytes`, which are wiped, also where this fails.
    ///
    /// # Errors
    /// `unavailable` where no memory could be locked.
    pub fn take(bytes: &mut [u8; LENGTH]) -> Result<Self> {
        let key = Locked::zeroed().map(|mut key: Locked<[u8; LENGTH]>| {
            key.copy_from_slice(bytes);
            FileKey(key)
        });
        memory::wipe(bytes);
        memory::clear_registers();
        key.map_err(no_memory)
    }

    /// Its bytes. Copies of them are to be wiped.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; LENGTH] {
        &self.0
    }

    /// A copy of age's.
    pub(crate) fn of_age(key: &age_core::format::FileKey) -> Result<Self> {
        let mut copy = Locked::zeroed().map_err(no_memory)?;
        copy.copy_from_slice(key.expose_secret());
        Ok(FileKey(copy))
    }

    /// A copy for age, which wipes it.
    pub(crate) fn to_age(&self) -> age_core::format::FileKey {
        age_core::format::FileKey::init_with_mut(|copy| copy.copy_from_slice(&*self.0))
    }
}

impl fmt::Debug for FileKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("FileKey(..)")
    }
}
