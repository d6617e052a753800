//! Sizes, addresses and places: the units in which everything else speaks.
//!
//! A *block* is 4096 bytes of the disk as its user sees it. On the store it is a *cell*: the block's ciphertext
//! and its tag. Cells lie in *records*, records in *segments*.

use std::fmt;

/// Bytes in a block.
pub const BLOCK: usize = 4096;

/// Bytes in an authentication tag (AES-256-GCM, NIST SP 800-38D).
pub const TAG: usize = 16;

/// Bytes in a cell: a block's ciphertext, then its tag.
pub const CELL: usize = BLOCK + TAG;

/// Bytes of a sealed record header, tag included.
pub const RECORD_HEADER: usize = 512;

/// The most cells in one record: with its header it stays below 1 MiB.
pub const MAX_CELLS: usize = 248;

/// Bytes of the largest record, rounded up to the largest alignment.
pub const RECORD_BUFFER: usize = 1 << 20;

/// The most bytes in a segment: a place has 21 bits for 16-byte units.
pub const MAX_SEGMENT: u32 = 32 << 20;

/// The fewest bytes in a segment.
pub const MIN_SEGMENT: u32 = 64 << 10;

/// The most slots in a segment table: a place has 19 bits for them.
pub const MAX_SLOTS: u32 = 1 << 19;

/// The most blocks of a volume: an extent has 40 bits for an address.
pub const MAX_BLOCKS: u64 = 1 << 40;

/// The unit in which a place counts, in bytes.
const UNIT: u32 = 16;

/// The index of a slot in the segment table. Slots are used again; a segment's name never is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u32);

/// A segment's name: the epoch in which it was written, and its number in the volume's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentName {
    /// The epoch of its writer.
    pub epoch: u64,
    /// Its number; counts up over all epochs.
    pub sequence: u64,
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}-{:012x}", self.epoch, self.sequence)
    }
}

impl SegmentName {
    /// Reads what [`fmt::Display`] wrote; none for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (epoch, sequence) = text.split_once('-')?;
        let name = SegmentName {
            epoch: u64::from_str_radix(epoch, 16).ok()?,
            sequence: u64::from_str_radix(sequence, 16).ok()?,
        };
        (name.to_string() == text).then_some(name)
    }
}

/// Where a cell lies: slot and byte offset, in 40 bits. Zero is nowhere (a segment begins with its header).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Place(u64);

impl Place {
    /// No cell: the block reads as zeros.
    pub const NOWHERE: Place = Place(0);

    /// Bytes of a stored place.
    pub const BYTES: usize = 5;

    /// The cell at `offset` bytes in the segment in `slot`; the offset is a multiple of 16 below 32 MiB.
    pub fn new(slot: Slot, offset: u32) -> Self {
        debug_assert!(offset.is_multiple_of(UNIT) && offset < MAX_SEGMENT && slot.0 < MAX_SLOTS);
        Place(u64::from(slot.0) << 21 | u64::from(offset / UNIT))
    }

    /// Whether there is no cell.
    pub fn is_nowhere(self) -> bool {
        self.0 == 0
    }

    /// The slot.
    pub fn slot(self) -> Slot {
        Slot(u32::try_from(self.0 >> 21).unwrap_or(u32::MAX))
    }

    /// The offset in bytes.
    pub fn offset(self) -> u32 {
        u32::try_from(self.0 & ((1 << 21) - 1)).unwrap_or(0) * UNIT
    }

    /// Reads five bytes, little-endian.
    pub fn from_bytes(bytes: [u8; Place::BYTES]) -> Self {
        let mut wide = [0; 8];
        let (low, _) = wide.split_at_mut(Place::BYTES);
        low.copy_from_slice(&bytes);
        Place(u64::from_le_bytes(wide))
    }

    /// The five bytes that are stored.
    pub fn to_bytes(self) -> [u8; Place::BYTES] {
        let [a, b, c, d, e, ..] = self.0.to_le_bytes();
        [a, b, c, d, e]
    }
}

/// A number in the order of the log: every record has the next one, over the volume's whole life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The next one.
    #[must_use]
    pub fn next(self) -> Lsn {
        Lsn(self.0.saturating_add(1))
    }
}

/// What may be chosen when a volume is made, and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Size of the disk in blocks.
    pub blocks: u64,
    /// Bytes in a segment: a multiple of `align`.
    pub segment: u32,
    /// What offsets and lengths of records are multiples of: 512 to 4096, a power of two.
    pub align: u32,
}

impl Geometry {
    /// For a disk of so many blocks on a store with this alignment.
    pub fn for_size(blocks: u64, align: u32) -> Option<Self> {
        let bytes = blocks.checked_mul(BLOCK as u64)?;
        let segment = (bytes / 256)
            .next_power_of_two()
            .clamp(1 << 20, u64::from(MAX_SEGMENT));
        Self::new(blocks, u32::try_from(segment).ok()?, align)
    }

    /// Checked: none where a value is out of its range.
    pub fn new(blocks: u64, segment: u32, align: u32) -> Option<Self> {
        let fits = (1..=MAX_BLOCKS).contains(&blocks)
            && (MIN_SEGMENT..=MAX_SEGMENT).contains(&segment)
            && align.is_power_of_two()
            && (512..=4096).contains(&align)
            && segment.is_multiple_of(4096);
        let geometry = Geometry {
            blocks,
            segment,
            align,
        };
        (fits && geometry.slots() <= MAX_SLOTS).then_some(geometry)
    }

    /// `length` rounded up to the alignment.
    pub fn aligned(self, length: u32) -> u32 {
        length.next_multiple_of(self.align)
    }

    /// How many cells a record at `offset` may have at most.
    pub fn room_at(self, offset: u32) -> usize {
        let left = self.segment.saturating_sub(offset) as usize;
        (left.saturating_sub(RECORD_HEADER) / CELL).min(MAX_CELLS)
    }

    /// How many cells a segment holds at most.
    pub fn cells(self) -> u32 {
        (self.segment - self.align) / CELL as u32
    }

    /// The most segments that a volume of this size may ever have at once.
    pub fn slots(self) -> u32 {
        let full = self.blocks.div_ceil(u64::from(self.cells().max(1)));
        u32::try_from(full + full / 2 + 16).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_survive_their_five_bytes() {
        for (slot, offset) in [(0, 512), (1, 0), (77, 4624), (MAX_SLOTS - 1, MAX_SEGMENT - 16)] {
            let place = Place::new(Slot(slot), offset);
            let again = Place::from_bytes(place.to_bytes());
            assert_eq!((again.slot(), again.offset()), (Slot(slot), offset));
            assert!(!again.is_nowhere());
        }
    }

    #[test]
    fn only_one_spelling_of_a_name_is_a_name() {
        let name = SegmentName {
            epoch: 3,
            sequence: 0x1_0000,
        };
        assert_eq!(SegmentName::parse(&name.to_string()), Some(name));
        for other in [
            "",
            "3-10000",
            "00000003-000000010000 ",
            "0000000g-000000010000",
            "+0000003-000000010000",
        ] {
            assert_eq!(SegmentName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn segments_grow_with_the_volume() {
        let of = |mib: u64| Geometry::for_size(mib << 8, 512).unwrap().segment;
        assert_eq!((of(16), of(1024), of(10 << 10)), (1 << 20, 4 << 20, 32 << 20));
        assert_eq!(Geometry::new(0, 1 << 20, 512), None);
        assert_eq!(Geometry::new(1, 1 << 20, 513), None);
        assert_eq!(Geometry::new(1, 64 << 20, 512), None);
    }
}
