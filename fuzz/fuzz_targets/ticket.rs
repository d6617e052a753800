//! Tickets, which whoever starts a container chooses.

#![no_main]

use cofferdam_deed::SignedTicket;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(ticket) = SignedTicket::parse(text) {
        assert_eq!(ticket.text(), text);
        if let Ok(claims) = ticket.claims() {
            assert_eq!(*claims.app.tenant(), claims.tenant);
        }
    }
});
