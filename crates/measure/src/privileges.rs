//! What a container holds beyond an engine's ordinary container.

use crate::config::{Capabilities, Config, DeviceRule, Hook, Linux, Seccomp};
use cofferdam_model::{Namespace, Namespaces, Privilege, place};
use std::collections::BTreeSet;

/// The capabilities of an ordinary container (Docker's and containerd's default set).
const ORDINARY: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// Character devices that every container may use, by major and minor number: null, zero, full, random, urandom, tty,
/// console, ptmx, and the pseudo terminals.
const ORDINARY_DEVICES: [(i64, Option<i64>); 9] = [
    (1, Some(3)),
    (1, Some(5)),
    (1, Some(7)),
    (1, Some(8)),
    (1, Some(9)),
    (5, Some(0)),
    (5, Some(1)),
    (5, Some(2)),
    (136, None),
];

/// Annotations that steer the runtime below begin so.
const STEERING: [&str; 10] = [
    "run.oci.",
    "org.systemd.property.", // runc sets it on the container's unit, DeviceAllow= included
    "io.kubernetes.cri-o.",
    "io.katacontainers.",
    "dev.gvisor.",
    "module.wasm.",
    "krun.",
    "org.criu.",
    "io.crun.",
    "com.github.containers.",
];

/// What a filter does by default when it is one. Any other action lets unnamed system calls through.
const REFUSING: [&str; 4] = [
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_KILL_PROCESS",
];

/// Everything beyond the ordinary.
pub(crate) fn measure(config: &Config, linux: &Linux, namespaces: &Namespaces) -> BTreeSet<Privilege> {
    let mut found: BTreeSet<Privilege> = BTreeSet::new();
    let sets = config.process.capabilities.as_ref();
    let beyond = sets
        .map(all)
        .unwrap_or_default()
        .into_iter()
        .filter(|name| !ORDINARY.contains(&name.as_str()));
    found.extend(beyond.map(Privilege::Capability));
    found.extend(
        linux
            .devices
            .iter()
            .flatten()
            .map(|device| match device.kind.as_str() {
                "c" | "u" | "p" if !is_a_disk(device.major, device.minor, &device.path) => {
                    Privilege::Device(device.path.clone())
                }
                _ => Privilege::BlockDevice(device.path.clone()),
            }),
    );
    let rules = linux
        .resources
        .iter()
        .flat_map(|resources| resources.devices.iter().flatten());
    found.extend(rules.filter_map(device_rule));
    found.extend(
        shared(namespaces)
            .into_iter()
            .map(|kind| Privilege::SharedNamespace(kind.to_owned())),
    );
    let hooks = config
        .hooks
        .iter()
        .flatten()
        .flat_map(|(_, hooks)| hooks.iter().flatten());
    found.extend(
        hooks
            .filter(|hook| !is_engines_own(hook))
            .map(|hook| Privilege::Hook(hook.path.clone())),
    );
    if !linux.seccomp.as_ref().is_some_and(confines) {
        found.insert(Privilege::UnconfinedSeccomp);
    }
    if !covers(&linux.masked_paths, &place::ALWAYS_MASKED)
        || !covers(&linux.readonly_paths, &place::ALWAYS_READ_ONLY)
    {
        found.insert(Privilege::UnmaskedPaths);
    }
    let annotations = config
        .annotations
        .iter()
        .flat_map(|annotations| annotations.keys());
    let steering = annotations.filter(|key| {
        let key = key.to_ascii_lowercase();
        STEERING.iter().any(|prefix| key.starts_with(prefix))
    });
    found.extend(steering.map(|key| Privilege::SteeringAnnotation(key.clone())));
    found
}

fn covers(found: &Option<Vec<String>>, wanted: &[&str]) -> bool {
    wanted
        .iter()
        .all(|path| found.iter().flatten().any(|found| found == path))
}

