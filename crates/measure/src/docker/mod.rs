//! Docker's containers: the classic image store with overlay2, engine 20.10 and later.
//!
//! ```text
//! <data root>/
//! ├── containers/<id>/config.v2.json                  names the image's config digest        `container`
//! ├── containers/<id>/hostconfig.json                 what the container was made with       `made`
//! ├── image/overlay2/imagedb/content/sha256/<digest>  the image's config, hashed again       `image`
//! ├── image/overlay2/layerdb/sha256/<chain>/          diff, cache-id: each layer             `layers`
//! ├── image/overlay2/layerdb/mounts/<id>/             parent, mount-id, init-id              `layers`
//! └── overlay2/<mount-id>/merged                      the root filesystem that is mounted    `overlay`
//! ```

mod container;
mod healthcheck;
mod image;
mod layers;
mod made;
mod overlay;
#[cfg(test)]
mod tests;

use crate::config::{self, Config, Linux};
use crate::environment;
use crate::groups;
use crate::mounts::{self, EngineFiles, FileId};
use crate::own_layer::OwnLayer;
use crate::state_tree::StateTree;
use crate::{Bundle, Engine, Evidence, Made, MadeMount, Placeholders, namespaces, privileges, ticket};
use cofferdam_model::{
    ContainerId, IdRange, ImageIdentity, MeasuredMount, Measurement, MountKind, Namespace, Owner, Problem,
    Result, RootChanges, Sha256, User,
};
use rustix::fs::{CWD, Mode, OFlags};
use std::collections::BTreeSet;
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

    /// Docker's state, where it knows the container.
    fn state_of(&self, container: &ContainerId) -> Result<Option<StateTree>> {
        if !is_dockers(container) {
            return Ok(None);
        }
        let Some(state) = StateTree::open(&self.data_root)? else {
            return Ok(None);
        };
        Ok(container::read(&state, container)?.map(|_| state))
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
        let mut image = image::read(&state, container.image)?;
        let layers = layers::read(&state, bundle.container, &image.diff_ids)?;
        overlay::check(&state, &layers, bundle.root)?;
        let config = config::parse(bundle.config)?;
        let engine_files = engine_files(&state, bundle.container)?;
        let ticket = ticket::of(&config)?;
        let data = std::mem::take(&mut image.data);
        let mut measurement = assemble(bundle, &config, image, &layers, &engine_files, placeholders)?;
        // Only a rule asks for it: whoever asks for nothing is spared the walk.
        if may_need_a_rule(&measurement, bundle.judged) {
            mounts::land(&mut measurement.mounts, bundle.root, &data)?;
            let User { owner, groups, .. } = &measurement.user;
            measurement.foreign_groups = groups::from_outside(bundle.root, owner.uid, owner.gid, groups)?;
            let own = layers::own(&state, bundle.container)?;
            measurement.root =
                OwnLayer::read(own.as_fd())?.changes(&layers.image, &measurement.mounts, bundle.ended)?;
        }
        Ok(Some(Evidence {
            measurement,
            layers: layers.image,
            judged: bundle.judged,
            ticket,
        }))
    }

    fn find(&self, text: &str) -> Result<Option<ContainerId>> {
        match StateTree::open(&self.data_root)? {
            Some(state) => container::find(&state, text),
            None => Ok(None),
        }
    }

    fn made(&self, container: &ContainerId) -> Result<Option<Made>> {
        match StateTree::open(&self.data_root)? {
            Some(state) => made::read(&state, container),
            None => Ok(None),
        }
    }

    fn own_volume(&self, name: &str) -> Result<Option<MadeMount>> {
        match StateTree::open(&self.data_root)? {
            Some(state) => made::volume(&state, name),
            None => Ok(None),
        }
    }

    fn first_process(&self, container: &ContainerId) -> Result<Option<u32>> {
        match self.state_of(container)? {
            Some(state) => Ok(container::read(&state, container)?.and_then(|found| found.pid)),
            None => Ok(None),
        }
    }

    fn healthcheck(&self, container: &ContainerId) -> Result<Option<Vec<String>>> {
        match self.state_of(container)? {
            Some(state) => Ok(container::read(&state, container)?.and_then(|found| found.healthcheck)),
            None => Ok(None),
        }
    }

    fn knows(&self, container: &ContainerId) -> bool {
        let place = format!("containers/{container}/config.v2.json");
        let state = StateTree::open(&self.data_root);
        let found = state.and_then(|state| state.map_or(Ok(None), |state| state.look_if_there(&place)));
        !matches!(found, Ok(None))
    }

    fn fingerprint(&self, container: &ContainerId) -> Result<Option<Sha256>> {
        let Some(state) = self.state_of(container)? else {
            return Ok(None);
        };
        let own = layers::own(&state, container)?;
        Ok(Some(OwnLayer::read(own.as_fd())?.fingerprint()))
    }

    fn root_changes(&self, measurement: &Measurement) -> Result<Option<RootChanges>> {
        let Some(state) = self.state_of(&measurement.container)? else {
            return Ok(None);
        };
        let image = image::read(&state, measurement.image.config)?;
        let layers = layers::read(&state, &measurement.container, &image.diff_ids)?;
        let own = layers::own(&state, &measurement.container)?;
        let own = OwnLayer::read(own.as_fd())?;
        let now = own.fingerprint();
        own.changes(&layers.image, &measurement.mounts, Some(now))
            .map(Some)
    }
}

