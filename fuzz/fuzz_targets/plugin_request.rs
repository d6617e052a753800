//! What Docker asks of the volume plugin.

#![no_main]

use cofferdam_fuzz::soberly;
use cofferdam_model::{VolumeName, plugin::Asked};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some(asked) = soberly(Asked::parse(bytes)) else {
        return;
    };
    let name = soberly(asked.volume());
    let Some(new) = soberly(asked.new_volume()) else {
        return;
    };
    assert_eq!(name.as_ref(), Some(&new.name));
    // One path component, without a word of Docker's or the shell's in it.
    let text = new.name.to_string();
    assert!(
        text.bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte))
    );
    assert_eq!(text.matches('.').count(), 1);
    assert_eq!(text.parse::<VolumeName>(), Ok(new.name.clone()));
    assert_eq!(asked.told().count() > 0, asked.has_options());
    if let Some(size) = new.size {
        assert_eq!(size.to_string().parse(), Ok(size));
    }
    let written = serde_json::to_vec(&new).expect("it can be written");
    assert_eq!(
        serde_json::from_slice::<cofferdam_model::api::NewVolume>(&written).ok(),
        Some(new)
    );
});
