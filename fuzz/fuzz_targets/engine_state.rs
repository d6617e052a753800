//! Docker's state files. Whatever is in them, a measurement names only an image whose config has the digest that it names, and layers
//! that follow from that. See `cofferdam_fuzz::engine` for what an input is.

#![no_main]

use cofferdam_fuzz::{engine::Host, sober};
use std::cell::OnceCell;

thread_local! {
    static HOST: OnceCell<Host> = const { OnceCell::new() };
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(input) = std::str::from_utf8(bytes) else {
        return;
    };
    HOST.with(|host| {
        if let Some(Err(problem)) = host.get_or_init(Host::default).measure(input) {
            sober(&problem);
        }
    });
});
