//! What others published to judge implementations by, held against the very functions that production uses.

mod hostile;

use crate::derive::hkdf;
use crate::{Forged, HeadKey, Nonce, SegmentKey, Suite};

/// Bytes from their hexadecimal form.
fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn segment_key(raw: &[u8]) -> SegmentKey {
    SegmentKey::derive(Suite::Aes256Gcm, |key| key.copy_from_slice(raw)).unwrap()
}

fn nonce(raw: &[u8]) -> Nonce {
    Nonce(raw.try_into().unwrap())
}

/// McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)", test cases 13 to 16. Cases 17 and 18 have
/// nonces of other lengths than 96 bits, which [`Nonce`] cannot hold.
#[test]
fn gcm_test_cases_13_to_16() {
    let key = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
    let plain = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
                 1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255";
    let cipher = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
                  8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad";
    let (zero_key, zero_nonce) = ("00".repeat(32), "00".repeat(12));
    let cases = [
        // key, nonce, additional data, plaintext, ciphertext, tag
        [
            zero_key.as_str(),
            &zero_nonce,
            "",
            "",
            "",
            "530f8afbc74536b9a963b4f1c4cb738b",
        ],
        [
            &zero_key,
            &zero_nonce,
            "",
            "00000000000000000000000000000000",
            "cea7403d4d606b6e074ec5d3baf39d18",
            "d0d1c8a799996bf0265b98b5d48ab919",
        ],
        [
            key,
            "cafebabefacedbaddecaf888",
            "",
            plain,
            cipher,
            "b094dac5d93471bdec1a502270e3cc6c",
        ],
        [
            key,
            "cafebabefacedbaddecaf888",
            "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            &plain[..120],
            &cipher[..120],
            "76fc6ece0f4e1768cddf8853bb2d551b",
        ],
    ];
    for case in cases {
        let [key, at, aad, plain, cipher, tag] = case.map(hex);
        let key = segment_key(&key);
        let mut text = plain.clone();
        assert_eq!(key.seal(nonce(&at), &aad, &mut text), tag[..]);
        assert_eq!(text, cipher);
        let mut cell = vec![0; plain.len() + 16];
        key.seal_cell(nonce(&at), &aad, &plain, &mut cell);
        assert_eq!(cell, [cipher, tag].concat());
        assert_eq!(key.open(nonce(&at), &aad, &mut cell), Ok(&mut plain.clone()[..]));
    }
}

/// RFC 5869, appendix A.1 to A.3.
#[test]
fn hkdf_sha_256_cases_1_to_3() {
    let range = |from: u8, to: u8| (from..=to).collect::<Vec<u8>>();
    let cases = [
        (
            vec![0x0b; 22],
            range(0, 0x0c),
            range(0xf0, 0xf9),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            range(0, 0x4f),
            range(0x60, 0xaf),
            range(0xb0, 0xff),
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c\
             59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71\
             cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ),
        (
            vec![0x0b; 22],
            vec![],
            vec![],
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        ),
    ];
    for (secret, salt, info, expected) in cases {
        let expected = hex(expected);
        let mut out = vec![0; expected.len()];
        // In two parts, for that is how it is used.
        let (front, back) = info.split_at(info.len() / 2);
        hkdf(&secret, &salt, &[front, back], &mut out);
        assert_eq!(out, expected);
    }
}

/// RFC 4231, sections 4.2 to 4.8.
#[test]
fn hmac_sha_256_cases_1_to_7() {
    fn case<const N: usize>(raw: [u8; N], data: &[u8], expected: &str) {
        let key = HeadKey::derive(|key: &mut [u8; N]| *key = raw).unwrap();
        let (mut tag, expected) = (key.tag(data), hex(expected));
        // The fifth case gives the first 128 bits only.
        assert_eq!(tag[..expected.len()], expected);
        assert_eq!(key.verify(data, &tag), Ok(()));
        tag[31] ^= 1;
        assert_eq!(key.verify(data, &tag), Err(Forged));
    }
    let counting: [u8; 25] = std::array::from_fn(|index| 1 + u8::try_from(index).unwrap());
    case(
        [0x0b; 20],
        b"Hi There",
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
    );
    case(
        *b"Jefe",
        b"what do ya want for nothing?",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    );
    case(
        [0xaa; 20],
        &[0xdd; 50],
        "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
    );
    case(
        counting,
        &[0xcd; 50],
        "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
    );
    case(
        [0x0c; 20],
        b"Test With Truncation",
        "a3b6167473100ee06e0c796c2955552b",
    );
    case(
        [0xaa; 131],
        b"Test Using Larger Than Block-Size Key - Hash Key First",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    );
    case(
        [0xaa; 131],
        b"This is a test using a larger than block-size key and a larger than block-size data. The key \
          needs to be hashed before being used by the HMAC algorithm.",
        "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
    );
}
