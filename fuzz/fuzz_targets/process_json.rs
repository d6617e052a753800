//! A process that is added to a container, as the wrapper and the daemon read it and the real runtime reads it again.

#![no_main]

use cofferdam_fuzz::{naive, soberly};
use cofferdam_model::ExecProcess;
use serde_json::Value;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some(process) = soberly(ExecProcess::parse(bytes)) else {
        return;
    };
    assert!(!naive::is_ambiguous(bytes));
    let raw: Value = serde_json::from_slice(bytes).expect("it was read");
    let texts = |value: &Value| -> Vec<String> {
        value
            .as_array()
            .into_iter()
            .flatten()
            .map(|text| text.as_str().expect("a text").to_owned())
            .collect()
    };
    assert_eq!(
        (process.args, process.env),
        (texts(&raw["args"]), texts(&raw["env"]))
    );
    assert_eq!(Some(process.cwd.as_str()), raw["cwd"].as_str());
    assert_eq!(Some(u64::from(process.owner.uid)), raw["user"]["uid"].as_u64());
    assert_eq!(Some(u64::from(process.owner.gid)), raw["user"]["gid"].as_u64());
    assert_eq!(process.terminal, raw["terminal"].as_bool().unwrap_or(false));
    // No capability that is named anywhere gets lost, however it is written.
    for name in raw["capabilities"]
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(_, names)| texts(names))
    {
        let bare = name.to_ascii_uppercase();
        let bare = bare.strip_prefix("CAP_").unwrap_or(&bare);
        assert!(
            process
                .capabilities
                .iter()
                .any(|held| bare.ends_with(held.as_str())),
            "{name}"
        );
    }
    // Whatever the case of its letters, no key but the ones that were read has a say.
    for known in ["args", "env", "cwd", "user", "terminal", "capabilities"] {
        let alike = raw
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(key, _)| key.eq_ignore_ascii_case(known));
        assert!(alike.map(|(key, _)| key).all(|key| key == known));
    }
});
