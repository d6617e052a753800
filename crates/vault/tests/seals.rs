//! What the users of this crate rely on.

use cofferdam_vault::{Forged, Nonce, Suite, VolumeKey};
use std::io;

fn key() -> VolumeKey {
    VolumeKey::take(&mut std::array::from_fn(|index| index as u8)).unwrap()
}

#[test]
fn a_cell_opens_where_it_was_sealed() {
    let segment = key().segment(Suite::Aes256Gcm, &[7; 32], &[9; 16], 1, 2).unwrap();
    let plain = [0x42; 4096];
    let mut cell = [0; 4112];
    segment.seal_cell(Nonce::cell(512), b"aad", &plain, &mut cell);
    assert_ne!(cell[..4096], plain);
    assert_eq!(
        segment.open(Nonce::cell(512), b"aad", &mut cell.clone()).unwrap(),
        plain
    );
    let mut buffer = vec![1; 512];
    buffer.extend(cell);
    assert_eq!(
        segment
            .open_within(Nonce::cell(512), b"aad", &mut buffer, 512)
            .unwrap(),
        plain
    );
    assert_eq!(segment.open(Nonce::header(512), b"aad", &mut cell), Err(Forged));
    assert_eq!(cell, [0; 4112]);
}

#[test]
fn a_key_is_exactly_32_bytes() {
    for length in [0, 31, 33] {
        let error = VolumeKey::read(vec![1; length].as_slice()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{length}");
    }
    let mut out = Vec::new();
    VolumeKey::read([5; 32].as_slice())
        .unwrap()
        .write(&mut out)
        .unwrap();
    assert_eq!(out, [5; 32]);
}
