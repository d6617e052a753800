//! The bundle's config.json, as far as it matters (OCI runtime-spec 1.x).

use cofferdam_model::{Problem, Result, json};
use serde::Deserialize;
use std::collections::BTreeMap;

/// config.json.
#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    pub(crate) process: Process,
    #[serde(default)]
    pub(crate) mounts: Option<Vec<Mount>>,
    #[serde(default)]
    pub(crate) linux: Option<Linux>,
    /// By the moment at which they run.
    #[serde(default)]
    pub(crate) hooks: Option<BTreeMap<String, Option<Vec<Hook>>>>,
    #[serde(default)]
    pub(crate) annotations: Option<BTreeMap<String, String>>,
}

/// A program that the runtime runs as root (OCI runtime-spec, "POSIX-platform Hooks").
#[derive(Debug, Deserialize)]
pub(crate) struct Hook {
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) args: Option<Vec<String>>,
}

/// The container's first process.
#[derive(Debug, Deserialize)]
pub(crate) struct Process {
    pub(crate) args: Vec<String>,
    #[serde(default)]
    pub(crate) env: Option<Vec<String>>,
    pub(crate) cwd: String,
    pub(crate) user: User,
    #[serde(default)]
    pub(crate) capabilities: Option<Capabilities>,
    #[serde(rename = "noNewPrivileges", default)]
    pub(crate) no_new_privileges: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    #[serde(default)]
    pub(crate) additional_gids: Option<Vec<u32>>,
}

/// The five sets of capabilities(7).
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Capabilities {
    #[serde(default)]
    pub(crate) bounding: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) effective: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) permitted: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) inheritable: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) ambient: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mount {
    pub(crate) destination: String,
    #[serde(rename = "type", default)]
    pub(crate) kind: Option<String>,
    #[serde(default)]
    pub(crate) source: Option<String>,
    #[serde(default)]
    pub(crate) options: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) uid_mappings: Option<Vec<IdMapping>>,
    #[serde(default)]
    pub(crate) gid_mappings: Option<Vec<IdMapping>>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct IdMapping {
    #[serde(rename = "containerID")]
    pub(crate) container: u32,
    #[serde(rename = "hostID")]
    pub(crate) host: u32,
    pub(crate) size: u32,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Linux {
    #[serde(default)]
    pub(crate) namespaces: Option<Vec<NamespaceEntry>>,
    #[serde(default)]
    pub(crate) uid_mappings: Option<Vec<IdMapping>>,
    #[serde(default)]
    pub(crate) gid_mappings: Option<Vec<IdMapping>>,
    #[serde(default)]
    pub(crate) devices: Option<Vec<Device>>,
    #[serde(default)]
    pub(crate) resources: Option<Resources>,
    #[serde(default)]
    pub(crate) seccomp: Option<Seccomp>,
    #[serde(default)]
    pub(crate) masked_paths: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) readonly_paths: Option<Vec<String>>,
}

/// A filter of system calls, as far as it tells whether there is one.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Seccomp {
    #[serde(default)]
    pub(crate) default_action: Option<String>,
    #[serde(default)]
    pub(crate) listener_path: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct NamespaceEntry {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) path: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Device {
    pub(crate) path: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) major: Option<i64>,
    #[serde(default)]
    pub(crate) minor: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Resources {
    #[serde(default)]
    pub(crate) devices: Option<Vec<DeviceRule>>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DeviceRule {
    pub(crate) allow: bool,
    #[serde(rename = "type", default)]
    pub(crate) kind: Option<String>,
    #[serde(default)]
    pub(crate) major: Option<i64>,
    #[serde(default)]
    pub(crate) minor: Option<i64>,
    #[serde(default)]
    pub(crate) access: Option<String>,
}

/// The longest config.json, in bytes.
const LENGTH_MAX: usize = 16 << 20;

/// Parses config.json.
///
/// # Errors
/// `invalid`, with the place; where it is longer than 16 MiB, or its process has no argv.
pub(crate) fn parse(bytes: &[u8]) -> Result<Config> {
    if bytes.len() > LENGTH_MAX {
        return Err(Problem::invalid(format!(
            "config.json is longer than {LENGTH_MAX} bytes"
        )));
    }
    let config: Config = json::read_strictly("config.json", bytes, &json::CONFIG_KEYS)?;
    if config.process.args.is_empty() {
        return Err(Problem::invalid(
            "config.json names no program to run (process.args)",
        ));
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_process_is_refused() {
        let with = |process: &str| format!(r#"{{"process":{process}}}"#);
        for text in [
            with(r#"{"args":[1],"cwd":"/","user":{"uid":0,"gid":0}}"#),
            with(r#"{"args":["a"],"cwd":"/","user":{"uid":-1,"gid":0}}"#),
            with(r#"{"args":["a"],"cwd":"/","user":{"uid":0,"gid":5000000000}}"#),
            with(r#"{"cwd":"/","user":{"uid":0,"gid":0}}"#),
            with(r#"{"args":["a"],"Args":["sh"],"cwd":"/","user":{"uid":0,"gid":0}}"#),
            with(r#"{"args":[],"cwd":"/","user":{"uid":0,"gid":0}}"#),
            format!(
                "{}{}",
                with(r#"{"args":["a"],"cwd":"/","user":{"uid":0,"gid":0}}"#),
                " ".repeat(17 << 20)
            ),
            "{}".to_owned(),
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{}", text.trim_end());
        }
        let nulls = r#"{"process":{"args":["a"],"env":null,"cwd":"/","user":{"uid":0,"gid":0,"additionalGids":null},"capabilities":null},
            "mounts":null,"linux":null,"annotations":null,"x":1}"#;
        assert!(parse(nulls.as_bytes()).is_ok());
    }
}
