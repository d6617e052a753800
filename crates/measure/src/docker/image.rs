//! `imagedb/content/sha256/<digest>`: the image's config (OCI image-spec, "Image Configuration").

use super::healthcheck::Checked;
use crate::state_tree::StateTree;
use cofferdam_model::{Problem, Result, Sha256, json};
use serde::Deserialize;
use serde::de::IgnoredAny;
use sha2::{Digest, Sha256 as Hasher};
use std::collections::BTreeMap;

/// The longest image config, in bytes.
const LENGTH_MAX: usize = 8 << 20;

/// The longest path that the kernel takes, in bytes.
const PATH_MAX: usize = 4096;

/// An image, by content.
#[derive(Debug)]
pub(super) struct Image {
    /// The digest of its config.
    pub(super) digest: Sha256,
    /// The digest of each layer's uncompressed content, lowest first.
    pub(super) diff_ids: Vec<Sha256>,
    /// Entrypoint and command.
    pub(super) command: Vec<String>,
    /// Its environment, `NAME=value`.
    pub(super) env: Vec<String>,
    /// The directory that it works in.
    pub(super) cwd: String,
    /// The places that it declares to be for data.
    pub(super) data: Vec<String>,
    /// The healthcheck, as the argv that Docker execs.
    pub(super) healthcheck: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct ImageConfig {
    #[serde(default)]
    config: Option<Execution>,
    rootfs: RootFs,
}

#[derive(Default, Deserialize)]
struct Execution {
    #[serde(rename = "Entrypoint", default)]
    entrypoint: Option<Vec<String>>,
    #[serde(rename = "Cmd", default)]
    cmd: Option<Vec<String>>,
    #[serde(rename = "Env", default)]
    env: Option<Vec<String>>,
    #[serde(rename = "WorkingDir", default)]
    working_dir: Option<String>,
    #[serde(rename = "Volumes", default)]
    volumes: Option<BTreeMap<String, IgnoredAny>>,
    #[serde(flatten)]
    checked: Checked,
}

#[derive(Deserialize)]
struct RootFs {
    diff_ids: Vec<Sha256>,
}

/// The image whose config has this digest; the config is hashed again.
///
/// # Errors
/// `corrupt` where it is missing, was changed, or cannot be read.
pub(super) fn read(state: &StateTree, digest: Sha256) -> Result<Image> {
    let place = format!("image/overlay2/imagedb/content/sha256/{}", digest.hex());
    let bytes = state.read(&place, LENGTH_MAX)?;
    if hash(&bytes) != digest {
        return Err(Problem::corrupt(format!(
            "the image config {} was changed: it does not have its own digest",
            state.shown(&place)
        ))
        .remedy("remove the image and pull it again"));
    }
    let image: ImageConfig = serde_json::from_slice(&bytes).map_err(|error| {
        let words = json::words(&error);
        Problem::corrupt(format!("cannot read {}: {words}", state.shown(&place)))
    })?;
    let execution = image.config.unwrap_or_default();
    let healthcheck = execution.checked.argv();
    let cwd = cwd(&execution)?;
    let env = execution.env.unwrap_or_default();
    let command = execution
        .entrypoint
        .into_iter()
        .chain(execution.cmd)
        .flatten()
        .collect();
    Ok(Image {
        digest,
        diff_ids: image.rootfs.diff_ids,
        command,
        env,
        cwd,
        data: execution.volumes.unwrap_or_default().into_keys().collect(),
        healthcheck,
    })
}

/// SHA-256 of some bytes.
pub(super) fn hash(bytes: &[u8]) -> Sha256 {
    Sha256::from_bytes(Hasher::digest(bytes).into())
}

/// The directory that Docker starts the image's program in.
fn cwd(execution: &Execution) -> Result<String> {
    match execution.working_dir.as_deref() {
        None | Some("") => Ok("/".to_owned()),
        Some(cwd) if cwd.len() > PATH_MAX => Err(Problem::invalid(format!(
            "the image's working directory is longer than {PATH_MAX} bytes"
        ))),
        Some(cwd) => Ok(cwd.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_a_directory_works_in_the_root() {
        let of = |text: &str| cwd(&serde_json::from_str(text).unwrap());
        for text in [
            r"{}",
            r#"{"WorkingDir":null}"#,
            r#"{"WorkingDir":""}"#,
            r#"{"WorkingDir":"/"}"#,
        ] {
            assert_eq!(of(text).unwrap(), "/", "{text}");
        }
        assert_eq!(of(r#"{"WorkingDir":"/app/"}"#).unwrap(), "/app/");
        assert!(of(&format!(r#"{{"WorkingDir":"/{}"}}"#, "a".repeat(PATH_MAX))).is_err());
    }
}
