//! What is sealed opens at its place, and nothing else does.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that fails ends"
)]

use cofferdam_vault::{Forged, Nonce, SegmentKey, Suite, VolumeKey};
use proptest::prelude::*;

/// Where and under which key something is sealed: everything that opening depends on, but for the bytes.
#[derive(Debug, Clone)]
struct Place {
    key: [u8; 32],
    salt: [u8; 32],
    volume: [u8; 16],
    epoch: u64,
    sequence: u64,
    header: bool,
    offset: u64,
}

impl Place {
    const BITS: usize = 8 * (32 + 32 + 16 + 8 + 8 + 8) + 1;

    fn segment(&self) -> SegmentKey {
        let key = VolumeKey::take(&mut self.key.clone()).unwrap();
        key.segment(
            Suite::Aes256Gcm,
            &self.salt,
            &self.volume,
            self.epoch,
            self.sequence,
        )
        .unwrap()
    }

    fn nonce(&self) -> Nonce {
        if self.header {
            Nonce::header(self.offset)
        } else {
            Nonce::cell(self.offset)
        }
    }

    /// The place that differs in the bit.
    fn flipped(&self, bit: usize) -> Place {
        let mut place = self.clone();
        match bit {
            0..256 => flip(&mut place.key, bit),
            256..512 => flip(&mut place.salt, bit - 256),
            512..640 => flip(&mut place.volume, bit - 512),
            640..704 => place.epoch ^= 1 << (bit - 640),
            704..768 => place.sequence ^= 1 << (bit - 704),
            768..832 => place.offset ^= 1 << (bit - 768),
            _ => place.header = !place.header,
        }
        place
    }

    fn seal(&self, aad: &[u8], plain: &[u8]) -> Vec<u8> {
        let mut cell = vec![0; plain.len() + 16];
        self.segment().seal_cell(self.nonce(), aad, plain, &mut cell);
        cell
    }

    /// Refused, and nothing of the plaintext is handed out.
    fn refuses(&self, aad: &[u8], cell: &[u8]) {
        let mut buffer = cell.to_vec();
        assert_eq!(self.segment().open(self.nonce(), aad, &mut buffer), Err(Forged));
        assert!(buffer.iter().all(|byte| *byte == 0));
        let mut buffer = [&[0x55; 48], cell].concat();
        assert_eq!(
            self.segment().open_within(self.nonce(), aad, &mut buffer, 48),
            Err(Forged)
        );
        assert!(buffer.iter().all(|byte| *byte == 0));
    }
}

fn flip(bytes: &mut [u8], bit: usize) {
    bytes[bit / 8] ^= 1 << (bit % 8);
}

fn places() -> impl Strategy<Value = Place> {
    let keys = (any::<[u8; 32]>(), any::<[u8; 32]>(), any::<[u8; 16]>());
    (keys, any::<(u64, u64, bool, u64)>()).prop_map(
        |((key, salt, volume), (epoch, sequence, header, offset))| Place {
            key,
            salt,
            volume,
            epoch,
            sequence,
            header,
            offset,
        },
    )
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..=most)
}

