//! Doors for those who judge this crate (the fuzz targets), behind the feature `judge`: what it makes of text from others, without
//! the host around it. Nothing else may use them.

use crate::{arguments::Invocation, document, guarded, rewritten};
use cofferdam_model::{ContainerId, Result, wire::OpenedMount};
use serde_json::Value;
use std::{ffi::OsString, path::Path, path::PathBuf};

/// Parses config.json.
///
/// # Errors
/// As the wrapper.
pub fn document(bytes: &[u8]) -> Result<Value> {
    document::read(bytes)
}

/// The mounts whose sources are opened and sent: their places in `mounts`, and the paths.
pub fn sources(config: &Value) -> Vec<(usize, String)> {
    document::sources(config)
        .map(|source| (source.index, source.path.to_owned()))
        .collect()
}

/// Whether the container is asked about, even where nothing it binds is a placeholder or a host path.
pub fn is_guarded(config: &Value) -> bool {
    guarded::may_reach(config) || guarded::mounts_anything_else(config)
}

/// Whether a source is taken for a file that the engine made for this container, whose directory is `own`.
pub fn is_engines_own(own: &Path, destination: &str, source: &Path) -> bool {
    guarded::is_engines_own(own, destination, source)
}

/// config.json as the real runtime reads it, where these mounts were opened and these judged.
///
/// # Errors
/// As the wrapper.
pub fn rewritten(config: &Value, opened: &[OpenedMount], as_judged: &[usize], place: &Path) -> Result<Value> {
    let mut config = config.clone();
    for opened in opened {
        rewritten::redirect(&mut config, opened.mount, place)?;
        rewritten::restrict(&mut config, opened);
    }
    for index in as_judged {
        rewritten::redirect(&mut config, *index, place)?;
    }
    rewritten::take_ticket(&mut config);
    Ok(config)
}

/// What becomes of a command line.
#[derive(Debug, PartialEq, Eq)]
pub enum Made {
    /// A bundle is looked at for this container, before it is created or restored.
    Looked(PathBuf, ContainerId),
    /// A process, from a file or with these capabilities, is added to one of these.
    Added(Option<PathBuf>, Vec<String>, Vec<ContainerId>),
    /// One of these is saved.
    Saved(Vec<ContainerId>),
    /// It goes straight to the real runtime.
    Passed,
}

/// What the wrapper makes of a command line.
///
/// # Errors
/// As the wrapper.
pub fn invocation(given: &[OsString]) -> Result<Made> {
    let invocation = Invocation::parse(given)?;
    let possible = || invocation.possible_containers().collect();
    let looked = |(bundle, container)| Made::Looked(bundle, container);
    Ok(match invocation.verb.as_deref() {
        Some("create" | "run") => looked(invocation.create()?),
        Some("restore") => looked(invocation.restore()?),
        Some("exec") => Made::Added(
            invocation.exec_process()?,
            invocation.exec_capabilities()?,
            possible(),
        ),
        Some("checkpoint") => Made::Saved(possible()),
        _ => Made::Passed,
    })
}

/// What the real runtime is given.
pub fn forwarded(given: &[OsString]) -> &[OsString] {
    Invocation::forwarded(given)
}
