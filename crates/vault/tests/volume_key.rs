//! How a volume's key comes and goes.
#![expect(clippy::unwrap_used, reason = "a test that fails ends")]

use cofferdam_vault::{HeadKey, SegmentKey, Suite, VolumeKey};
use std::io::{self, Read};

fn out(key: &VolumeKey) -> Vec<u8> {
    let mut bytes = Vec::new();
    key.write(&mut bytes).unwrap();
    bytes
}

#[test]
fn a_key_is_exactly_32_bytes() {
    for length in [0, 1, 31, 33, 64] {
        let error = VolumeKey::read(vec![1; length].as_slice()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{length}");
        assert!(error.to_string().contains("exactly 32"), "{error}");
    }
    assert_eq!(out(&VolumeKey::read([5; 32].as_slice()).unwrap()), [5; 32]);
}

#[test]
fn a_key_comes_in_pieces_and_with_interruptions() {
    /// One byte at a time, every other call interrupted.
    struct Halting(u32);
    impl Read for Halting {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.0 += 1;
            match (self.0 % 2, into.first_mut()) {
                (1, _) => Err(io::ErrorKind::Interrupted.into()),
                (_, Some(byte)) if self.0 <= 64 => {
                    *byte = u8::try_from(self.0).unwrap();
                    Ok(1)
                }
                _ => Ok(0),
            }
        }
    }
    let expected: Vec<u8> = (1..=32).map(|index| 2 * index).collect();
    assert_eq!(out(&VolumeKey::read(Halting(0)).unwrap()), expected);
}

#[test]
fn a_source_that_fails_says_so() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }
    for source in [&[][..], &[1; 32]] {
        let error = VolumeKey::read(source.chain(Failing)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }
}

#[test]
fn taking_a_key_wipes_where_it_was() {
    let mut bytes = [7; 32];
    assert_eq!(out(&VolumeKey::take(&mut bytes).unwrap()), [7; 32]);
    assert_eq!(bytes, [0; 32]);
}

#[test]
fn generated_keys_differ() {
    let (one, other) = (VolumeKey::generate().unwrap(), VolumeKey::generate().unwrap());
    assert_ne!(out(&one), out(&other));
    // Either half was filled.
    for half in out(&one).chunks(16) {
        assert_ne!(half, [0; 16]);
    }
}

#[test]
fn commitments_tell_keys_and_volumes_apart() {
    let commitment = |key: u8, volume: u8| VolumeKey::take(&mut [key; 32]).unwrap().commitment(&[volume; 16]);
    assert_eq!(commitment(1, 1), commitment(1, 1));
    assert_ne!(commitment(1, 1), commitment(2, 1));
    assert_ne!(commitment(1, 1), commitment(1, 2));
}

#[test]
fn keys_print_nothing() {
    let key = VolumeKey::take(&mut [0x41; 32]).unwrap();
    let segment = key.segment(Suite::Aes256Gcm, &[0; 32], &[0; 16], 1, 1).unwrap();
    let head = key.head(&[0; 16]).unwrap();
    assert_eq!(
        format!("{key:?} {segment:?} {head:?}"),
        "VolumeKey(..) SegmentKey(..) HeadKey(..)"
    );
}

#[test]
fn threads_may_share_keys() {
    fn shared<T: Send + Sync>() {}
    shared::<VolumeKey>();
    shared::<SegmentKey>();
    shared::<HeadKey>();
}
