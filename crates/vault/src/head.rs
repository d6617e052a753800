//! Authenticating small objects that are read before any segment is: the head and its witness.

use crate::Forged;
use cofferdam_linux::memory::{self, Locked};
use ring::hmac;
use std::fmt;
use std::io;

/// An HMAC-SHA-256 key (RFC 2104) in locked memory.
pub struct HeadKey(Locked<hmac::Key>);

impl HeadKey {
    /// The key of `N` bytes (the format's has 32) that `fill` writes into zeroed ones.
    pub(crate) fn derive<const N: usize>(fill: impl FnOnce(&mut [u8; N])) -> io::Result<Self> {
        let key = Locked::make(|| {
            let mut raw = [0; N];
            fill(&mut raw);
            Ok(hmac::Key::new(hmac::HMAC_SHA256, &raw))
        })?;
        Ok(HeadKey(key))
    }

    /// The tag of `bytes`.
    pub fn tag(&self, bytes: &[u8]) -> [u8; 32] {
        let mut tag = [0; 32];
        memory::scrubbed(|| tag.copy_from_slice(hmac::sign(&self.0, bytes).as_ref()));
        tag
    }

    /// Whether `tag` is that of `bytes`, in a time that tells nothing of how much of it is right.
    ///
    /// # Errors
    /// [`Forged`] where it is not.
    pub fn verify(&self, bytes: &[u8], tag: &[u8; 32]) -> Result<(), Forged> {
        memory::scrubbed(|| hmac::verify(&self.0, bytes, tag)).map_err(|_| Forged)
    }
}

impl fmt::Debug for HeadKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("HeadKey(..)")
    }
}
