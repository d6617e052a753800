//! Nonces by place: under one key, each place in a segment is sealed at most once.

/// A nonce of 96 bits: what is sealed (one byte), three zero bytes, its offset in the segment (8 bytes,
/// little endian). It cannot be copied, so that one made is one used.
///
/// INVARIANT (the caller's): under one [`SegmentKey`](crate::SegmentKey) nothing else is ever sealed at the
/// same place. Segment keys are derived from a fresh salt, so a segment that is written anew has a new key.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Nonce(pub(crate) [u8; 12]);

impl Nonce {
    /// For the header of the record at `offset`, in bytes from the segment's start.
    pub fn header(offset: u64) -> Nonce {
        Self::of(1, offset)
    }

    /// For the cell at `offset`, in bytes from the segment's start.
    pub fn cell(offset: u64) -> Nonce {
        Self::of(0, offset)
    }

    fn of(kind: u8, offset: u64) -> Nonce {
        let [a, b, c, d, e, f, g, h] = offset.to_le_bytes();
        Nonce([kind, 0, 0, 0, a, b, c, d, e, f, g, h])
    }
}
