//! The clear header at the start of every segment.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic `CFDSEG\0\x01` |
//! | 8 | 1 | suite: 1 = AES-256-GCM with HKDF-SHA-256 |
//! | 9 | 1 | log2 of the alignment, 9 to 12 |
//! | 10 | 2 | zero |
//! | 12 | 4 | slot, u32 |
//! | 16 | 16 | volume id |
//! | 32 | 8 | epoch, u64 |
//! | 40 | 8 | sequence, u64 |
//! | 48 | 32 | salt of the segment's key |
//! | 80 | 16 | tag: AES-256-GCM over nothing, nonce `01 00 00 00` ‖ 0 (u64), bytes 0 to 79 as additional data |
//! | 96 | | zeros up to the alignment |
//!
//! All numbers are little-endian. The tag says that whoever wrote the header had the volume's key.

use super::{Sealer, field::Fields};
use crate::geometry::{SegmentName, Slot};
use cofferdam_vault::{Nonce, Suite, VolumeKey};

const MAGIC: &[u8; 8] = b"CFDSEG\0\x01";

/// Bytes before the tag.
const CLEAR: usize = 80;

/// Bytes in all, without the zeros behind.
pub(crate) const SEGMENT_HEADER: usize = CLEAR + 16;

/// What the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) suite: Suite,
    pub(crate) align: u32,
    pub(crate) slot: Slot,
    pub(crate) volume: [u8; 16],
    pub(crate) name: SegmentName,
    pub(crate) salt: [u8; 32],
}

impl SegmentHeader {
    /// The key and additional data that seal this segment.
    pub(crate) fn sealer(&self, key: &VolumeKey) -> std::io::Result<Sealer> {
        Sealer::new(key, self.suite, &self.salt, self.volume, self.name)
    }

    /// The header as stored: `align` bytes.
    pub(crate) fn encode(&self, sealer: &Sealer) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.align as usize);
        bytes.extend(MAGIC);
        bytes.push(self.suite.code());
        bytes.push(u8::try_from(self.align.trailing_zeros()).unwrap_or(0));
        bytes.extend([0; 2]);
        bytes.extend(self.slot.0.to_le_bytes());
        bytes.extend(self.volume);
        bytes.extend(self.name.epoch.to_le_bytes());
        bytes.extend(self.name.sequence.to_le_bytes());
        bytes.extend(self.salt);
        let tag = sealer.key().seal(Nonce::header(0), &bytes, &mut []);
        bytes.extend(tag);
        bytes.resize(self.align as usize, 0);
        bytes
    }

    /// Reads and verifies a header; none where it is not one that this key wrote.
    pub(crate) fn decode(bytes: &[u8], key: &VolumeKey) -> std::io::Result<Option<(Self, Sealer)>> {
        let Some((header, clear, tag)) = Self::parse(bytes) else {
            return Ok(None);
        };
        let sealer = header.sealer(key)?;
        let mut tag = tag;
        let genuine = sealer.key().open(Nonce::header(0), clear, &mut tag).is_ok();
        Ok(genuine.then_some((header, sealer)))
    }

    fn parse(bytes: &[u8]) -> Option<(Self, &[u8], [u8; 16])> {
        let clear = bytes.get(..CLEAR)?;
        let mut fields = Fields(bytes);
        if fields.bytes::<8>()? != *MAGIC {
            return None;
        }
        let suite = Suite::from_code(fields.u8()?)?;
        let align = 1_u32.checked_shl(u32::from(fields.u8()?))?;
        if !(512..=4096).contains(&align) || fields.u16()? != 0 {
            return None;
        }
        let header = SegmentHeader {
            suite,
            align,
            slot: Slot(fields.u32()?),
            volume: fields.bytes()?,
            name: SegmentName {
                epoch: fields.u64()?,
                sequence: fields.u64()?,
            },
            salt: fields.bytes()?,
        };
        Some((header, clear, fields.bytes()?))
    }
}
