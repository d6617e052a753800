//! Signatures: Ed25519 (RFC 8032), for deeds, tickets and the ledger's checkpoints.

use crate::Forged;
use cofferdam_linux::memory::{self, Locked};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use rustix::rand::GetRandomFlags;
use std::fmt;
use std::io::{self, Write};

/// The length of a signature, in bytes.
pub const SIGNATURE: usize = 64;

/// The key that signs, its seed and what is derived from it in locked memory.
pub struct SigningKey {
    seed: Locked<[u8; 32]>,
    pair: Locked<Ed25519KeyPair>,
    verifying: VerifyingKey,
}

impl SigningKey {
    /// A new one, from getrandom(2) straight into locked memory.
    ///
    /// # Errors
    /// No memory could be locked, or as getrandom(2).
    pub fn generate() -> io::Result<Self> {
        let mut seed = Locked::<[u8; 32]>::zeroed()?;
        loop {
            match rustix::rand::getrandom(&mut *seed, GetRandomFlags::empty()) {
                // Up to 256 bytes come whole once the pool is seeded, and this waits until it is.
                Ok(32) => return Self::of(seed),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The key of the seed in `bytes` (RFC 8032, section 5.1.5), which are wiped, also where this fails.
    ///
    /// # Errors
    /// No memory could be locked.
    pub fn take(bytes: &mut [u8; 32]) -> io::Result<Self> {
        let seed = Locked::<[u8; 32]>::zeroed().map(|mut seed| {
            seed.copy_from_slice(bytes);
            seed
        });
        memory::wipe(bytes);
        memory::clear_registers();
        Self::of(seed?)
    }

    fn of(seed: Locked<[u8; 32]>) -> io::Result<Self> {
        let pair = Locked::make(|| {
            Ed25519KeyPair::from_seed_unchecked(&*seed).map_err(|_| io::ErrorKind::InvalidInput.into())
        })?;
        let mut verifying = [0; 32];
        verifying.copy_from_slice(pair.public_key().as_ref());
        Ok(SigningKey {
            seed,
            pair,
            verifying: VerifyingKey(verifying),
        })
    }

    /// Writes the seed's 32 bytes out: the only way by which they leave, for key files. The sink should be unbuffered.
    ///
    /// # Errors
    /// As writing.
    pub fn write(&self, mut sink: impl Write) -> io::Result<()> {
        let written = sink.write_all(&*self.seed);
        memory::clear_registers();
        written
    }

    /// The key that verifies what this one signs.
    #[must_use]
    pub fn verifying(&self) -> VerifyingKey {
        self.verifying
    }

    /// The signature of `message`.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE] {
        let mut signature = [0; SIGNATURE];
        memory::scrubbed(|| signature.copy_from_slice(self.pair.sign(message).as_ref()));
        signature
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SigningKey(..)")
    }
}

/// The key that verifies: public, 32 bytes (RFC 8032). Any 32 bytes may be one; what is none verifies nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VerifyingKey([u8; 32]);

impl VerifyingKey {
    /// The key of these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        VerifyingKey(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether `signature` is that of `message`.
    ///
    /// # Errors
    /// [`Forged`] where it is not.
    pub fn verify(&self, message: &[u8], signature: &[u8; SIGNATURE]) -> Result<(), Forged> {
        UnparsedPublicKey::new(&ED25519, self.0)
            .verify(message, signature)
            .map_err(|_| Forged)
    }
}