/// Where distributions install it (dockerd's `init-path`, looked for as `docker-init`).
const INIT_SOURCES: [&str; 4] = [
    "/usr/bin/docker-init",
    "/usr/libexec/docker/docker-init",
    "/usr/local/bin/docker-init",
    "/usr/sbin/docker-init",
];

/// Whether a container asks for a volume, or holds anything that an app's rule has to allow.
fn may_need_a_rule(measurement: &Measurement, outside: bool) -> bool {
    let shared = measurement.namespaces;
    let own = [shared.pid, shared.mount, shared.ipc, shared.user];
    let counts = |mount: &MeasuredMount| match mount.kind {
        MountKind::Volume(_) => true,
        MountKind::Outside(_) => outside,
        MountKind::Kernel(_) | MountKind::Engine => false,
    };
    measurement.mounts.iter().any(counts)
        || !measurement.privileges.is_empty()
        || own.iter().any(|namespace| *namespace != Namespace::Own)
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
    for source in INIT_SOURCES {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        if let Ok(file) = rustix::fs::openat(CWD, source, flags, Mode::empty()) {
            files.push((mounts::SHARED, FileId::behind(file.as_fd())?));
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
    let mounts = mounts::measure(
        config.mounts.as_deref().unwrap_or_default(),
        bundle,
        engine_files,
        placeholders,
    )?;
    let argv = without_init(&process.args, &mounts);
    Ok(Measurement {
        container: bundle.container.clone(),
        image: ImageIdentity {
            config: image.digest,
            chain: layers.chain,
        },
        image_command: image.command,
        image_cwd: image.cwd,
        healthcheck: image.healthcheck,
        argv,
        foreign_env: environment::from_outside(process.env.as_deref().unwrap_or_default(), &image.env),
        env: process.env.clone().unwrap_or_default(),
        foreign_groups: BTreeSet::new(),
        root: RootChanges::default(),
        cwd: process.cwd.clone(),
        user: user(config),
        mounts,
        namespaces,
        no_new_privileges: process.no_new_privileges.unwrap_or_default(),
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

/// The argv that Docker's own init is given, where that runs it.
fn without_init(args: &[String], mounts: &[MeasuredMount]) -> Vec<String> {
    let is_init =
        |mount: &MeasuredMount| mount.kind == MountKind::Engine && mount.destination == mounts::SHARED;
    match args {
        [first, second, rest @ ..]
            if first == mounts::SHARED
                && second == "--"
                && !rest.is_empty()
                && mounts.iter().any(is_init) =>
        {
            rest.to_vec()
        }
        args => args.to_vec(),
    }
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
