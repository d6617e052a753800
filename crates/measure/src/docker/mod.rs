//! Docker's containers: the classic image store with overlay2, engine 20.10 and later.
//!
//! ```text
//! <data root>/
//! ├── containers/<id>/config.v2.json                  names the image's config digest        `container`
//! ├── image/overlay2/imagedb/content/sha256/<digest>  the image's config, hashed again       `image`
//! ├── image/overlay2/layerdb/sha256/<chain>/          diff, cache-id: each layer             `layers`
//! ├── image/overlay2/layerdb/mounts/<id>/             parent, mount-id, init-id              `layers`
//! └── overlay2/<mount-id>/merged                      the root filesystem that is mounted    `overlay`
//! ```

mod container;
mod image;
mod layers;
mod overlay;
#[cfg(test)]
mod tests;

use crate::config::{self, Config, Linux};
use crate::mounts::{self, EngineFiles, FileId};
use crate::state_tree::StateTree;
use crate::{Bundle, Engine, Evidence, Placeholders, namespaces, privileges, ticket};
use cofferdam_model::{ContainerId, IdRange, ImageIdentity, Measurement, Owner, Problem, Result, User};
use std::os::fd::AsFd;
use std::path::PathBuf;

/// Docker, by its state on disk.
#[derive(Debug)]
pub struct Docker {
    data_root: PathBuf,
}

impl Docker {
    /// The Docker whose state lies at `data_root`. Nothing is opened yet: Docker may be installed later.
    pub fn new(data_root: PathBuf) -> Self {
        Docker { data_root }
    }
}

impl Engine for Docker {
    fn name(&self) -> &'static str {
        "Docker"
    }

    fn measure(&self, bundle: &Bundle<'_>, placeholders: &Placeholders<'_>) -> Result<Option<Evidence>> {
        if !is_dockers(bundle.container) {
            return Ok(None);
        }
        let Some(state) = StateTree::open(&self.data_root)? else {
            return Ok(None);
        };
        let Some(container) = container::read(&state, bundle.container)? else {
            return Ok(None);
        };
        let image = image::read(&state, container.image)?;
        let layers = layers::read(&state, bundle.container, &image.diff_ids)?;
        overlay::check(&state, &layers, bundle.root)?;
        let config = config::parse(bundle.config)?;
        let engine_files = engine_files(&state, bundle.container)?;
        let ticket = ticket::of(&config)?;
        let measurement = assemble(bundle, &config, image, &layers, &engine_files, placeholders)?;
        Ok(Some(Evidence {
            measurement,
            layers: layers.image,
            ticket,
        }))
    }
}

/// Docker's ids are 64 lower-case hexadecimal digits.
fn is_dockers(container: &ContainerId) -> bool {
    let id = container.as_str();
    id.len() == 64 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The files that Docker binds into every container of its own accord.
fn engine_files(state: &StateTree, container: &ContainerId) -> Result<EngineFiles> {
    let places = [
        ("/etc/hosts", "hosts"),
        ("/etc/hostname", "hostname"),
        ("/etc/resolv.conf", "resolv.conf"),
        ("/dev/shm", "mounts/shm"),
    ];
    let mut files = EngineFiles::new();
    for (destination, name) in places {
        if let Some(file) = state.look_if_there(&format!("containers/{container}/{name}"))? {
            files.push((destination, FileId::behind(file.as_fd())?));
        }
    }
    Ok(files)
}

fn assemble(
    bundle: &Bundle<'_>,
    config: &Config,
    image: image::Image,
    layers: &layers::Layers,
    engine_files: &EngineFiles,
    placeholders: &Placeholders<'_>,
) -> Result<Measurement> {
    let linux = config
        .linux
        .as_ref()
        .ok_or_else(|| Problem::invalid("config.json has no linux section"))?;
    let namespaces = namespaces::measure(linux, &namespaces::is_hosts);
    let process = &config.process;
    Ok(Measurement {
        container: bundle.container.clone(),
        image: ImageIdentity {
            config: image.digest,
            chain: layers.chain,
        },
        image_command: image.command,
        image_cwd: image.cwd,
        healthcheck: image.healthcheck,
        argv: process.args.clone(),
        env: process.env.clone().unwrap_or_default(),
        cwd: process.cwd.clone(),
        user: user(config),
        mounts: mounts::measure(
            config.mounts.as_deref().unwrap_or_default(),
            bundle,
            engine_files,
            placeholders,
        )?,
        namespaces,
        privileges: privileges::measure(config, linux, &namespaces),
        capabilities: process
            .capabilities
            .as_ref()
            .map(|sets| privileges::bare(&sets.bounding))
            .unwrap_or_default(),
        id_map: own_map(linux)?,
        ticket: None,
    })
}

fn user(config: &Config) -> User {
    let user = &config.process.user;
    let effective = config
        .process
        .capabilities
        .as_ref()
        .map(|sets| privileges::bare(&sets.effective))
        .unwrap_or_default();
    User {
        owner: Owner {
            uid: user.uid,
            gid: user.gid,
        },
        groups: user.additional_gids.clone().unwrap_or_default(),
        overrides_ownership: user.uid == 0
            && ["CHOWN", "DAC_OVERRIDE"]
                .iter()
                .all(|name| effective.contains(*name)),
    }
}

fn is_range(range: &IdRange) -> bool {
    let fits = |first: u32| {
        range
            .count
            .checked_sub(1)
            .and_then(|more| first.checked_add(more))
            .is_some()
    };
    fits(range.inside) && fits(range.outside)
}

/// The user namespace's map. One that maps nobody would leave every file without an owner.
fn own_map(linux: &Linux) -> Result<Option<cofferdam_model::IdMap>> {
    match namespaces::id_map(linux) {
        Some(map) if map.uids.is_empty() || map.gids.is_empty() => {
            Err(Problem::invalid("the container's user namespace has no id map"))
        }
        Some(map) if map.uids.iter().chain(&map.gids).any(|range| !is_range(range)) => Err(Problem::invalid(
            "the id map of the container's user namespace has a range that is empty or reaches past the last id",
        )),
        map => Ok(map),
    }
}
