//! A checkpoint: where every page of the map is, and which segments there are. Its bytes are cut into cells of
//! kind *checkpoint*, addressed 0, 1, 2 …, zeros behind the last byte.
//!
//! | bytes | field |
//! |---|---|
//! | 4 | pages, u32 |
//! | 4 | segments, u32 |
//! | 5 for each page | the place of its cell; zero where the page is empty |
//! | 60 for each segment | slot u32, live cells u32, bytes used u32, epoch u64, sequence u64, salt 32 bytes |

use super::field::Fields;
use crate::geometry::{Geometry, Place, SegmentName, Slot};

/// Bytes of one segment's entry.
pub(crate) const ENTRY: usize = 60;

/// A segment as the checkpoint has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentEntry {
    pub(crate) slot: Slot,
    pub(crate) live: u32,
    pub(crate) used: u32,
    pub(crate) name: SegmentName,
    pub(crate) salt: [u8; 32],
}

/// The whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) pages: Vec<Place>,
    pub(crate) segments: Vec<SegmentEntry>,
}

impl Checkpoint {
    /// The bytes as stored.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let length = 8 + self.pages.len() * Place::BYTES + self.segments.len() * ENTRY;
        let mut bytes = Vec::with_capacity(length);
        for count in [self.pages.len(), self.segments.len()] {
            bytes.extend(u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
        }
        for place in &self.pages {
            bytes.extend(place.to_bytes());
        }
        for segment in &self.segments {
            bytes.extend(segment.slot.0.to_le_bytes());
            bytes.extend(segment.live.to_le_bytes());
            bytes.extend(segment.used.to_le_bytes());
            bytes.extend(segment.name.epoch.to_le_bytes());
            bytes.extend(segment.name.sequence.to_le_bytes());
            bytes.extend(segment.salt);
        }
        bytes
    }

    /// Reads the bytes; none where they are not whole, have places for more pages than there are, or name a slot twice,
    /// out of range or not at all.
    pub(crate) fn decode(bytes: &[u8], geometry: Geometry) -> Option<Self> {
        let mut fields = Fields(bytes);
        let (pages, segments) = (fields.u32()? as usize, fields.u32()? as usize);
        let length = pages
            .checked_mul(Place::BYTES)?
            .checked_add(segments.checked_mul(ENTRY)?)?;
        if length != fields.0.len() {
            return None;
        }
        let pages = (0..pages)
            .map(|_| fields.bytes().map(Place::from_bytes))
            .collect::<Option<Vec<_>>>()?;
        let segments = (0..segments)
            .map(|_| Self::segment(&mut fields))
            .collect::<Option<Vec<_>>>()?;
        let mut slots = segments.iter().map(|s| s.slot).collect::<Vec<_>>();
        slots.sort_unstable();
        let known = |place: &Place| place.is_nowhere() || slots.binary_search(&place.slot()).is_ok();
        let all = geometry.blocks.div_ceil(super::page::PAGE_BLOCKS);
        // A disk that has grown since has more: pages that were never written.
        let sound = pages.len() as u64 <= all
            && slots.windows(2).all(|pair| matches!(pair, [a, b] if a < b))
            && slots.iter().all(|slot| slot.0 < geometry.slots())
            && pages.iter().all(known);
        sound.then_some(Checkpoint { pages, segments })
    }

    fn segment(fields: &mut Fields<'_>) -> Option<SegmentEntry> {
        Some(SegmentEntry {
            slot: Slot(fields.u32()?),
            live: fields.u32()?,
            used: fields.u32()?,
            name: SegmentName {
                epoch: fields.u64()?,
                sequence: fields.u64()?,
            },
            salt: fields.bytes()?,
        })
    }
}