/// A filter that refuses what it does not name, and hands no system call to a program outside, which could answer
/// for the kernel.
fn confines(seccomp: &Seccomp) -> bool {
    let refuses = seccomp
        .default_action
        .as_deref()
        .is_some_and(|action| REFUSING.contains(&action));
    refuses && seccomp.listener_path.as_deref().is_none_or(str::is_empty)
}

/// All capabilities in any of the five sets.
fn all(sets: &Capabilities) -> BTreeSet<String> {
    [
        &sets.bounding,
        &sets.effective,
        &sets.permitted,
        &sets.inheritable,
        &sets.ambient,
    ]
    .into_iter()
    .flat_map(bare)
    .collect()
}

/// The names of one set, without `CAP_`, in upper case.
pub(crate) fn bare(set: &Option<Vec<String>>) -> BTreeSet<String> {
    set.iter()
        .flatten()
        .map(|name| name.to_ascii_uppercase().trim_start_matches("CAP_").to_owned())
        .collect()
}

/// Docker connects a container to its network by a hook of its own: its very binary, with one argument that nothing else has.
fn is_engines_own(hook: &Hook) -> bool {
    let number = hook
        .path
        .strip_prefix("/proc/")
        .and_then(|rest| rest.strip_suffix("/exe"));
    let is_a_process =
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()));
    is_a_process
        && hook
            .args
            .iter()
            .flatten()
            .next()
            .is_some_and(|name| name == "libnetwork-setkey")
}

/// Character devices through which disks or the host's memory are reached: SCSI generic, raw, and the host's memory itself by number
/// (Documentation/admin-guide/devices.txt); those without a number of their own by name.
fn is_a_disk(major: Option<i64>, minor: Option<i64>, path: &str) -> bool {
    let by_number = match (major, minor) {
        (Some(21 | 90 | 162), _) => true,
        (Some(1), minor) => !minor.is_some_and(|minor| [3, 5, 7, 8, 9, 11].contains(&minor)),
        _ => false,
    };
    let names = [
        "/dev/sg",
        "/dev/bsg",
        "/dev/ng",
        "/dev/nvme",
        "/dev/mtd",
        "/dev/vfio",
        "/dev/raw",
        "/dev/mem",
        "/dev/kmem",
        "/dev/port",
    ];
    by_number || names.iter().any(|name| path.starts_with(name))
}

/// Namespaces that are shared, but for pid, mount and network, which are facts of their own. An engine's ordinary container
/// shares the host's cgroup namespace on some hosts, so only a joined one counts there.
fn shared(namespaces: &Namespaces) -> Vec<&'static str> {
    let mut shared = Vec::new();
    if namespaces.ipc != Namespace::Own {
        shared.push("ipc");
    }
    if namespaces.uts != Namespace::Own {
        shared.push("uts");
    }
    if namespaces.cgroup == Namespace::Foreign {
        shared.push("cgroup");
    }
    if namespaces.user == Namespace::Foreign {
        shared.push("user");
    }
    shared
}

