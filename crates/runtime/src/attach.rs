//! Opened mounts, placed where only this process and its children see them.
//!
//! The process enters a mount namespace of its own and puts a small tmpfs at one fixed place in it: there go the
//! opened mounts, and a config.json whose sources point at them, which is laid over the bundle's. So the real
//! runtime reads from the bundle what it always reads, the bundle on disk stays as the engine wrote it, and all of
//! it is gone when the last process of the namespace is. See `docs/decisions/0002-config-is-laid-over.md`.

use crate::ask::Given;
use crate::bundle::Bundle;
use cofferdam_linux::mount::{self, DetachedMount};
use cofferdam_model::wire::OpenedMount;
use cofferdam_model::{Problem, Result, Settings, TICKET_ANNOTATION, TICKET_VARIABLE};
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
        redirect(&mut config, opened.mount, &place)?;
        restrict(&mut config, &opened);
        let is_directory = is_directory(descriptor.as_fd())?;
        mounts.push((opened.mount, is_directory, DetachedMount::from(descriptor)));
    }
    for index in given.as_judged {
        redirect(&mut config, index, &place)?;
        mounts.push(judged(bundle, index)?);
    }
    take_ticket(&mut config);
    place_all(&place, &bundle.path, &config, mounts).map_err(|error| {
        Problem::internal(format!("cannot place what was opened for the container: {error}"))
    })
}

/// A source, to be mounted from the descriptor that was judged: no name of it is looked up again.
fn judged(bundle: &Bundle, index: usize) -> Result<Placed> {
    let source = bundle.sources.iter().find(|(of, _)| *of == index);
    let (_, source) = source.ok_or_else(|| unknown(index))?;
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

fn unknown(index: usize) -> Problem {
    Problem::internal(format!(
        "cofferdamd opened mount {index}, which config.json does not have"
    ))
}

/// Points one mount of config.json at what is placed for it. Every other field stays as it is.
fn redirect(config: &mut Value, index: usize, place: &Path) -> Result<()> {
    let mount = config
        .get_mut("mounts")
        .and_then(|mounts| mounts.get_mut(index))
        .and_then(Value::as_object_mut)
        .ok_or_else(|| unknown(index))?;
    let source = place.join(index.to_string());
    mount.insert(
        "source".to_owned(),
        Value::from(source.to_string_lossy().into_owned()),
    );
    Ok(())
}

/// Adds to a volume's options what it is restricted to.
fn restrict(config: &mut Value, opened: &OpenedMount) {
    let mount = config
        .get_mut("mounts")
        .and_then(|mounts| mounts.get_mut(opened.mount))
        .and_then(Value::as_object_mut);
    let Some(mount) = mount else { return };
    let asked = mount
        .get("options")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    mount.insert("options".to_owned(), restricted(asked, opened.read_only));
}

/// A ticket is for the daemon, not for what runs in the container.
fn take_ticket(config: &mut Value) {
    let is_ticket = |entry: &Value| {
        let name = entry
            .as_str()
            .and_then(|entry| entry.split_once('='))
            .map(|(name, _)| name);
        name == Some(TICKET_VARIABLE)
    };
    if let Some(env) = config.pointer_mut("/process/env").and_then(Value::as_array_mut) {
        env.retain(|entry| !is_ticket(entry));
    }
    if let Some(annotations) = config.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.remove(TICKET_ANNOTATION);
    }
}

/// The options with what the opened mount is restricted to. A runtime that remounts with other options would
/// take the restrictions away, so they have to be among them.
fn restricted(asked: &[Value], read_only: bool) -> Value {
    let loosens = |option: &str| {
        matches!(option, "suid" | "dev" | "rsuid" | "rdev") || (read_only && matches!(option, "rw" | "rrw"))
    };
    let kept = asked
        .iter()
        .filter(|option| !option.as_str().is_some_and(loosens))
        .cloned();
    let added = ["nosuid", "nodev"].into_iter().chain(read_only.then_some("ro"));
    kept.chain(added.map(Value::from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_opened_mount_changes() {
        let mut config = json!({"ociVersion": "1.0.2", "x-unknown": [1, 18_446_744_073_709_551_615_u64], "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/data", "type": "bind", "source": "/p/a.b", "options": ["rbind", "rw", "suid"], "x-more": null}]});
        let opened = OpenedMount {
            mount: 1,
            read_only: true,
        };
        redirect(&mut config, 1, Path::new("/run/cofferdam/attach")).unwrap();
        restrict(&mut config, &opened);
        let expected = json!({"ociVersion": "1.0.2", "x-unknown": [1, 18_446_744_073_709_551_615_u64], "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/data", "type": "bind", "source": "/run/cofferdam/attach/1",
             "options": ["rbind", "nosuid", "nodev", "ro"], "x-more": null}]});
        assert_eq!(config.to_string(), expected.to_string());
    }

    #[test]
    fn a_mount_that_is_not_there_is_refused() {
        let mut config = json!({"mounts": []});
        assert!(redirect(&mut config, 0, Path::new("/x")).is_err());
    }

    #[test]
    fn a_ticket_is_taken_away_and_nothing_else() {
        let mut config = json!({"process": {"args": ["a"], "env": ["A=b", "COFFERDAM_TICKET=x=y", "COFFERDAM_TICKETS=z", 7]},
            "annotations": {"a": "b", "dev.cofferdam.ticket": "x"}});
        take_ticket(&mut config);
        let expected = json!({"process": {"args": ["a"], "env": ["A=b", "COFFERDAM_TICKETS=z", 7]}, "annotations": {"a": "b"}});
        assert_eq!(config, expected);
        let mut odd = json!({"process": 7, "annotations": [1]});
        take_ticket(&mut odd);
        assert_eq!(odd, json!({"process": 7, "annotations": [1]}));
    }

    #[test]
    fn writable_stays_writable() {
        assert_eq!(
            restricted(&[json!("bind"), json!("rw")], false),
            json!(["bind", "rw", "nosuid", "nodev"])
        );
    }
}
