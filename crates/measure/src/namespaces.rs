//! Where a container's namespaces come from.

use crate::config::{IdMapping, Linux, NamespaceEntry};
use crate::mounts::FileId;
use cofferdam_model::{IdMap, IdRange, Namespace, Namespaces};
use rustix::fs::{Mode, OFlags};
use std::os::fd::AsFd;

/// Whether the namespace of this kind behind this path is the host's.
pub(crate) type IsHosts<'a> = dyn Fn(&str, &str) -> bool + 'a;

/// The namespaces that config.json asks for.
///
/// A user namespace that is not asked for is the engine's ordinary case, none of its own and none joined: it counts as
/// the container's own, without a map.
pub(crate) fn measure(linux: &Linux, is_hosts: &IsHosts<'_>) -> Namespaces {
    let entries = linux.namespaces.as_deref().unwrap_or_default();
    let one = |kind, absent| one(entries, kind, absent, is_hosts);
    Namespaces {
        pid: one("pid", Namespace::Host),
        mount: one("mount", Namespace::Host),
        ipc: one("ipc", Namespace::Host),
        network: one("network", Namespace::Host),
        uts: one("uts", Namespace::Host),
        cgroup: one("cgroup", Namespace::Host),
        user: one("user", Namespace::Own),
    }
}

/// Of several entries of a kind, the worst counts.
fn one(entries: &[NamespaceEntry], kind: &str, absent: Namespace, is_hosts: &IsHosts<'_>) -> Namespace {
    let mut found = None;
    for entry in entries.iter().filter(|entry| entry.kind == kind) {
        let this = match entry.path.as_deref() {
            None | Some("") => Namespace::Own,
            Some(path) if is_hosts(kind, path) => Namespace::Host,
            Some(_) => Namespace::Foreign,
        };
        found = match (found, this) {
            (Some(Namespace::Foreign), _) | (_, Namespace::Foreign) => Some(Namespace::Foreign),
            (Some(Namespace::Host), _) | (_, Namespace::Host) => Some(Namespace::Host),
            _ => Some(Namespace::Own),
        };
    }
    found.unwrap_or(absent)
}

/// Whether a path leads to a namespace that the daemon itself is in, which is the host's (namespaces(7)): engines name the
/// host's network so. What cannot be told is not the host's, and neither is a process's: that may be in another one by the time
/// the runtime joins it.
pub(crate) fn is_hosts(kind: &str, path: &str) -> bool {
    let own = match kind {
        "network" => "net",
        "mount" => "mnt",
        other => other,
    };
    if path.starts_with("/proc/") || path.split('/').any(|part| part == "..") {
        return false;
    }
    let file = |path: &str| {
        let opened = rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
        FileId::behind(opened.as_fd()).ok()
    };
    let ours = file(&format!("/proc/self/ns/{own}"));
    ours.is_some() && file(path) == ours
}

/// The map of the container's own user namespace, where it has one.
pub(crate) fn id_map(linux: &Linux) -> Option<IdMap> {
    let entries = linux.namespaces.as_deref().unwrap_or_default();
    let joins = |entry: &NamespaceEntry| entry.path.as_deref().is_some_and(|path| !path.is_empty());
    let own = entries.iter().any(|entry| entry.kind == "user" && !joins(entry));
    let ranges = |mappings: &Option<Vec<IdMapping>>| {
        let range = |mapping: &IdMapping| IdRange {
            inside: mapping.container,
            outside: mapping.host,
            count: mapping.size,
        };
        mappings.iter().flatten().map(range).collect()
    };
    own.then(|| IdMap {
        uids: ranges(&linux.uid_mappings),
        gids: ranges(&linux.gid_mappings),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linux(namespaces: &str) -> Linux {
        serde_json::from_str(&format!(r#"{{"namespaces":{namespaces}}}"#)).unwrap()
    }

    fn measured(namespaces: &str) -> Namespaces {
        measure(&linux(namespaces), &is_hosts)
    }

    #[test]
    fn the_hosts_by_path_is_the_hosts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("default");
        std::fs::write(&path, "").unwrap();
        rustix::mount::mount_bind("/proc/self/ns/net", &path).unwrap();
        let named = path.display();
        let found = measured(&format!(
            r#"[{{"type":"network","path":"{named}"}},{{"type":"ipc","path":"{named}"}}]"#
        ));
        rustix::mount::unmount(&path, rustix::mount::UnmountFlags::DETACH).unwrap();
        assert_eq!((found.network, found.ipc), (Namespace::Host, Namespace::Foreign));
        assert_eq!(
            measured(r#"[{"type":"network","path":"/proc/self/ns/net"}]"#).network,
            Namespace::Foreign
        );
    }

    #[test]
    fn absent_is_the_hosts_and_a_path_is_foreign() {
        let found = measured(
            r#"[{"type":"mount"},{"type":"ipc","path":"/nowhere/ns/ipc"},{"type":"uts","path":""}]"#,
        );
        assert_eq!(
            (found.mount, found.ipc, found.uts),
            (Namespace::Own, Namespace::Foreign, Namespace::Own)
        );
        assert_eq!(
            (found.pid, found.network, found.user),
            (Namespace::Host, Namespace::Host, Namespace::Own)
        );
    }

    #[test]
    fn the_worse_of_two_counts() {
        let found = measured(r#"[{"type":"pid"},{"type":"pid","path":"/nowhere/ns/pid"}]"#);
        assert_eq!(found.pid, Namespace::Foreign);
    }

    #[test]
    fn a_user_namespace_brings_its_map() {
        assert_eq!(id_map(&linux("[]")), None);
        let text = r#"{"namespaces":[{"type":"user"}],"uidMappings":[{"containerID":0,"hostID":100000,"size":65536}]}"#;
        let map = id_map(&serde_json::from_str(text).unwrap()).unwrap();
        assert_eq!(
            map.uids,
            [IdRange {
                inside: 0,
                outside: 100_000,
                count: 65_536
            }]
        );
        assert!(map.gids.is_empty());
    }

    #[test]
    fn a_joined_user_namespace_has_no_map_of_its_own() {
        let text = r#"{"namespaces":[{"type":"user","path":"/x"}],"uidMappings":[{"containerID":0,"hostID":7,"size":1}]}"#;
        assert_eq!(id_map(&serde_json::from_str(text).unwrap()), None);
    }
}
