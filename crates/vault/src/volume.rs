//! The key of a volume, from which all others come.

use crate::derive::hkdf;
use crate::{HeadKey, SegmentKey, Suite, VerifyingKey};
use cofferdam_linux::memory::{self, Locked};
use rustix::rand::GetRandomFlags;
use std::fmt;
use std::io::{self, Read, Write};

/// 256 random bits in locked memory. Nothing is encrypted with it; other keys are derived from it.
pub struct VolumeKey(Locked<[u8; 32]>);

impl VolumeKey {
    /// A new one, from getrandom(2) straight into locked memory.
    ///
    /// # Errors
    /// No memory could be locked, or as getrandom(2).
    pub fn generate() -> io::Result<Self> {
        let mut key = Locked::<[u8; 32]>::zeroed()?;
        loop {
            match rustix::rand::getrandom(&mut *key, GetRandomFlags::empty()) {
                // Up to 256 bytes come whole once the pool is seeded, and this waits until it is.
                Ok(32) => return Ok(VolumeKey(key)),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The key in `bytes`, which are wiped, also where this fails.
    ///
    /// # Errors
    /// No memory could be locked.
    pub fn take(bytes: &mut [u8; 32]) -> io::Result<Self> {
        let key = Locked::<[u8; 32]>::zeroed().map(|mut key| {
            key.copy_from_slice(bytes);
            VolumeKey(key)
        });
        memory::wipe(bytes);
        memory::clear_registers();
        key
    }

    /// Reads a key of exactly 32 bytes, up to the end of the source, straight into locked memory. The
    /// source should be unbuffered (a `File`, not a `BufReader`), for a buffer keeps a copy.
    ///
    /// # Errors
    /// `InvalidData` where there are fewer or more than 32 bytes; no memory could be locked; as reading.
    pub fn read(mut source: impl Read) -> io::Result<Self> {
        let key = Self::fill(&mut source)?;
        ends(&mut source).map(|()| key)
    }

    /// Reads two keys, one behind the other, up to the end of the source: otherwise as [`Self::read`].
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_two(mut source: impl Read) -> io::Result<(Self, Self)> {
        let both = (Self::fill(&mut source)?, Self::fill(&mut source)?);
        ends(&mut source).map(|()| both)
    }

    fn fill(source: &mut impl Read) -> io::Result<Self> {
        let mut key = Locked::<[u8; 32]>::zeroed()?;
        let filled = source.read_exact(&mut *key);
        memory::clear_registers();
        filled.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => not_a_key(),
            _ => error,
        })?;
        Ok(VolumeKey(key))
    }

    /// Writes the 32 bytes out: the only way by which they leave, for wrapping and for key files. The sink
    /// should be unbuffered.
    ///
    /// # Errors
    /// As writing.
    pub fn write(&self, mut sink: impl Write) -> io::Result<()> {
        let written = sink.write_all(&*self.0);
        memory::clear_registers();
        written
    }

    /// Whether two keys are the same one. Takes the same time whatever differs.
    pub fn is_same(&self, other: &Self) -> bool {
        let pairs = self.0.iter().zip(other.0.iter());
        let different = pairs.fold(0, |different, (one, other)| {
            std::hint::black_box(different | (one ^ other))
        });
        memory::clear_registers();
        different == 0
    }

    /// What every stored, wrapped copy of this key carries beside it, in the clear, to be compared after
    /// unwrapping. It tells nothing about the key.
    ///
    /// GCM does not commit to its key: whoever knows two keys can make one ciphertext that verifies under
    /// both, and so hand two recipients of one volume different keys, or test many passwords with one
    /// query. This is a collision-resistant function of the key and so names exactly one:
    /// HKDF-SHA-256(key, no salt, "cofferdam commitment v1" ‖ volume id).
    pub fn commitment(&self, volume: &[u8; 16]) -> [u8; 32] {
        let mut commitment = [0; 32];
        memory::scrubbed(|| {
            hkdf(
                &*self.0,
                &[],
                &[b"cofferdam commitment v1", volume],
                &mut commitment,
            )
        });
        commitment
    }

    /// What ties a deed's signer to this key: HKDF-SHA-256(key, no salt, "cofferdam deed v1" ‖ volume id ‖ the
    /// tenant's verifying key). Stored in the deed, in the clear; it tells nothing about the key.
    ///
    /// Only who has the volume key can make it. So nobody can put another tenant's key, and deeds signed by it, beside
    /// wrapped copies of a key that he cannot unwrap.
    pub fn binding(&self, volume: &[u8; 16], tenant: &VerifyingKey) -> [u8; 32] {
        let mut binding = [0; 32];
        let info: [&[u8]; 3] = [b"cofferdam deed v1", volume, tenant.as_bytes()];
        memory::scrubbed(|| hkdf(&*self.0, &[], &info, &mut binding));
        binding
    }

    /// The key of one segment: HKDF-SHA-256(key, salt, "cofferdam segment v1" ‖ suite (1 byte) ‖ volume id
    /// ‖ epoch (8 bytes, little endian) ‖ sequence (likewise)).
    ///
    /// `salt` is the segment's own 32 random bytes, new each time that a segment is begun: then no key ever
    /// serves two segments, even where the store is rolled back and written again, and nonces may count
    /// places.
    ///
    /// # Errors
    /// No memory could be locked.
    pub fn segment(
        &self,
        suite: Suite,
        salt: &[u8; 32],
        volume: &[u8; 16],
        epoch: u64,
        sequence: u64,
    ) -> io::Result<SegmentKey> {
        let (suite_code, epoch, sequence) = ([suite.code()], epoch.to_le_bytes(), sequence.to_le_bytes());
        let info: [&[u8]; 5] = [b"cofferdam segment v1", &suite_code, volume, &epoch, &sequence];
        SegmentKey::derive(suite, |key| hkdf(&*self.0, salt, &info, key))
    }

    /// The key that authenticates the volume's head: HKDF-SHA-256(key, salt = volume id,
    /// "cofferdam head v1").
    ///
    /// # Errors
    /// No memory could be locked.
    pub fn head(&self, volume: &[u8; 16]) -> io::Result<HeadKey> {
        HeadKey::derive::<32>(|key| hkdf(&*self.0, volume, &[b"cofferdam head v1"], key))
    }
}

impl fmt::Debug for VolumeKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("VolumeKey(..)")
    }
}

/// Whether nothing follows.
fn ends(source: &mut impl Read) -> io::Result<()> {
    let mut more = [0];
    loop {
        match source.read(&mut more) {
            Ok(0) => return Ok(()),
            Ok(_) => {
                memory::wipe(&mut more);
                return Err(not_a_key());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn not_a_key() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        "a volume key is exactly 32 raw bytes, and this is not; give the file that the key was made in",
    )
}
