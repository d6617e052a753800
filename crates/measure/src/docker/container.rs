//! `containers/<id>/config.v2.json`: which image a container was made from.

use super::healthcheck::Checked;
use crate::state_tree::StateTree;
use cofferdam_model::{ContainerId, Problem, Result, Sha256, json};
use serde::Deserialize;

/// The longest config.v2.json, in bytes.
const LENGTH_MAX: usize = 16 << 20;

/// What Docker says about a container.
#[derive(Debug)]
pub(super) struct Container {
    /// The digest of its image's config.
    pub(super) image: Sha256,
    /// The number of its first process, where it runs.
    pub(super) pid: Option<u32>,
    /// The healthcheck that Docker runs in it, whoever gave it.
    pub(super) healthcheck: Option<Vec<String>>,
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
    #[serde(rename = "Name", default)]
    name: String,
    #[serde(rename = "State", default)]
    state: State,
    #[serde(rename = "Config", default)]
    config: Checked,
}

#[derive(Default, Deserialize)]
struct State {
    #[serde(rename = "Running", default)]
    running: bool,
    #[serde(rename = "Pid", default)]
    pid: u32,
}

/// The container of this name, this id, or the only one whose id begins so.
///
/// # Errors
/// `invalid` where several do.
pub(super) fn find(state: &StateTree, text: &str) -> Result<Option<ContainerId>> {
    let ids: Vec<ContainerId> = state
        .entries("containers")?
        .iter()
        .filter_map(|name| name.parse().ok())
        .collect();
    if let Some(whole) = ids.iter().find(|id| id.as_str() == text) {
        return Ok(Some(whole.clone()));
    }
    let mut unreadable = None;
    for id in &ids {
        match config(state, id) {
            Ok(Some(config)) if config.name.trim_start_matches('/') == text => return Ok(Some(id.clone())),
            // One that is just being removed is none.
            Ok(_) => {}
            Err(problem) => unreadable = Some(problem),
        }
    }
    // It may be called so. Then another one whose id begins so is not the one that is meant.
    if let Some(problem) = unreadable {
        return Err(problem);
    }
    let mut found = ids
        .into_iter()
        .filter(|id| !text.is_empty() && id.as_str().starts_with(text));
    match (found.next(), found.next()) {
        (first, None) => Ok(first),
        _ => Err(Problem::invalid("several containers have ids that begin so").remedy("give more of it")),
    }
}

/// What Docker says about `container`; none where it does not know it.
///
/// # Errors
/// `unavailable` for a storage driver that is not understood, `corrupt` where the file speaks of another container.
pub(super) fn read(state: &StateTree, container: &ContainerId) -> Result<Option<Container>> {
    let place = place_of(container);
    let Some(config) = config(state, container)? else {
        return Ok(None);
    };
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
    let pid = config.state.pid;
    Ok(Some(Container {
        image,
        pid: (config.state.running && pid != 0).then_some(pid),
        healthcheck: config.config.argv(),
    }))
}

/// Where that lies.
pub(super) fn place_of(container: &ContainerId) -> String {
    format!("containers/{container}/config.v2.json")
}

fn config(state: &StateTree, container: &ContainerId) -> Result<Option<ConfigV2>> {
    let place = place_of(container);
    let Some(bytes) = state.read_if_there(&place, LENGTH_MAX)? else {
        return Ok(None);
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| {
        let words = json::words(&error);
        Problem::corrupt(format!("cannot read {}: {words}", state.shown(&place)))
    })
}
