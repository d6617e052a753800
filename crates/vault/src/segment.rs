//! Sealing and opening within one segment.

use crate::{Forged, Nonce, Suite};
use cofferdam_linux::memory::{self, Locked};
use ring::aead::{self, Aad, LessSafeKey, UnboundKey};
use std::fmt;
use std::io;

/// The length of a tag, in bytes.
pub const TAG: usize = 16;

/// The key of one segment, its schedule in locked memory. Threads may share it.
///
/// One takes some 600 bytes of locked memory: 3,200 of them, for 100 GiB in segments of 32 MiB, take 1.9 MB of
/// `RLIMIT_MEMLOCK`.
///
/// Everything is sealed at a place ([`Nonce`]) and bound to additional data (`aad`), which is not stored
/// here and must be the same on opening.
pub struct SegmentKey(Locked<LessSafeKey>);

impl SegmentKey {
    /// Takes the memory for so many keys now: for a process that is about to give up the right to lock more.
    ///
    /// # Errors
    /// No memory could be locked.
    pub fn reserve(count: usize) -> io::Result<()> {
        Locked::<LessSafeKey>::reserve(count)?;
        // The other kinds: one volume key, and what derivations have for a moment, perhaps in several threads.
        Locked::<[u8; 32]>::reserve(64)?;
        Locked::<ring::hmac::Key>::reserve(16)
    }

    /// The key that `fill` writes into zeroed bytes.
    pub(crate) fn derive(suite: Suite, fill: impl FnOnce(&mut [u8; 32])) -> io::Result<Self> {
        let algorithm = match suite {
            Suite::Aes256Gcm => &aead::AES_256_GCM,
        };
        let key = Locked::make(|| {
            let mut raw = [0; 32];
            fill(&mut raw);
            let key = UnboundKey::new(algorithm, &raw).map_err(|_| io::ErrorKind::InvalidInput)?;
            Ok(LessSafeKey::new(key))
        })?;
        Ok(SegmentKey(key))
    }

    /// Seals `text` in place and returns its tag, which is to be stored beside it.
    ///
    /// # Panics
    /// From 64 GiB of text on, far beyond any segment: going on unsealed is no choice.
    #[expect(
        clippy::expect_used,
        reason = "only lengths that no segment has can fail, and unsealed bytes must not go on"
    )]
    pub fn seal(&self, nonce: Nonce, aad: &[u8], text: &mut [u8]) -> [u8; TAG] {
        let tag = self
            .0
            .seal_in_place_separate_tag(bound(nonce), Aad::from(aad), text);
        memory::clear_registers();
        tag.ok()
            .and_then(|tag| tag.as_ref().try_into().ok())
            .expect("AES-256-GCM seals up to 64 GiB, with a tag of 16 bytes")
    }

    /// Seals `plain` into `cell` as ciphertext ‖ tag.
    ///
    /// # Panics
    /// Where `cell` is not exactly 16 bytes longer than `plain`.
    pub fn seal_cell(&self, nonce: Nonce, aad: &[u8], plain: &[u8], cell: &mut [u8]) {
        let (text, tag) = cell.split_at_mut(plain.len());
        // One pass to copy and one to seal in place: 4 KiB stay in the nearest cache.
        text.copy_from_slice(plain);
        tag.copy_from_slice(&self.seal(nonce, aad, text));
    }

    /// Opens `cell` (ciphertext ‖ tag) in place and returns the plaintext, its front part.
    ///
    /// # Errors
    /// [`Forged`] where anything differs from what was sealed; then `cell` is all zeros.
    pub fn open<'a>(&self, nonce: Nonce, aad: &[u8], cell: &'a mut [u8]) -> Result<&'a mut [u8], Forged> {
        self.open_within(nonce, aad, cell, 0)
    }

    /// Opens `buffer[start..]` (ciphertext ‖ tag), moves the plaintext to the front of `buffer` and returns
    /// it. So cells that lie one after the other become blocks that do.
    ///
    /// # Errors
    /// [`Forged`] where anything differs from what was sealed, also where there is no room for a tag; then
    /// all of `buffer` is zeros.
    pub fn open_within<'a>(
        &self,
        nonce: Nonce,
        aad: &[u8],
        buffer: &'a mut [u8],
        start: usize,
    ) -> Result<&'a mut [u8], Forged> {
        let opened = self
            .0
            .open_within(bound(nonce), Aad::from(aad), buffer, start..)
            .map(|plain| plain.len());
        memory::clear_registers();
        match opened {
            Ok(length) => buffer.get_mut(..length).ok_or(Forged),
            Err(_) => {
                buffer.fill(0);
                Err(Forged)
            }
        }
    }
}

fn bound(nonce: Nonce) -> aead::Nonce {
    aead::Nonce::assume_unique_for_key(nonce.0)
}

impl fmt::Debug for SegmentKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SegmentKey(..)")
    }
}
