//! What a container was made with: `containers/<id>/hostconfig.json`, and the mounts in its config.v2.json. Docker writes both before it
//! answers that the container is made.

use super::container;
use crate::state_tree::StateTree;
use crate::{Made, MadeMount};
use cofferdam_model::{ContainerId, Problem, Result};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// The longest of these files, in bytes.
const LENGTH_MAX: usize = 16 << 20;

#[derive(Deserialize)]
struct HostConfig {
    #[serde(rename = "Privileged", default)]
    privileged: bool,
    #[serde(rename = "CapAdd", default)]
    added: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct ConfigV2 {
    #[serde(rename = "MountPoints", default)]
    mounts: Option<BTreeMap<String, MountPoint>>,
}

#[derive(Deserialize)]
struct MountPoint {
    #[serde(rename = "Source", default)]
    source: String,
    #[serde(rename = "Destination", default)]
    destination: String,
    #[serde(rename = "Type", default)]
    kind: String,
    #[serde(rename = "Name", default)]
    name: String,
    #[serde(rename = "Driver", default)]
    driver: String,
}

/// `volumes/<name>/opts.json`, which is there for volumes with options.
#[derive(Default, Deserialize)]
struct Options {
    #[serde(rename = "MountType", default)]
    kind: String,
    #[serde(rename = "MountDevice", default)]
    device: String,
    #[serde(rename = "MountOpts", default)]
    options: String,
}

/// What `container` was made with; none where Docker does not know it.
///
/// # Errors
/// `corrupt` where a file cannot be read.
pub(super) fn read(state: &StateTree, container: &ContainerId) -> Result<Option<Made>> {
    let directory = format!("containers/{container}");
    let host: Option<HostConfig> = parsed(state, &format!("{directory}/hostconfig.json"))?;
    let config: Option<ConfigV2> = parsed(state, &container::place_of(container))?;
    let Some((host, config)) = host.zip(config) else {
        return Ok(None);
    };
    let mounts = config.mounts.unwrap_or_default();
    let mounts: Result<Vec<Option<MadeMount>>> =
        mounts.into_values().map(|mount| made(state, mount)).collect();
    let every = |name: &String| name.trim_start_matches("CAP_").eq_ignore_ascii_case("ALL");
    Ok(Some(Made {
        every_capability: host.privileged || host.added.iter().flatten().any(every),
        mounts: mounts?.into_iter().flatten().collect(),
    }))
}

/// What Docker would mount for a volume of its own driver that it has already; none where it has no such one, or mounts nothing.
///
/// # Errors
/// `corrupt` where its options cannot be read.
pub(super) fn volume(state: &StateTree, name: &str) -> Result<Option<MadeMount>> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if name.starts_with('.') || !name.bytes().all(is_name) {
        return Ok(None);
    }
    let options: Option<Options> = parsed(state, &format!("volumes/{name}/opts.json"))?;
    Ok(options.map(|options| MadeMount::Local {
        name: name.to_owned(),
        destination: String::new(),
        kind: options.kind,
        device: options.device,
        options: options.options,
    }))
}

/// What Docker itself would mount. Other drivers' volumes are theirs.
fn made(state: &StateTree, mount: MountPoint) -> Result<Option<MadeMount>> {
    match mount.kind.as_str() {
        // Containers from before Docker 17.06 have no types.
        "bind" => {}
        "" if mount.name.is_empty() => {}
        "volume" | "" if mount.driver == "local" => {
            let place = format!("volumes/{}/opts.json", mount.name);
            let options: Options = parsed(state, &place)?.unwrap_or_default();
            return Ok(Some(MadeMount::Local {
                name: mount.name,
                destination: mount.destination,
                kind: options.kind,
                device: options.device,
                options: options.options,
            }));
        }
        _ => return Ok(None),
    }
    Ok(Some(MadeMount::HostPath {
        source: mount.source,
        destination: mount.destination,
    }))
}

fn parsed<T: DeserializeOwned>(state: &StateTree, place: &str) -> Result<Option<T>> {
    let Some(bytes) = state.read_if_there(place, LENGTH_MAX)? else {
        return Ok(None);
    };
    // Options that a volume has not are written as null.
    serde_json::from_slice::<Option<T>>(&bytes)
        .map_err(|error| Problem::corrupt(format!("cannot read {}: {error}", state.shown(place))))
}
