//! Whether a container is guarded, and so asked about: it may have a volume, it binds a host path, or it could reach other containers.
//!
//! Everything else starts without a word to the daemon. So this errs on the side of asking: what is no such thing, the daemon says.

use crate::bundle::Bundle;
use crate::document;
use cofferdam_linux::mount;
use cofferdam_model::{ContainerId, Guarding, Privilege, Problem, Result, Settings, place};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxFlags};
use serde_json::Value;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Component, Path, PathBuf};

/// What engines bind into every container of their own accord.
const ENGINES_OWN: [&str; 4] = ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/dev/shm"];

/// Filesystems that bring nothing of the host's. Any other that is no bind mount (an overlay of host directories, a disk) may be a
/// host path as well.
const KERNELS_OWN: [&str; 7] = ["proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2"];

/// Why a container is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Guarded {
    /// One of its sources looks like a placeholder.
    pub(crate) volume: bool,
}

/// Whether this one is.
///
/// # Errors
/// `internal` where it cannot be told.
pub(crate) fn guarded(
    settings: &Settings,
    container: &ContainerId,
    bundle: &Bundle,
) -> Result<Option<Guarded>> {
    if bundle.may_have_placeholder()? {
        return Ok(Some(Guarded { volume: true }));
    }
    let guard = &settings.guard;
    let binds = guard.host_paths != Guarding::Off && binds_host_path(settings, container, bundle)?;
    let reaches = guard.neighbours != Guarding::Off && may_reach(&bundle.config);
    Ok((binds || reaches).then_some(Guarded { volume: false }))
}

