//! Packets between the wrapper and the daemon.

#![no_main]

use cofferdam_fuzz::{sober, soberly};
use cofferdam_model::json;
use cofferdam_model::wire::{Reply, Request, Verb};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some(request) = soberly(json::read::<Request>("the question", bytes)) {
        let id = request.container.as_str();
        assert!(
            !id.is_empty() && !id.contains(['/', '\0']) && id != "." && id != "..",
            "one path component"
        );
        if let Verb::Open { sources, .. } = &request.verb {
            // Every entry takes two bytes at least.
            assert!(sources.len() <= bytes.len());
        }
        let written = serde_json::to_vec(&request).expect("it can be written");
        assert_eq!(json::read("the question", &written), Ok(request));
    }
    match json::read::<Reply>("the answer", bytes) {
        Ok(reply) => {
            let written = serde_json::to_vec(&reply).expect("it can be written");
            assert_eq!(json::read("the answer", &written), Ok(reply));
        }
        Err(problem) => sober(&problem),
    }
});
