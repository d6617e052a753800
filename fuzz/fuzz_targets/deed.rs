//! Deeds out of a store that somebody else has written to, and drafts out of a daemon that lies. What is taken for a deed must be
//! the very bytes that were signed: nobody can sign here, so nothing but a kept deed may verify.

#![no_main]

use cofferdam_deed::{Deed, Draft, Envelope, Expected, open};
use cofferdam_model::VolumeId;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(claims) = Envelope::<Deed>::parse(bytes).and_then(|envelope| envelope.claims()) {
        let expected = Expected {
            volume: &claims.volume,
            tenant_key: None,
            seen: None,
        };
        if let Ok(signed) = open(bytes, &expected) {
            assert_eq!(signed.volume(), &claims.volume);
            assert_eq!(signed.bytes(), bytes);
        }
    }
    let other = Expected {
        volume: &VolumeId::from_bits(7),
        tenant_key: None,
        seen: None,
    };
    assert!(open(bytes, &other).is_err(), "a deed of no such volume");
    if let Ok(draft) = Draft::parse(bytes) {
        assert_eq!(draft.bytes(), bytes, "what is shown is what is signed");
    }
});
