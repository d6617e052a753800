//! See `cofferdam_disk_sim::targets`.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| cofferdam_disk_sim::targets::run("store", bytes));
