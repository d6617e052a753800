//! The sealed header of a record, and what its cells are.
//!
//! On the store a record is 512 bytes of header (496 sealed, then the tag), then its cells one after the other,
//! then zeros up to the alignment. Sealed with nonce `01 00 00 00` ‖ offset in the segment (u64); additional
//! data: volume id ‖ epoch ‖ sequence ‖ offset (u64).
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | number in the log (lsn), u64 |
//! | 8 | 8 | every record up to this number is on stable storage, u64 |
//! | 16 | 16 | tag of the previous record's header |
//! | 32 | 2 | cells, u16 |
//! | 34 | 2 | extents, u16 |
//! | 36 | 4 | bytes of the record, zeros at its end included, u32 |
//! | 40 | 8 each | extents |
//! | | | zeros |
//!
//! An extent is 5 bytes of first address, 1 of kind, 2 of count. Kinds: 1 data, 2 discard (no cells), 3 pages of
//! the map, 4 checkpoint, 5 close (no cells). The cells of a record follow in the order of its extents.

use super::{Sealer, field::Fields};
use crate::geometry::{CELL, Lsn, MAX_CELLS, RECORD_HEADER, TAG};
use cofferdam_vault::Nonce;

/// Bytes of one extent.
const EXTENT: usize = 8;

/// Bytes before the extents.
const FIXED: usize = 40;

/// The most extents in one record.
pub(crate) const MAX_EXTENTS: usize = (RECORD_HEADER - TAG - FIXED) / EXTENT;

/// What an extent is about; also part of every cell's address, so that no cell passes for one of another kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Blocks of the disk.
    Data,
    /// Blocks that read as zeros from here on.
    Discard,
    /// Pages of the map.
    Page,
    /// Pieces of a checkpoint.
    Checkpoint,
    /// The end of a clean life.
    Close,
}

impl Kind {
    fn code(self) -> u8 {
        match self {
            Kind::Data => 1,
            Kind::Discard => 2,
            Kind::Page => 3,
            Kind::Checkpoint => 4,
            Kind::Close => 5,
        }
    }

    fn from_code(code: u8) -> Option<Self> {
        [
            Kind::Data,
            Kind::Discard,
            Kind::Page,
            Kind::Checkpoint,
            Kind::Close,
        ]
        .into_iter()
        .find(|kind| kind.code() == code)
    }

    /// Whether an extent of this kind has a cell for each address.
    pub(crate) fn has_cells(self) -> bool {
        !matches!(self, Kind::Discard | Kind::Close)
    }

    /// A cell's whole address: the kind in the top byte.
    pub(crate) fn address(self, number: u64) -> u64 {
        u64::from(self.code()) << 56 | number
    }
}

/// A run of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) kind: Kind,
    pub(crate) first: u64,
    pub(crate) count: u16,
}

/// A record's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordHeader {
    pub(crate) lsn: Lsn,
    pub(crate) durable: Lsn,
    pub(crate) previous: [u8; TAG],
    pub(crate) length: u32,
    pub(crate) extents: Vec<Extent>,
}

impl RecordHeader {
    /// How many cells follow.
    pub(crate) fn cells(&self) -> usize {
        cells_of(&self.extents)
    }

    /// Seals the header for `offset` into the first 512 bytes of `record`; answers its tag.
    pub(crate) fn seal(&self, sealer: &Sealer, offset: u32, record: &mut [u8]) -> Option<[u8; TAG]> {
        let (text, rest) = record.split_at_mut_checked(RECORD_HEADER - TAG)?;
        let place = rest.get_mut(..TAG)?;
        text.fill(0);
        let mut plain = Vec::with_capacity(text.len());
        plain.extend(self.lsn.0.to_le_bytes());
        plain.extend(self.durable.0.to_le_bytes());
        plain.extend(self.previous);
        plain.extend(u16::try_from(self.cells()).ok()?.to_le_bytes());
        plain.extend(u16::try_from(self.extents.len()).ok()?.to_le_bytes());
        plain.extend(self.length.to_le_bytes());
        for extent in &self.extents {
            let [a, b, c, d, e, ..] = extent.first.to_le_bytes();
            plain.extend([a, b, c, d, e, extent.kind.code()]);
            plain.extend(extent.count.to_le_bytes());
        }
        text.get_mut(..plain.len())?.copy_from_slice(&plain);
        let offset = u64::from(offset);
        let tag = sealer
            .key()
            .seal(Nonce::header(offset), &sealer.additional(offset), text);
        place.copy_from_slice(&tag);
        Some(tag)
    }

    /// Opens the header at `offset`, whose 512 bytes are `sealed` and are overwritten; also answers its tag.
    /// None where it does not verify, or says what no writer of this version says.
    pub(crate) fn open(sealer: &Sealer, offset: u32, sealed: &mut [u8]) -> Option<(Self, [u8; TAG])> {
        let sealed = sealed.get_mut(..RECORD_HEADER)?;
        let tag = *sealed.last_chunk::<TAG>()?;
        let place = u64::from(offset);
        let plain = sealer
            .key()
            .open(Nonce::header(place), &sealer.additional(place), sealed)
            .ok()?;
        Some((Self::parse(plain)?, tag))
    }

    /// Reads the opened text.
    pub(crate) fn parse(plain: &[u8]) -> Option<Self> {
        let mut fields = Fields(plain);
        let lsn = Lsn(fields.u64()?);
        let durable = Lsn(fields.u64()?);
        let previous = fields.bytes()?;
        let cells = usize::from(fields.u16()?);
        let count = usize::from(fields.u16()?);
        let length = fields.u32()?;
        if count > MAX_EXTENTS || cells > MAX_CELLS || durable > lsn {
            return None;
        }
        let mut extents = Vec::with_capacity(count);
        for _ in 0..count {
            let [a, b, c, d, e, kind] = fields.bytes::<6>()?;
            extents.push(Extent {
                kind: Kind::from_code(kind)?,
                first: u64::from_le_bytes([a, b, c, d, e, 0, 0, 0]),
                count: fields.u16()?,
            });
        }
        let whole = fields.rest_is_zero()
            && cells_of(&extents) == cells
            && length as usize >= RECORD_HEADER + cells * CELL
            && length as usize <= crate::geometry::RECORD_BUFFER
            && (length as usize).is_multiple_of(RECORD_HEADER);
        whole.then_some(RecordHeader {
            lsn,
            durable,
            previous,
            length,
            extents,
        })
    }

    /// Every cell: its kind, its number, and its offset in the segment, for a record at `offset`.
    pub(crate) fn places(&self, offset: u32) -> impl Iterator<Item = (Kind, u64, u32)> + '_ {
        let first = offset + RECORD_HEADER as u32;
        self.extents
            .iter()
            .filter(|extent| extent.kind.has_cells())
            .flat_map(|extent| (0..u64::from(extent.count)).map(|n| (extent.kind, extent.first + n)))
            .zip(0_u32..)
            .map(move |((kind, number), index)| (kind, number, first + index * CELL as u32))
    }
}

fn cells_of(extents: &[Extent]) -> usize {
    extents
        .iter()
        .filter(|extent| extent.kind.has_cells())
        .map(|extent| usize::from(extent.count))
        .sum()
}
