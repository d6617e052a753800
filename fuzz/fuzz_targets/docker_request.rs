//! What Docker tells the AuthZ plugin of a client's request: a method, a path and a body, in three parts that lines divide.

#![no_main]

use cofferdam_engine_api::{Request, Wish};
use cofferdam_fuzz::soberly;
use serde_json::Value;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
    let mut text = || parts.next().and_then(|part| std::str::from_utf8(part).ok());
    let (Some(method), Some(uri)) = (text(), text()) else {
        return;
    };
    let body = parts.next().unwrap_or_default();
    let request = Request { method, uri, body };
    let wishes = soberly(request.wishes());
    // By another hand: the plainest form of the request that matters most.
    let is_plain = |uri: &str| matches!(uri, "/containers/create" | "/v1.41/containers/create");
    if method != "POST" || !is_plain(uri) {
        return;
    }
    let Ok(value) = serde_json::from_slice::<Value>(body) else {
        return;
    };
    let Some(wishes) = wishes else {
        return;
    };
    let host = &value["HostConfig"];
    if let Some(runtime) = host["Runtime"].as_str().filter(|runtime| !runtime.is_empty()) {
        assert!(
            wishes.contains(&Wish::Runtime(runtime.to_owned())),
            "another runtime passes"
        );
    }
    for bind in host["Binds"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        let source = bind.split(':').next().unwrap_or_default();
        if source.starts_with('/') && bind.contains(':') {
            let names = |wish: &Wish| matches!(wish, Wish::HostPath { .. });
            assert!(wishes.iter().any(names), "a bound path passes");
        }
    }
    for mount in host["Mounts"].as_array().into_iter().flatten() {
        if mount["Type"].as_str() == Some("bind")
            && mount["Source"].as_str().is_some_and(|at| at.starts_with('/'))
        {
            let names = |wish: &Wish| matches!(wish, Wish::HostPath { .. });
            assert!(wishes.iter().any(names), "a bound path passes");
        }
    }
});
