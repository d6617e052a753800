//! The head: the one small object that is replaced, always whole and only by whoever knows what it replaces.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | magic `CFDHEAD\x01` |
//! | 8 | 1 | suite: 1 = AES-256-GCM with HKDF-SHA-256 |
//! | 9 | 1 | log2 of the alignment, 9 to 12 |
//! | 10 | 1 | state: 1 open, 2 clean |
//! | 11 | 5 | zero |
//! | 16 | 16 | volume id |
//! | 32 | 8 | blocks of the disk, u64 |
//! | 40 | 4 | bytes of a segment, u32 |
//! | 44 | 4 | bytes of the checkpoint, u32 |
//! | 48 | 8 | epoch: that of the last opening, u64 |
//! | 56 | 8 | generation: counts the head's replacements, u64 |
//! | 64 | 8 | next sequence: no segment has had this number or a higher one, u64 |
//! | 72 | 8 + 8 + 4 | checkpoint's first record: epoch u64, sequence u64, offset u32 |
//! | 92 | 4 | zero |
//! | 96 | 8 + 16 | that record's number and tag |
//! | 120 | 8 + 16 | number and tag of the last record that the head vouches for |
//! | 144 | 32 | commitment to the volume key |
//! | 176 | 8 | rotation: segments with a lower sequence are under the previous key, u64; 0 if there is none |
//! | 184 | 32 | commitment to the previous key; zero if there is none |
//! | 216 | 8 | zero |
//! | 224 | 32 | HMAC-SHA-256 over bytes 0 to 223 under the head's key |
//!
//! All numbers are little-endian. Whatever is zero here is verified to be. Epoch, generation and sequences stay below
//! 2^63: nobody counts so far, and sums cannot overflow.

use super::field::Fields;
use crate::{
    fault::{Fault, Outcome},
    geometry::{Geometry, Lsn, SegmentName, TAG},
    keys::{Keys, Ring},
};
use cofferdam_vault::Suite;

const MAGIC: &[u8; 8] = b"CFDHEAD\x01";

/// Bytes before the authentication.
const CLEAR: usize = 224;

/// What no counter reaches.
const BEYOND: u64 = 1 << 63;

/// Bytes in all.
pub(crate) const HEAD: usize = CLEAR + 32;

/// A record that can be recognised again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) lsn: Lsn,
    pub(crate) tag: [u8; TAG],
}

/// Where a checkpoint begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CheckpointAt {
    pub(crate) segment: SegmentName,
    pub(crate) offset: u32,
    pub(crate) bytes: u32,
    pub(crate) mark: Mark,
}

/// What the head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) suite: Suite,
    pub(crate) geometry: Geometry,
    pub(crate) clean: bool,
    pub(crate) volume: [u8; 16],
    pub(crate) epoch: u64,
    pub(crate) generation: u64,
    pub(crate) next_sequence: u64,
    pub(crate) checkpoint: CheckpointAt,
    pub(crate) end: Mark,
    /// The first sequence that is under the volume's key; those below are under the previous one.
    pub(crate) rotation: Option<u64>,
}

/// What a head says of keys: commitments, which tell nothing about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Commitments {
    current: [u8; 32],
    previous: [u8; 32],
}

impl Head {
    /// Whether recovery from this head would look at a segment of this name.
    pub(crate) fn replays(&self, name: SegmentName) -> bool {
        let from = self.checkpoint.segment;
        name.epoch == from.epoch && name.sequence >= from.sequence
    }

    /// The head as stored.
    pub(crate) fn encode(&self, keys: &Ring) -> Outcome<Vec<u8>> {
        let mut bytes = Vec::with_capacity(HEAD);
        bytes.extend(MAGIC);
        bytes.push(self.suite.code());
        bytes.push(u8::try_from(self.geometry.align.trailing_zeros()).unwrap_or(0));
        bytes.push(if self.clean { 2 } else { 1 });
        bytes.extend([0; 5]);
        bytes.extend(self.volume);
        bytes.extend(self.geometry.blocks.to_le_bytes());
        bytes.extend(self.geometry.segment.to_le_bytes());
        bytes.extend(self.checkpoint.bytes.to_le_bytes());
        bytes.extend(self.epoch.to_le_bytes());
        bytes.extend(self.generation.to_le_bytes());
        bytes.extend(self.next_sequence.to_le_bytes());
        bytes.extend(self.checkpoint.segment.epoch.to_le_bytes());
        bytes.extend(self.checkpoint.segment.sequence.to_le_bytes());
        bytes.extend(self.checkpoint.offset.to_le_bytes());
        bytes.extend([0; 4]);
        for mark in [self.checkpoint.mark, self.end] {
            bytes.extend(mark.lsn.0.to_le_bytes());
            bytes.extend(mark.tag);
        }
        bytes.extend(keys.key().commitment(&self.volume));
        if let Some((below, previous)) = self.rotation.zip(keys.previous()) {
            bytes.extend(below.to_le_bytes());
            bytes.extend(previous.commitment(&self.volume));
        }
        bytes.resize(CLEAR, 0);
        let tag = keys.key().head(&self.volume).map_err(Fault::memory)?.tag(&bytes);
        bytes.extend(tag);
        Ok(bytes)
    }

