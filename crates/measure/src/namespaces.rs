//! Where a container's namespaces come from.

use crate::config::{IdMapping, Linux, NamespaceEntry};
use cofferdam_model::{IdMap, IdRange, Namespace, Namespaces};

/// The namespaces that config.json asks for.
///
/// A user namespace that is not asked for is the engine's ordinary case, none of its own and none joined: it counts as
/// the container's own, without a map.
pub(crate) fn measure(linux: &Linux) -> Namespaces {
    let entries = linux.namespaces.as_deref().unwrap_or_default();
    Namespaces {
        pid: one(entries, "pid", Namespace::Host),
        mount: one(entries, "mount", Namespace::Host),
        ipc: one(entries, "ipc", Namespace::Host),
        network: one(entries, "network", Namespace::Host),
        uts: one(entries, "uts", Namespace::Host),
        cgroup: one(entries, "cgroup", Namespace::Host),
        user: one(entries, "user", Namespace::Own),
    }
}

/// A kind that is named twice counts as the worse of both.
fn one(entries: &[NamespaceEntry], kind: &str, absent: Namespace) -> Namespace {
    let mut named = entries.iter().filter(|entry| entry.kind == kind).peekable();
    if named.peek().is_none() {
        return absent;
    }
    let joined = named.any(|entry| entry.path.as_deref().is_some_and(|path| !path.is_empty()));
    if joined {
        Namespace::Foreign
    } else {
        Namespace::Own
    }
}

/// The map of the container's own user namespace, where it has one.
pub(crate) fn id_map(linux: &Linux) -> Option<IdMap> {
    let entries = linux.namespaces.as_deref().unwrap_or_default();
    let own = entries.iter().any(|entry| entry.kind == "user");
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

    #[test]
    fn absent_is_the_hosts_and_a_path_is_foreign() {
        let found = measure(&linux(
            r#"[{"type":"mount"},{"type":"ipc","path":"/proc/1/ns/ipc"},{"type":"uts","path":""}]"#,
        ));
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
        let found = measure(&linux(
            r#"[{"type":"pid"},{"type":"pid","path":"/proc/7/ns/pid"}]"#,
        ));
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
}
