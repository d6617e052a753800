//! Doors for those who judge this crate (the simulator, the fuzz targets), behind the feature `judge`: every parser of
//! bytes from a store, called as the engine calls it. Nothing else may use them.

use crate::{
    format::{
        Witness, checkpoint::Checkpoint, head::Head, page::Page, record::RecordHeader,
        segment_header::SegmentHeader,
    },
    geometry::{BLOCK, Geometry, MAX_CELLS, MAX_SEGMENT, Place},
    keys::Keys,
};
use cofferdam_vault::VolumeKey;

/// Parses a segment's header without and with a key; whether it was genuine.
///
/// # Panics
/// Where it is genuine and does not say what it said.
pub fn segment_header(bytes: &[u8], key: &VolumeKey) -> bool {
    let Ok(Some((header, sealer))) = SegmentHeader::decode(bytes, key) else {
        return false;
    };
    let again = header.encode(&sealer);
    assert!(
        again.iter().zip(bytes).take(96).all(|(a, b)| a == b),
        "{header:?}"
    );
    true
}

/// Parses the opened text of a record's header; whether it is one.
///
/// # Panics
/// Where what was read is out of bounds.
pub fn record_header(text: &[u8]) -> bool {
    let Some(header) = RecordHeader::parse(text) else {
        return false;
    };
    let cells = header.cells();
    assert!(cells <= MAX_CELLS && header.durable <= header.lsn);
    let last = MAX_SEGMENT - header.length;
    let mut seen = 0;
    for (kind, number, offset) in header.places(last - last % 512) {
        assert!(kind.has_cells() && number < 1 << 41 && offset < MAX_SEGMENT);
        seen += 1;
    }
    assert_eq!(seen, cells);
    true
}

/// Parses a head without a key, and verifies it with one; whether it was genuine.
///
/// # Panics
/// Where it is genuine and does not say what it said.
pub fn head(bytes: &[u8], keys: &Keys) -> bool {
    if let Ok((head, _)) = Head::parse(bytes) {
        let geometry = head.geometry;
        assert_eq!(
            Geometry::new(geometry.blocks, geometry.segment, geometry.align),
            Some(geometry)
        );
    }
    let Ok((head, ring)) = Head::decode(bytes, keys) else {
        return false;
    };
    assert_eq!(head.encode(&ring).ok().as_deref(), Some(bytes));
    true
}

/// Parses a checkpoint; whether it is one.
///
/// # Panics
/// Where it does not say what it said.
pub fn checkpoint(bytes: &[u8], geometry: Geometry) -> bool {
    let Some(checkpoint) = Checkpoint::decode(bytes, geometry) else {
        return false;
    };
    assert_eq!(checkpoint.encode(), bytes);
    true
}

/// Parses a page of the map; whether it is one.
///
/// # Panics
/// Where an entry is out of bounds.
pub fn page(bytes: &[u8]) -> bool {
    let Some(page) = Page::from_bytes(bytes) else {
        return false;
    };
    for entry in 0..BLOCK {
        let place = page.get(entry);
        assert_eq!(Place::from_bytes(place.to_bytes()), place);
        assert!(place.offset() < MAX_SEGMENT);
    }
    true
}

/// Parses a witness; whether it is one.
///
/// # Panics
/// Where it does not say what it said.
pub fn witness(line: &str) -> bool {
    let Some(witness) = Witness::parse(line) else {
        return false;
    };
    assert_eq!(Witness::parse(&witness.to_string()), Some(witness));
    true
}
