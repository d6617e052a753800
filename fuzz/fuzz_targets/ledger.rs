//! Exported ledgers, verified elsewhere, with the key of the kept one: nobody can sign here, so whatever verifies begins as that does.

#![no_main]

use cofferdam_ledger::{VerifierKey, verify};

const KEPT: &[u8] = include_bytes!("../../crates/ledger/tests/golden/ledger.log");
const KEY: &str = include_str!("../../crates/ledger/tests/golden/verifier-key.txt");

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(key) = KEY.trim().parse::<VerifierKey>() else {
        panic!("the kept key");
    };
    if let Ok(verified) = verify(bytes, &key, None, &mut |_| {}) {
        assert!(
            verified.records == 0 || KEPT.starts_with(bytes),
            "a ledger that nobody signed"
        );
    }
});
