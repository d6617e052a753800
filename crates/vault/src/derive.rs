//! HKDF-SHA-256 (RFC 5869), for every derivation of this crate.

use ring::hkdf::{HKDF_SHA256, KeyType, Salt};

/// How many bytes are asked for.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// Fills `out` from the key `secret`; `info` is the concatenation of its parts. Leaves intermediate values
/// on the stack: to be called within `scrubbed` or `Locked::make`.
#[expect(
    clippy::expect_used,
    reason = "fails only beyond 255 × 32 bytes of output, and ours are of fixed, small sizes"
)]
pub(crate) fn hkdf(secret: &[u8], salt: &[u8], info: &[&[u8]], out: &mut [u8]) {
    Salt::new(HKDF_SHA256, salt)
        .extract(secret)
        .expand(info, Length(out.len()))
        .and_then(|key| key.fill(out))
        .expect("HKDF-SHA-256 gives up to 8160 bytes");
}
