//! `containers/<id>/config.v2.json`: which image a container was made from.

use crate::state_tree::StateTree;
use cofferdam_model::{ContainerId, Problem, Result, Sha256};
use serde::Deserialize;

/// The longest config.v2.json, in bytes.
const LENGTH_MAX: usize = 16 << 20;

/// What Docker says about a container.
#[derive(Debug)]
pub(super) struct Container {
    /// The digest of its image's config.
    pub(super) image: Sha256,
}

/// The file, as far as it matters. Docker writes it itself, so each key appears once and as it is here.
#[derive(Deserialize)]
struct ConfigV2 {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Image")]
    image: String,
    #[serde(rename = "Driver")]
    driver: String,
}

/// What Docker says about `container`; none where it does not know it.
///
/// # Errors
/// `unavailable` for a storage driver that is not understood, `corrupt` where the file speaks of another container.
pub(super) fn read(state: &StateTree, container: &ContainerId) -> Result<Option<Container>> {
    let place = format!("containers/{container}/config.v2.json");
    let Some(bytes) = state.read_if_there(&place, LENGTH_MAX)? else {
        return Ok(None);
    };
    let config: ConfigV2 = serde_json::from_slice(&bytes)
        .map_err(|error| Problem::corrupt(format!("cannot read {}: {error}", state.shown(&place))))?;
    if config.id != container.as_str() {
        return Err(Problem::corrupt(format!(
            "{} speaks of another container",
            state.shown(&place)
        )));
    }
    if config.driver != "overlay2" {
        let shown: String = config.driver.escape_debug().take(40).collect();
        return Err(Problem::unavailable(format!("Docker's storage driver {shown} is not supported yet"))
            .remedy("use overlay2 with the classic image store (\"features\": {\"containerd-snapshotter\": false} in daemon.json)"));
    }
    let image = config
        .image
        .parse()
        .map_err(|_| Problem::corrupt(format!("{} names no image by digest", state.shown(&place))))?;
    Ok(Some(Container { image }))
}
