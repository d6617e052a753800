//! The payload of a wrapped key's age file: the volume key, encrypted under the file key.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 16 | nonce, random |
//! | 16 | 32 | the volume key, encrypted |
//! | 48 | 16 | its tag |
//!
//! This is age's own layout for a plaintext of 32 bytes: the key is HKDF-SHA-256(file key, salt = nonce, "payload"),
//! the cipher is ChaCha20-Poly1305, and its nonce is that of a first chunk which is also the last (eleven zeros, one).
//!
//! It is sealed here because age's writer keeps the plaintext in a buffer that it does not wipe (0.12). Opening is left
//! to age, which wipes what it reads.

use crate::file_key::FileKey;
use crate::problem::{doing, no_memory};
use age_core::primitives::hkdf;
use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Key, Nonce};
use cofferdam_linux::memory::Locked;
use cofferdam_model::{Problem, Result};
use cofferdam_vault::VolumeKey;

/// Bytes of the nonce.
pub(crate) const NONCE: usize = 16;

/// Bytes of the payload, its nonce included.
pub(crate) const PAYLOAD: usize = NONCE + 32 + 16;

/// The nonce of the only chunk.
const ONLY_CHUNK: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// Appends the encrypted key to a file that ends with the payload's nonce. To be run on stack that is overwritten.
pub(crate) fn seal(key: &VolumeKey, file_key: &FileKey, file: &mut Vec<u8>) -> Result<()> {
    let nonce = file
        .last_chunk::<NONCE>()
        .ok_or_else(|| Problem::internal("age wrote no nonce"))?;
    let mut chunk = Locked::<[u8; 32]>::zeroed().map_err(no_memory)?;
    key.write(&mut chunk[..]).map_err(doing("reading a volume key"))?;
    let payload_key = Locked::make(|| Ok(hkdf(nonce, b"payload", file_key.as_bytes()))).map_err(no_memory)?;
    let tag = ChaCha20Poly1305::new(Key::from_slice(&*payload_key))
        .encrypt_in_place_detached(Nonce::from_slice(&ONLY_CHUNK), b"", &mut chunk[..])
        .map_err(|_| Problem::internal("a volume key is too long for a chunk"))?;
    file.extend_from_slice(&chunk[..]);
    file.extend_from_slice(&tag);
    Ok(())
}