fn binds_host_path(settings: &Settings, container: &ContainerId, bundle: &Bundle) -> Result<bool> {
    let own = settings
        .docker
        .data_root
        .join("containers")
        .join(container.as_str());
    let volumes = settings.docker.data_root.join("volumes");
    if mounts_anything_else(&bundle.config) {
        return Ok(true);
    }
    // Where it cannot be told, somebody has.
    let granted = !matches!(settings.docker_volumes_granted().try_exists(), Ok(false));
    for (index, source) in &bundle.sources {
        let mount = bundle.config.pointer(&format!("/mounts/{index}"));
        let text = |key: &str| mount.and_then(|mount| mount.get(key)).and_then(Value::as_str);
        let path = PathBuf::from(text("source").unwrap_or_default());
        let engines = is_engines_own(&own, text("destination").unwrap_or_default(), &path);
        if !engines && (granted || !is_local_volume(&path, &volumes, source.as_fd())?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether it is a file that the engine made for this container alone, at its usual place.
pub(crate) fn is_engines_own(own: &Path, destination: &str, source: &Path) -> bool {
    let is_usual = ENGINES_OWN.contains(&destination);
    is_usual && source.strip_prefix(own).is_ok_and(leads_down)
}

/// Whether a path has parts, of which none leads up again.
fn leads_down(below: &Path) -> bool {
    let mut parts = below.components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// Whether a filesystem is mounted that is neither bound nor the kernel's own.
pub(crate) fn mounts_anything_else(config: &Value) -> bool {
    let kind = |mount: &Value| {
        mount
            .get("type")
            .and_then(Value::as_str)
            .is_some_and(|kind| KERNELS_OWN.contains(&kind))
    };
    document::mounts(config)
        .iter()
        .any(|mount| !document::binds(mount) && !kind(mount))
}

/// Whether it is the directory of a volume of Docker's own, and nothing that is mounted there.
fn is_local_volume(path: &Path, volumes: &Path, source: BorrowedFd<'_>) -> Result<bool> {
    let Ok(below) = path.strip_prefix(volumes) else {
        return Ok(false);
    };
    let parts: Vec<_> = below.components().collect();
    if parts.len() != 2 || !below.ends_with("_data") || !leads_down(below) {
        return Ok(false);
    }
    let fail = |error: std::io::Error| Problem::internal(format!("cannot look at a mount's source: {error}"));
    if mount::is_mount_root(source).map_err(fail)? {
        return Ok(false);
    }
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let found = rustix::fs::openat2(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve);
    Ok(found.is_ok_and(|found| id(found.as_fd()) == id(source)))
}

fn id(descriptor: BorrowedFd<'_>) -> Option<(u32, u32, u64)> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let facts = rustix::fs::statx(descriptor, c"", flags, StatxFlags::INO).ok()?;
    Some((facts.stx_dev_major, facts.stx_dev_minor, facts.stx_ino))
}

/// Whether the container could reach others: by their namespaces, the host's devices, or what it may do.
pub(crate) fn may_reach(config: &Value) -> bool {
    let Some(linux) = config.get("linux") else {
        return true;
    };
    shares_namespaces(linux) || has_devices(linux) || is_privileged(config) || is_unmasked(linux)
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    let found = value.pointer(pointer).and_then(Value::as_array);
    found.map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn shares_namespaces(linux: &Value) -> bool {
    let entries = list(linux, "/namespaces");
    let has = |kind: &str| entries.iter().any(|entry| text(entry, "type") == kind);
    let joins = |entry: &Value| {
        !text(entry, "path").is_empty() && matches!(text(entry, "type"), "pid" | "mount" | "user" | "ipc")
    };
    !has("pid") || !has("mount") || entries.iter().any(joins)
}

fn has_devices(linux: &Value) -> bool {
    // An ordinary container is given none; which of them is a disk, the daemon knows.
    let nodes = list(linux, "/devices");
    let rules = list(linux, "/resources/devices");
    let opens = |rule: &Value| {
        let access = text(rule, "access");
        let only_mknod = !access.is_empty() && access.bytes().all(|letter| letter == b'm');
        rule.get("allow") != Some(&Value::Bool(false)) && !only_mknod && !is_ordinary(rule)
    };
    !nodes.is_empty() || rules.iter().any(opens)
}

/// Character devices that every container may use, by major number.
fn is_ordinary(rule: &Value) -> bool {
    let number = |key: &str| rule.get(key).and_then(Value::as_i64);
    let memory = [3, 5, 7, 8, 9];
    text(rule, "type") == "c"
        && match number("major") {
            Some(1) => number("minor").is_some_and(|minor| memory.contains(&minor)),
            Some(5 | 136) => true,
            _ => false,
        }
}

/// Whether paths of the kernel's that every engine masks, or makes read-only, are not.
fn is_unmasked(linux: &Value) -> bool {
    let lacks = |pointer: &str, wanted: &[&str]| {
        let found = list(linux, pointer);
        !wanted
            .iter()
            .all(|path| found.iter().any(|found| found.as_str() == Some(path)))
    };
    lacks("/maskedPaths", &place::ALWAYS_MASKED) || lacks("/readonlyPaths", &place::ALWAYS_READ_ONLY)
}

fn is_privileged(config: &Value) -> bool {
    let sets = config.pointer("/process/capabilities").and_then(Value::as_object);
    let Some(sets) = sets else {
        return true;
    };
    let names = sets.values().filter_map(Value::as_array).flatten();
    names.filter_map(Value::as_str).any(|name| {
        let bare = name.to_ascii_uppercase();
        Privilege::Capability(bare.trim_start_matches("CAP_").to_owned()).reaches_out()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn ordinary() -> Value {
        json!({"process": {"capabilities": {"bounding": ["CAP_CHOWN", "CAP_KILL"]}},
            "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "network", "path": "/x"}],
                "devices": [], "maskedPaths": place::ALWAYS_MASKED, "readonlyPaths": place::ALWAYS_READ_ONLY,
                "resources": {"devices": [{"allow": false, "access": "rwm"}, {"allow": true, "type": "b", "access": "m"},
                    {"allow": true, "type": "c", "major": 1, "minor": 5, "access": "rwm"},
                    {"allow": true, "type": "c", "major": 136, "access": "rwm"}]}}})
    }

    fn with(pointer: &str, value: Value) -> Value {
        let mut config = ordinary();
        let place = config.pointer_mut(pointer).unwrap();
        match place {
            Value::Array(list) if !value.is_null() => list.push(value),
            other => *other = value,
        }
        config
    }

    #[test]
    fn an_ordinary_container_is_left_alone() {
        assert!(!may_reach(&ordinary()));
    }

    #[test]
    fn the_engines_own_files_are_known_by_where_they_lie() {
        let own = Path::new("/var/lib/docker/containers/3f2a");
        let is = |destination, source: &str| is_engines_own(own, destination, Path::new(source));
        assert!(is("/etc/hosts", "/var/lib/docker/containers/3f2a/hosts"));
        assert!(is("/dev/shm", "/var/lib/docker/containers/3f2a/mounts/shm"));
        assert!(!is("/etc/passwd", "/var/lib/docker/containers/3f2a/hosts"));
        assert!(!is(
            "/etc/hosts",
            "/var/lib/docker/containers/3f2a/../../../../../etc/shadow"
        ));
        assert!(!is("/etc/hosts", "/var/lib/docker/containers/3f2a0/hosts"));
        assert!(!is("/etc/hosts", "/var/lib/docker/containers/3f2a"));
    }

    #[test]
    fn whatever_is_mounted_but_the_kernels_own_is_asked_about() {
        let with = |mount: Value| mounts_anything_else(&json!({"mounts": [mount]}));
        assert!(!with(json!({"type": "proc", "source": "proc"})));
        assert!(!with(
            json!({"type": "tmpfs", "source": "/etc", "options": ["rbind"]})
        ));
        assert!(with(
            json!({"type": "overlay", "source": "overlay", "options": ["lowerdir=/etc:/usr"]})
        ));
        assert!(with(json!({"type": "ext4", "source": "LABEL=x"})));
        assert!(with(json!({"source": "x"})));
    }

    #[test]
    fn whatever_could_reach_others_is_asked_about() {
        let ways = [
            with("/linux", Value::Null),
            json!({"process": ordinary()["process"]}),
            with(
                "/linux/namespaces",
                json!({"type": "pid", "path": "/proc/1/ns/pid"}),
            ),
            with(
                "/linux/namespaces",
                json!({"type": "ipc", "path": "/proc/1/ns/ipc"}),
            ),
            with("/linux/namespaces/0", json!({"type": "uts"})),
            with("/linux/devices", json!({"type": "b", "path": "/dev/sda"})),
            with("/linux/devices", json!({"path": "/dev/sda"})),
            with("/linux/devices", json!({"type": "c", "path": "/dev/sg0"})),
            with(
                "/linux/resources/devices",
                json!({"allow": true, "type": "c", "access": "rwm"}),
            ),
            with(
                "/linux/resources/devices",
                json!({"allow": true, "type": "c", "major": 1, "minor": 1}),
            ),
            with("/linux/readonlyPaths", Value::Null),
            with("/linux/maskedPaths/0", Value::Null),
            with(
                "/linux/resources/devices",
                json!({"allow": true, "access": "rwm"}),
            ),
            with(
                "/linux/resources/devices",
                json!({"allow": true, "type": "b", "access": "r"}),
            ),
            with("/process/capabilities/bounding", json!("CAP_SYS_ADMIN")),
            with("/process/capabilities", Value::Null),
        ];
        for config in ways {
            assert!(may_reach(&config), "{config}");
        }
    }
}
