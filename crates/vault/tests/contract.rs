//! What lies on stores for years: fixed inputs give these bytes, for ever. The expected ones were computed
//! outside this workspace, with Python's `hmac` and `cryptography`, from what the documentation says.
#![expect(clippy::unwrap_used, reason = "a test that fails ends")]

use cofferdam_vault::{Nonce, SegmentKey, Suite, VolumeKey};

const VOLUME: [u8; 16] = counting(128);
const OFFSET: u64 = 0x0807_0605_0403_0201;

const fn counting<const N: usize>(from: u8) -> [u8; N] {
    let mut bytes = [0; N];
    let mut value = from;
    let mut rest: &mut [u8] = &mut bytes;
    while let Some((first, others)) = rest.split_first_mut() {
        *first = value;
        value += 1;
        rest = others;
    }
    bytes
}

fn key() -> VolumeKey {
    VolumeKey::take(&mut counting(0)).unwrap()
}

fn segment() -> SegmentKey {
    let (epoch, sequence) = (0x0102_0304_0506_0708, 0x1112_1314_1516_1718);
    key()
        .segment(Suite::Aes256Gcm, &counting(64), &VOLUME, epoch, sequence)
        .unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// AES-256-GCM under f85bf4ad4a93440001e01e93f1dc06b8adc0992a872c0cd6e25266c3ccb2de0a, with the nonces
/// 000000000102030405060708 and 010000000102030405060708.
#[test]
fn a_segment_seals_to_these_bytes() {
    let mut cell = [0; 27];
    segment().seal_cell(Nonce::cell(OFFSET), b"aad", b"sealed here", &mut cell);
    assert_eq!(
        hex(&cell),
        "e35e9c7cb00550e3dd401b62d3292a9675b514156cb442f9d8a5c3"
    );
    let mut text = *b"sealed here";
    let tag = segment().seal(Nonce::header(OFFSET), b"aad", &mut text);
    assert_eq!(
        hex(&text) + &hex(&tag),
        "60ae09ed4c3d887dc4d62b026e4c72d6209e73c430c61b9bcb47f9"
    );
}

/// HMAC-SHA-256 under aa47b86d8ef08e619f72e74137932eb0c1f8472d1dca572c46e03debc092748a.
#[test]
fn a_head_has_this_tag() {
    assert_eq!(
        hex(&key().head(&VOLUME).unwrap().tag(b"cofferdam")),
        "5d3e0d1754a3079625685e51f6446a9bf0f5f6ba73662b54891692b8a1f1887b"
    );
}

#[test]
fn a_key_has_this_commitment() {
    assert_eq!(
        hex(&key().commitment(&VOLUME)),
        "ab03539ed9ce26149ea98976b6887afecd6ae21503a742e8a7bc10cd2e846beb"
    );
}

#[test]
fn suites_have_these_codes() {
    assert_eq!(Suite::Aes256Gcm.code(), 1);
    for code in 0..=u8::MAX {
        assert_eq!(Suite::from_code(code), (code == 1).then_some(Suite::Aes256Gcm));
    }
}
