//! A segment's key together with what it binds everything to.

use crate::geometry::{CELL, SegmentName};
use cofferdam_vault::{Forged, Nonce, SegmentKey, Suite, VolumeKey};
use std::io;

/// Seals and opens what lies in one segment.
#[derive(Debug)]
pub(crate) struct Sealer {
    key: SegmentKey,
    volume: [u8; 16],
    name: SegmentName,
}

impl Sealer {
    /// The key of one segment.
    pub(crate) fn new(
        key: &VolumeKey,
        suite: Suite,
        salt: &[u8; 32],
        volume: [u8; 16],
        name: SegmentName,
    ) -> io::Result<Self> {
        Ok(Sealer {
            key: key.segment(suite, salt, &volume, name.epoch, name.sequence)?,
            volume,
            name,
        })
    }

    /// The segment that this seals.
    pub(crate) fn name(&self) -> SegmentName {
        self.name
    }

    pub(crate) fn key(&self) -> &SegmentKey {
        &self.key
    }

    /// Additional data: volume id ‖ epoch ‖ sequence ‖ address.
    pub(crate) fn additional(&self, address: u64) -> [u8; 40] {
        let mut bytes = [0; 40];
        let parts: [&[u8]; 4] = [
            &self.volume,
            &self.name.epoch.to_le_bytes(),
            &self.name.sequence.to_le_bytes(),
            &address.to_le_bytes(),
        ];
        for (to, from) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        bytes
    }

    /// Seals a block into the cell that will lie at `offset`.
    pub(crate) fn seal_cell(&self, offset: u32, address: u64, block: &[u8], cell: &mut [u8]) {
        debug_assert_eq!(cell.len(), CELL);
        self.key.seal_cell(
            Nonce::cell(u64::from(offset)),
            &self.additional(address),
            block,
            cell,
        );
    }

    /// Opens the cell from `offset` that begins at `start` in `buffer`, and moves the block to the buffer's front.
    ///
    /// # Errors
    /// [`Forged`] where it is not what was sealed for this address at this offset.
    pub(crate) fn open_cell(
        &self,
        offset: u32,
        address: u64,
        buffer: &mut [u8],
        start: usize,
    ) -> Result<(), Forged> {
        let additional = self.additional(address);
        self.key
            .open_within(Nonce::cell(u64::from(offset)), &additional, buffer, start)?;
        Ok(())
    }
}