/// What a rule of the device cgroup allows beyond the ordinary.
fn device_rule(rule: &DeviceRule) -> Option<Privilege> {
    let access = rule
        .access
        .as_deref()
        .filter(|access| !access.is_empty())
        .unwrap_or("rwm");
    let kind = rule.kind.as_deref().unwrap_or("a");
    let only_mknod = access.bytes().all(|letter| letter == b'm') && matches!(kind, "b" | "c");
    if !rule.allow || only_mknod {
        return None;
    }
    let number = |number: Option<i64>| number.filter(|number| *number >= 0);
    let (major, minor) = (number(rule.major), number(rule.minor));
    let shown = |number: Option<i64>| number.map_or_else(|| "*".to_owned(), |number| number.to_string());
    let text = format!("{kind} {}:{} {access}", shown(major), shown(minor));
    match (kind, major) {
        ("c", Some(major)) => {
            let ordinary = ORDINARY_DEVICES
                .iter()
                .any(|(known, any)| *known == major && (any.is_none() || *any == minor));
            match ordinary {
                true => None,
                false if is_a_disk(Some(major), minor, "") => Some(Privilege::BlockDevice(text)),
                false => Some(Privilege::Device(text)),
            }
        }
        _ => Some(Privilege::BlockDevice(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config, namespaces};

    const WALLS: &str = r#""seccomp":{"defaultAction":"SCMP_ACT_ERRNO"},
        "maskedPaths":["/proc/acpi","/proc/kcore","/proc/keys","/proc/latency_stats","/proc/timer_list","/proc/timer_stats",
            "/proc/sched_debug","/proc/scsi","/sys/firmware"],
        "readonlyPaths":["/proc/bus","/proc/fs","/proc/irq","/proc/sys","/proc/sysrq-trigger"]"#;

    fn found(linux: &str, more: &str) -> Vec<String> {
        let text = format!(
            r#"{{"process":{{"args":["a"],"cwd":"/","user":{{"uid":0,"gid":0}},"capabilities":{{"bounding":["CAP_CHOWN","CAP_KILL"]}}}},
            "linux":{{"namespaces":[{{"type":"ipc"}},{{"type":"uts"}},{{"type":"pid"}},{{"type":"mount"}}],{WALLS}{linux}}}{more}}}"#
        );
        let config = config::parse(text.as_bytes()).unwrap();
        let linux = config.linux.as_ref().unwrap();
        measure(&config, linux, &namespaces::measure(linux, &|_, _| false))
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    fn allowed(rule: &str) -> Vec<String> {
        found(
            &format!(r#","resources":{{"devices":[{{"allow":true,{rule}}}]}}"#),
            "",
        )
    }

    #[test]
    fn an_ordinary_container_holds_nothing_more() {
        assert!(found("", "").is_empty());
        assert!(allowed(r#""type":"c","major":1,"minor":3,"access":"rwm""#).is_empty());
        assert!(allowed(r#""type":"c","major":136,"access":"rwm""#).is_empty());
        assert!(allowed(r#""type":"b","access":"m""#).is_empty());
    }

    #[test]
    fn devices_are_found_however_they_are_given() {
        assert_eq!(
            allowed(r#""type":"a","access":"rwm""#),
            ["block-device:a *:* rwm"]
        );
        assert_eq!(allowed(r#""access":"rwm""#), ["block-device:a *:* rwm"]);
        assert_eq!(
            allowed(r#""type":"b","major":8,"minor":0,"access":"r""#),
            ["block-device:b 8:0 r"]
        );
        assert_eq!(allowed(r#""type":"c","access":"rw""#), ["block-device:c *:* rw"]);
        assert_eq!(
            allowed(r#""type":"c","major":-1,"access":"rw""#),
            ["block-device:c *:* rw"]
        );
        assert_eq!(
            allowed(r#""type":"c","major":10,"minor":229,"access":"rwm""#),
            ["device:c 10:229 rwm"]
        );
        let devices = r#","devices":[{"path":"/dev/sda","type":"b"},{"path":"/dev/fuse","type":"c"},{"path":"/x","type":"?"}]"#;
        assert_eq!(
            found(devices, ""),
            ["device:/dev/fuse", "block-device:/dev/sda", "block-device:/x"]
        );
    }

    #[test]
    fn hooks_other_than_the_engines_own_are_found() {
        let own = r#","hooks":{"prestart":[{"path":"/proc/10/exe","args":["libnetwork-setkey","x"]}]}"#;
        assert!(found("", own).is_empty());
        let foreign = r#","hooks":{"Whatever":[{"path":"/bin/touch"},{"path":"/proc/self/exe","args":["libnetwork-setkey"]}],"poststop":null}"#;
        assert_eq!(found("", foreign), ["hook:/bin/touch", "hook:/proc/self/exe"]);
    }

    #[test]
    fn capabilities_count_in_every_set() {
        for set in ["bounding", "effective", "permitted", "inheritable", "ambient"] {
            let text = format!(
                r#"{{"process":{{"args":["a"],"cwd":"/","user":{{"uid":0,"gid":0}},"capabilities":{{"{set}":["cap_sys_admin"]}}}},
                "linux":{{{WALLS},"namespaces":[{{"type":"ipc"}},{{"type":"uts"}}]}}}}"#
            );
            let config = config::parse(text.as_bytes()).unwrap();
            let linux = config.linux.as_ref().unwrap();
            let found = measure(&config, linux, &namespaces::measure(linux, &|_, _| false));
            assert_eq!(
                found.into_iter().collect::<Vec<_>>(),
                [Privilege::Capability("SYS_ADMIN".into())],
                "{set}"
            );
        }
    }

    #[test]
    fn walls_that_are_missing_are_found() {
        let text = r#"{"process":{"args":["a"],"cwd":"/","user":{"uid":0,"gid":0}},"linux":{},"annotations":{"run.oci.x":"1","y":"2"}}"#;
        let config = config::parse(text.as_bytes()).unwrap();
        let linux = config.linux.as_ref().unwrap();
        let found: Vec<String> = measure(&config, linux, &namespaces::measure(linux, &|_, _| false))
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            found,
            [
                "namespace:ipc",
                "namespace:uts",
                "unconfined-seccomp",
                "unmasked-paths",
                "annotation:run.oci.x"
            ]
        );
    }

    /// What is found where one thing in an ordinary container is exchanged.
    fn with(old: &str, new: &str) -> Vec<String> {
        assert!(WALLS.contains(old), "{old}");
        let linux = format!(
            r#"{{"namespaces":[{{"type":"ipc"}},{{"type":"uts"}}],{}}}"#,
            WALLS.replace(old, new)
        );
        let text =
            format!(r#"{{"process":{{"args":["a"],"cwd":"/","user":{{"uid":0,"gid":0}}}},"linux":{linux}}}"#);
        let config = config::parse(text.as_bytes()).unwrap();
        let linux = config.linux.as_ref().unwrap();
        let found = measure(&config, linux, &namespaces::measure(linux, &|_, _| false));
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_filter_that_lets_everything_through_is_none() {
        for action in [
            "SCMP_ACT_ALLOW",
            "SCMP_ACT_LOG",
            "SCMP_ACT_NOTIFY",
            "SCMP_ACT_TRACE",
            "",
        ] {
            assert_eq!(with("SCMP_ACT_ERRNO", action), ["unconfined-seccomp"], "{action}");
        }
        let listened = with(r#""SCMP_ACT_ERRNO""#, r#""SCMP_ACT_ERRNO","listenerPath":"/x""#);
        assert_eq!(listened, ["unconfined-seccomp"]);
        assert!(with("SCMP_ACT_ERRNO", "SCMP_ACT_KILL_PROCESS").is_empty());
    }

    #[test]
    fn every_wall_before_proc_and_sys_is_looked_for() {
        for path in place::ALWAYS_MASKED.iter().chain(&place::ALWAYS_READ_ONLY) {
            assert_eq!(with(path, "/elsewhere"), ["unmasked-paths"], "{path}");
        }
    }

    #[test]
    fn annotations_that_steer_are_found_in_any_case() {
        for key in [
            "org.systemd.property.DeviceAllow",
            "io.kubernetes.cri-o.x",
            "Run.OCI.handler",
        ] {
            let more = format!(r#","annotations":{{"{key}":"1"}}"#);
            assert_eq!(found("", &more), [format!("annotation:{key}")]);
        }
    }

    #[test]
    fn an_empty_access_is_every_access() {
        assert_eq!(
            allowed(r#""type":"b","major":8,"minor":0,"access":"""#),
            ["block-device:b 8:0 rwm"]
        );
    }
}