    /// Reads and verifies a head; answers which key is whose, too.
    ///
    /// # Errors
    /// [`Fault::WrongKey`] where a commitment is to another key; as [`Keys::ring`]; [`Fault::Corrupt`] for anything else.
    pub(crate) fn decode(bytes: &[u8], keys: &Keys) -> Outcome<(Self, Ring)> {
        let (head, commitments) = Self::parse(bytes)?;
        let key = keys.of_head(&head.volume, &commitments.current)?;
        let (clear, tag) = bytes.split_last_chunk::<32>().ok_or_else(damaged)?;
        key.head(&head.volume)
            .map_err(Fault::memory)?
            .verify(clear, tag)
            .map_err(|_| damaged())?;
        let ring = keys.ring(key, &head.volume, head.rotation, &commitments.previous)?;
        Ok((head, ring))
    }

    /// Reads a head without a key: what it says is a claim that anybody may have written. Answers the
    /// commitments too.
    ///
    /// # Errors
    /// [`Fault::Corrupt`].
    pub(crate) fn parse(bytes: &[u8]) -> Outcome<(Self, Commitments)> {
        if bytes.len() != HEAD {
            return Err(damaged());
        }
        Self::fields(&mut Fields(bytes)).ok_or_else(damaged)
    }

    fn fields(fields: &mut Fields<'_>) -> Option<(Self, Commitments)> {
        if fields.bytes::<8>()? != *MAGIC {
            return None;
        }
        let suite = Suite::from_code(fields.u8()?)?;
        let align = 1_u32.checked_shl(u32::from(fields.u8()?))?;
        let clean = match fields.u8()? {
            1 => false,
            2 => true,
            _ => return None,
        };
        if fields.bytes()? != [0; 5] {
            return None;
        }
        let volume = fields.bytes()?;
        let blocks = fields.u64()?;
        let geometry = Geometry::new(blocks, fields.u32()?, align)?;
        let bytes = fields.u32()?;
        let (epoch, generation, next_sequence) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let segment = SegmentName {
            epoch: fields.u64()?,
            sequence: fields.u64()?,
        };
        let offset = fields.u32()?;
        if fields.u32()? != 0 || [epoch, generation, next_sequence].iter().any(|n| *n >= BEYOND) {
            return None;
        }
        let mut mark = || {
            Some(Mark {
                lsn: Lsn(fields.u64()?),
                tag: fields.bytes()?,
            })
        };
        let (first, end) = (mark()?, mark()?);
        let current = fields.bytes()?;
        let rotation = fields.u64()?;
        let previous = fields.bytes()?;
        let is_sound = rotation <= next_sequence && (rotation > 0 || previous == [0; 32]);
        if fields.bytes()? != [0; 8] || !is_sound {
            return None;
        }
        let head = Head {
            suite,
            geometry,
            clean,
            volume,
            epoch,
            generation,
            next_sequence,
            checkpoint: CheckpointAt {
                segment,
                offset,
                bytes,
                mark: first,
            },
            end,
            rotation: (rotation > 0).then_some(rotation),
        };
        Some((head, Commitments { current, previous }))
    }
}

fn damaged() -> Fault {
    Fault::corrupt("the head", "it is not one that this key wrote")
}

#[cfg(test)]
mod tests {
    use super::*;
    use cofferdam_vault::VolumeKey;
    use std::sync::Arc;

    fn key(byte: u8) -> VolumeKey {
        VolumeKey::take(&mut [byte; 32]).unwrap()
    }

    /// A head as somebody with the key would seal it, whatever it says.
    fn sealed(rotation: Option<u64>, change: impl FnOnce(&mut [u8])) -> Vec<u8> {
        let nothing = Mark {
            lsn: Lsn(1),
            tag: [2; TAG],
        };
        let head = Head {
            suite: Suite::Aes256Gcm,
            geometry: Geometry::new(1000, 1 << 20, 512).unwrap(),
            clean: true,
            volume: [3; 16],
            epoch: 4,
            generation: 5,
            next_sequence: 6,
            checkpoint: CheckpointAt {
                segment: SegmentName {
                    epoch: 4,
                    sequence: 5,
                },
                offset: 512,
                bytes: 100,
                mark: nothing,
            },
            end: nothing,
            rotation,
        };
        let keys = Ring::from(Arc::new(key(6))).turned(Arc::new(key(7)), 5);
        let mut bytes = head.encode(&keys).unwrap();
        assert_eq!(decode(&bytes).unwrap(), head);
        bytes.truncate(CLEAR);
        change(&mut bytes);
        let tag = key(7).head(&[3; 16]).unwrap().tag(&bytes);
        bytes.extend(tag);
        bytes
    }

    fn decode(bytes: &[u8]) -> Outcome<Head> {
        Head::decode(bytes, &Keys::rotating(key(7), key(6), false)).map(|(head, _)| head)
    }

    #[test]
    fn a_rotation_names_a_sequence_that_there_is_and_the_key_before() {
        assert!(decode(&sealed(Some(6), |_| {})).is_ok());
        let beyond = decode(&sealed(Some(6), |bytes| bytes[176] = 7));
        assert!(matches!(beyond, Err(Fault::Corrupt { .. })), "{beyond:?}");
        let other = decode(&sealed(Some(6), |bytes| bytes[184] ^= 1));
        assert!(matches!(other, Err(Fault::WrongKey)), "{other:?}");
    }

    #[test]
    fn even_with_the_key_a_head_has_no_more_than_this_version_writes() {
        assert!(decode(&sealed(None, |_| {})).is_ok());
        let zero = [11, 15, 92, 95, 184, 215, 216, 223];
        let highest_bytes_of_counters = [55, 63, 71];
        for at in zero.into_iter().chain(highest_bytes_of_counters) {
            let refused = decode(&sealed(None, |bytes| bytes[at] |= 0x80));
            assert!(
                matches!(refused, Err(Fault::Corrupt { .. })),
                "byte {at}: {refused:?}"
            );
        }
    }
}
