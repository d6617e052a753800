//! Opened mounts, placed where only this process and its children see them.
//!
//! The process enters a mount namespace of its own and puts a small tmpfs at one fixed place in it: there go the
//! opened mounts, and a config.json whose sources point at them, which is laid over the bundle's. So the real
//! runtime reads from the bundle what it always reads, the bundle on disk stays as the engine wrote it, and all of
//! it is gone when the last process of the namespace is. See `docs/decisions/0002-config-is-laid-over.md`.

use crate::ask::Given;
use crate::bundle::Bundle;
use crate::rewritten;
use cofferdam_linux::mount::{self, DetachedMount};
use cofferdam_model::{Problem, Result, Settings};
use rustix::fs::{CWD, FileType, Mode, OFlags};
use serde_json::Value;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// Room for config.json and the mount points.
const TMPFS_SIZE: u64 = 64 << 20;
const TMPFS_INODES: u64 = 1024;

/// Places `mounts`, and a config.json that names them, in a mount namespace that this process enters.
///
/// # Errors
/// `internal` where the kernel refuses; nothing has changed for anybody else then.
pub(crate) fn attach(settings: &Settings, bundle: &Bundle, given: Given) -> Result<()> {
    if given.opened.is_empty() && given.as_judged.is_empty() {
        return Ok(());
    }
    let place = settings.attach();
    let mut config = bundle.config.clone();
    let mut mounts = Vec::new();
    for (opened, descriptor) in given.opened {
        rewritten::redirect(&mut config, opened.mount, &place)?;
        rewritten::restrict(&mut config, &opened);
        let is_directory = is_directory(descriptor.as_fd())?;
        mounts.push((opened.mount, is_directory, DetachedMount::from(descriptor)));
    }
    for index in given.as_judged {
        rewritten::redirect(&mut config, index, &place)?;
        mounts.push(judged(bundle, index)?);
    }
    rewritten::take_ticket(&mut config);
    place_all(&place, &bundle.path, &config, mounts).map_err(|error| {
        Problem::internal(format!("cannot place what was opened for the container: {error}"))
    })
}

/// A source, to be mounted from the descriptor that was judged: no name of it is looked up again.
fn judged(bundle: &Bundle, index: usize) -> Result<Placed> {
    let source = bundle.sources.iter().find(|(of, _)| *of == index);
    let (_, source) = source.ok_or_else(|| rewritten::unknown(index))?;
    let mount = DetachedMount::tree_of(source.as_fd())
        .map_err(|error| Problem::internal(format!("cannot mount a host path: {error}")))?;
    Ok((index, is_directory(source.as_fd())?, mount))
}

fn is_directory(source: BorrowedFd<'_>) -> Result<bool> {
    let facts = rustix::fs::fstat(source)
        .map_err(|error| Problem::internal(format!("cannot look at what is to be mounted: {error}")))?;
    Ok(FileType::from_raw_mode(facts.st_mode) == FileType::Directory)
}

/// The number of a mount, whether it is a directory, and what is mounted.
type Placed = (usize, bool, DetachedMount);

fn place_all(place: &Path, bundle: &Path, config: &Value, mounts: Vec<Placed>) -> io::Result<()> {
    mount::enter_private_namespace()?;
    DetachedMount::tmpfs(TMPFS_SIZE, TMPFS_INODES, 0o700)?.attach_at(place)?;
    for (index, is_directory, mount) in mounts {
        let target = place.join(index.to_string());
        if is_directory {
            rustix::fs::mkdir(&target, Mode::RWXU)?;
        } else {
            File::create_new(&target)?;
        }
        mount.attach_at(&target)?;
    }
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let mut ours = File::from(rustix::fs::open(
        place.join("config.json"),
        flags,
        Mode::from_raw_mode(0o600),
    )?);
    ours.write_all(&serde_json::to_vec(config)?)?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let theirs = rustix::fs::openat(CWD, bundle.join("config.json"), flags, Mode::empty())?;
    mount::attach_over(DetachedMount::clone_of(ours.as_fd())?, theirs.as_fd())
}
