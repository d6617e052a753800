//! Doors for those who judge this crate (the fuzz targets), behind the feature `judge`: what it makes of a config.json, without an
//! engine's state. Nothing else may use them.

use crate::{config, environment, mounts, namespaces, privileges, ticket};
use cofferdam_model::{IdMap, MountKind, Namespaces, Privilege, Result};
use std::collections::BTreeSet;

/// What is found in a config.json.
#[derive(Debug)]
pub struct Found {
    /// Its argv.
    pub argv: Vec<String>,
    /// Uid and gid.
    pub user: (u32, u32),
    /// What it holds beyond the ordinary.
    pub privileges: BTreeSet<Privilege>,
    /// Where its namespaces come from, where no path leads to the host's.
    pub namespaces: Namespaces,
    /// Its user namespace's map, as it is written.
    pub id_map: Option<IdMap>,
    /// The names in its environment that an image without any has not.
    pub foreign_env: BTreeSet<String>,
    /// The ticket that it brings.
    pub ticket: Result<Option<String>>,
    /// For each mount, what it is where no source was opened, and whether it is read-only.
    pub mounts: Vec<(MountKind, bool)>,
}

/// Reads a config.json.
///
/// # Errors
/// As the daemon.
pub fn config(bytes: &[u8]) -> Result<Found> {
    let config = config::parse(bytes)?;
    let none = config::Linux::default();
    let linux = config.linux.as_ref().unwrap_or(&none);
    let namespaces = namespaces::measure(linux, &|_, _| false);
    let env = config.process.env.as_deref().unwrap_or_default();
    let mounts = config.mounts.as_deref().unwrap_or_default();
    Ok(Found {
        argv: config.process.args.clone(),
        user: (config.process.user.uid, config.process.user.gid),
        privileges: privileges::measure(&config, linux, &namespaces),
        namespaces,
        id_map: namespaces::id_map(linux),
        foreign_env: environment::from_outside(env, &[]),
        ticket: ticket::of(&config),
        mounts: mounts.iter().map(mounts::without_source).collect::<Result<_>>()?,
    })
}
