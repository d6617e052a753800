//! config.json as raw JSON: what every reader reads the same way, and what its mounts bind.
//!
//! It stays raw, so that fields nobody here knows reach the real runtime as they are.

use cofferdam_model::{Problem, Result, json};
use serde_json::Value;

/// The longest config.json, in bytes.
pub(crate) const LENGTH_MAX: usize = 16 << 20;

/// Parses config.json. A document that could not be one, or that the real runtime could read otherwise, is refused here, before
/// anything relies on it.
///
/// # Errors
/// `invalid`, with the place.
pub(crate) fn read(bytes: &[u8]) -> Result<Value> {
    let config: Value = json::read_strictly("config.json", bytes, &json::CONFIG_KEYS)?;
    let is_one = match config.as_object().map(|fields| fields.get("mounts")) {
        Some(None | Some(Value::Null)) => true,
        Some(Some(Value::Array(mounts))) => mounts.iter().all(Value::is_object),
        Some(Some(_)) | None => false,
    };
    if is_one {
        return Ok(config);
    }
    Err(Problem::invalid(
        "config.json is not what the OCI runtime specification describes",
    ))
}

/// Its mounts.
pub(crate) fn mounts(config: &Value) -> &[Value] {
    let mounts = config.get("mounts").and_then(Value::as_array);
    mounts.map(Vec::as_slice).unwrap_or_default()
}

/// One source that is to be opened.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Source<'a> {
    /// Its mount's place in `mounts`.
    pub(crate) index: usize,
    /// Its path: absolute, or from the bundle's directory, as the real runtime takes it.
    pub(crate) path: &'a str,
    /// Whether the real runtime binds it. Else it only has a name that looks like a path.
    pub(crate) binds: bool,
}

/// Every source that is bound, and whatever else has an absolute path for a source, whatever its mount claims to be.
pub(crate) fn sources(config: &Value) -> impl Iterator<Item = Source<'_>> {
    mounts(config).iter().enumerate().filter_map(|(index, mount)| {
        let path = mount.get("source").and_then(Value::as_str).unwrap_or_default();
        let binds = binds(mount);
        (binds || path.starts_with('/')).then_some(Source { index, path, binds })
    })
}

/// Whether the real runtime binds the source: by the mount's type or by one of its options.
pub(crate) fn binds(mount: &Value) -> bool {
    let options = mount.get("options").and_then(Value::as_array);
    let mut options = options.into_iter().flatten().filter_map(Value::as_str);
    mount.get("type").and_then(Value::as_str) == Some("bind")
        || options.any(|option| matches!(option, "bind" | "rbind"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_read_otherwise_is_refused() {
        for text in [
            "",
            "{",
            "[]",
            "7",
            r#"{"mounts":7}"#,
            r#"{"mounts":[7]}"#,
            r#"{"mounts":[],"Mounts":[{"destination":"/","type":"bind","source":"/"}]}"#,
            r#"{"linux":{"namespaces":[]},"LINUX":{}}"#,
            r#"{"mounts":[{"source":"/a","source":"/b"}]}"#,
            r#"{"x":1,"x":2}"#,
        ] {
            assert!(read(text.as_bytes()).is_err(), "{text}");
        }
        assert!(read(br#"{"mounts":null}"#).is_ok());
    }

    #[test]
    fn sources_are_found_whatever_a_mount_claims_to_be() {
        let text = r#"{"mounts":[{"type":"proc","source":"proc"},{"type":"bind","source":"../etc"},{"type":"tmpfs","source":"/x"},
            {"source":"etc","options":["ro","rbind"]},{"type":"bind"}]}"#;
        let config = read(text.as_bytes()).unwrap();
        let found: Vec<_> = sources(&config)
            .map(|found| (found.index, found.path, found.binds))
            .collect();
        assert_eq!(
            found,
            [
                (1, "../etc", true),
                (2, "/x", false),
                (3, "etc", true),
                (4, "", true)
            ]
        );
    }
}