proptest! {
    #[test]
    fn what_is_sealed_opens(place in places(), aad in bytes(80), plain in bytes(5000), start in 0usize..700) {
        let cell = place.seal(&aad, &plain);
        let mut text = plain.clone();
        let tag = place.segment().seal(place.nonce(), &aad, &mut text);
        prop_assert_eq!(&[text.as_slice(), &tag].concat(), &cell);
        let segment = place.segment();
        let mut in_place = cell.clone();
        prop_assert_eq!(segment.open(place.nonce(), &aad, &mut in_place).unwrap(), &plain);
        let mut buffer = vec![0x55; start];
        buffer.extend(&cell);
        prop_assert_eq!(segment.open_within(place.nonce(), &aad, &mut buffer, start).unwrap(), &plain);
        prop_assert_eq!(&buffer[..plain.len()], &plain);
    }

    #[test]
    fn another_place_or_key_refuses(place in places(), aad in bytes(80), plain in bytes(200), bit in 0..Place::BITS) {
        let cell = place.seal(&aad, &plain);
        place.flipped(bit).refuses(&aad, &cell);
    }

    #[test]
    fn a_block_with_a_flipped_bit_is_refused(place in places(), bit in 0usize..4112 * 8) {
        let mut cell = place.seal(b"block", &[0x42; 4096]);
        flip(&mut cell, bit);
        place.refuses(b"block", &cell);
    }

    #[test]
    fn other_lengths_are_refused(place in places(), aad in bytes(80), plain in bytes(200), cut in 1usize..64) {
        let cell = place.seal(&aad, &plain);
        place.refuses(&aad, &cell[..cell.len().saturating_sub(cut)]);
        place.refuses(&aad, &cell[cut.min(cell.len())..]);
        place.refuses(&aad, &[cell.as_slice(), &vec![0; cut]].concat());
        place.refuses(&[aad.as_slice(), &vec![0; cut]].concat(), &cell);
    }

    #[test]
    fn nonces_differ_where_places_do(one in any::<u64>(), other in any::<u64>()) {
        prop_assert_ne!(Nonce::header(one), Nonce::cell(other));
        prop_assert_eq!(Nonce::cell(one) == Nonce::cell(other), one == other);
        prop_assert_eq!(Nonce::header(one) == Nonce::header(other), one == other);
    }

    #[test]
    fn a_head_is_bound_to_its_key_volume_and_bytes(
        mut key in any::<[u8; 32]>(), mut volume in any::<[u8; 16]>(), head in bytes(200), bit in any::<prop::sample::Index>(),
    ) {
        let tag = VolumeKey::take(&mut key.clone()).unwrap().head(&volume).unwrap().tag(&head);
        let mut parts = [&key[..], &volume, &tag, &head].concat();
        flip(&mut parts, bit.index(80 * 8 + head.len() * 8));
        key.copy_from_slice(&parts[..32]);
        volume.copy_from_slice(&parts[32..48]);
        let forged = VolumeKey::take(&mut key).unwrap().head(&volume).unwrap();
        prop_assert_eq!(forged.verify(&parts[80..], parts[48..80].try_into().unwrap()), Err(Forged));
    }
}

#[test]
fn every_single_bit_counts() {
    let place = Place {
        key: [1; 32],
        salt: [2; 32],
        volume: [3; 16],
        epoch: 4,
        sequence: 5,
        header: false,
        offset: 512,
    };
    let (aad, plain) = ([0x61; 33], [0x70; 48]);
    let cell = place.seal(&aad, &plain);
    for bit in 0..cell.len() * 8 {
        let mut cell = cell.clone();
        flip(&mut cell, bit);
        place.refuses(&aad, &cell);
    }
    for bit in 0..aad.len() * 8 {
        let mut aad = aad;
        flip(&mut aad, bit);
        place.refuses(&aad, &cell);
    }
    for bit in 0..Place::BITS {
        place.flipped(bit).refuses(&aad, &cell);
    }
}

#[test]
fn there_is_no_cell_without_room_for_a_tag() {
    let segment = VolumeKey::generate()
        .unwrap()
        .segment(Suite::Aes256Gcm, &[0; 32], &[0; 16], 0, 0)
        .unwrap();
    for (length, start) in [(0, 0), (15, 0), (16, 1), (100, 85), (100, 101), (100, usize::MAX)] {
        let mut buffer = vec![0x55; length];
        assert_eq!(
            segment.open_within(Nonce::cell(0), b"", &mut buffer, start),
            Err(Forged)
        );
        assert_eq!(buffer, vec![0; length]);
    }
}

#[test]
#[should_panic(expected = "")]
fn a_cell_of_the_wrong_size_is_a_bug() {
    let segment = VolumeKey::generate()
        .unwrap()
        .segment(Suite::Aes256Gcm, &[0; 32], &[0; 16], 0, 0)
        .unwrap();
    segment.seal_cell(Nonce::cell(0), b"", &[0; 4096], &mut [0; 4113]);
}
