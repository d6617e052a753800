//! config.json, read by another hand.

use serde_json::Value;
use std::path::Path;

/// Capabilities by which others are reached.
const REACHING: [&str; 9] = [
    "SYS_ADMIN",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_PTRACE",
    "SYS_BOOT",
    "DAC_READ_SEARCH",
    "BPF",
    "PERFMON",
    "CHECKPOINT_RESTORE",
];

/// Filesystems that bring nothing of the host's.
const KERNELS: [&str; 7] = ["cgroup", "cgroup2", "devpts", "mqueue", "proc", "sysfs", "tmpfs"];

/// What every engine masks, and makes read-only.
const MASKED: [&str; 9] = [
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/firmware",
];
const READ_ONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// A field as Go's decoder finds it: in any case.
fn field<'a>(value: &'a Value, name: &str) -> &'a Value {
    let found = value
        .as_object()
        .and_then(|fields| fields.iter().find(|(key, _)| same(key, name)));
    found.map_or(&Value::Null, |(_, value)| value)
}

fn same(one: &str, other: &str) -> bool {
    folded(one) == folded(other)
}

/// By simple case folding: the Kelvin sign is a k, the long s an s.
fn folded(key: &str) -> String {
    key.to_lowercase().replace('\u{17f}', "s")
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Whether a mount binds its source, for the runtimes that we know.
fn binds(mount: &Value) -> bool {
    text(field(mount, "type")) == "bind"
        || items(field(mount, "options"))
            .iter()
            .any(|option| matches!(text(option), "bind" | "rbind"))
}

/// Why a container that nobody is asked about could reach others all the same; none where it could not. `opened` are the mounts whose
/// sources are looked at.
pub fn reaches(config: &Value, opened: &[usize]) -> Option<String> {
    let linux = field(config, "linux");
    let namespaces = items(field(linux, "namespaces"));
    for kind in ["pid", "mount"] {
        let own = namespaces
            .iter()
            .filter(|entry| text(field(entry, "type")) == kind)
            .count();
        if own == 0 {
            return Some(format!("the host's {kind} namespace"));
        }
    }
    for entry in namespaces {
        let kind = text(field(entry, "type"));
        if ["pid", "mount", "user", "ipc"].contains(&kind) && !text(field(entry, "path")).is_empty() {
            return Some(format!("another's {kind} namespace"));
        }
    }
    let sets = field(field(config, "process"), "capabilities");
    for (set, names) in sets.as_object().into_iter().flatten() {
        for name in items(names) {
            let name = text(name).to_uppercase();
            if REACHING
                .iter()
                .any(|reaching| name == *reaching || name == format!("CAP_{reaching}"))
            {
                return Some(format!("{name} in {set}"));
            }
        }
    }
    if !items(field(linux, "devices")).is_empty() {
        return Some("a device".to_owned());
    }
    for rule in items(field(field(linux, "resources"), "devices")) {
        let access = text(field(rule, "access"));
        let opens = access.is_empty() || access.contains(['r', 'w']);
        if field(rule, "allow") == &Value::Bool(true) && opens && !is_ordinary(rule) {
            return Some(format!("the devices of {rule}"));
        }
    }
    for (name, wanted) in [("maskedPaths", &MASKED[..]), ("readonlyPaths", &READ_ONLY[..])] {
        let found = items(field(linux, name));
        if let Some(lacking) = wanted
            .iter()
            .find(|path| !found.iter().any(|found| text(found) == **path))
        {
            return Some(format!("{lacking} is not in {name}"));
        }
    }
    for (index, mount) in items(field(config, "mounts")).iter().enumerate() {
        let kind = text(field(mount, "type"));
        if !opened.contains(&index) && (binds(mount) || !KERNELS.contains(&kind)) {
            return Some(format!("mount {index} is not looked at"));
        }
        if !opened.contains(&index) && text(field(mount, "source")).starts_with('/') {
            return Some(format!("mount {index} has a path that is not looked at"));
        }
    }
    None
}

fn is_ordinary(rule: &Value) -> bool {
    let number = |name: &str| field(rule, name).as_i64().unwrap_or(-1);
    let (major, minor) = (number("major"), number("minor"));
    text(field(rule, "type")) == "c"
        && (major == 136 || major == 5 || (major == 1 && [3, 5, 7, 8, 9].contains(&minor)))
}

/// What a rewriting may not have changed.
///
/// # Panics
/// Where anything else was, or where what must be is not.
pub fn only_these_differ(
    before: &Value,
    after: &Value,
    opened: &[(usize, bool)],
    judged: &[usize],
    place: &Path,
) {
    let mut before = before.clone();
    let mut after = after.clone();
    for index in opened.iter().map(|(index, _)| index).chain(judged) {
        let mount = &after["mounts"][*index];
        assert_eq!(mount["source"], place.join(index.to_string()).to_str().unwrap());
        for config in [&mut before, &mut after] {
            config["mounts"][*index]
                .as_object_mut()
                .unwrap()
                .shift_remove("source");
        }
    }
    for (index, read_only) in opened {
        let asked: Vec<Value> = items(&before["mounts"][*index]["options"]).to_vec();
        let given: Vec<Value> = items(&after["mounts"][*index]["options"]).to_vec();
        let has = |option: &str| given.iter().any(|given| given == option);
        assert!(has("nosuid") && has("nodev") && !["suid", "dev", "rsuid", "rdev"].iter().any(|o| has(o)));
        let last = given
            .iter()
            .rev()
            .find(|option| ["ro", "rro", "rw", "rrw"].contains(&text(option)));
        assert!(!read_only || last.is_some_and(|last| last == "ro"), "{given:?}");
        let ours = [
            "nosuid", "nodev", "ro", "suid", "dev", "rsuid", "rdev", "rw", "rrw",
        ];
        let theirs = |options: &[Value]| -> Vec<Value> {
            options
                .iter()
                .filter(|option| !ours.contains(&text(option)))
                .cloned()
                .collect()
        };
        assert_eq!(theirs(&asked), theirs(&given), "options that are none of ours");
        for config in [&mut before, &mut after] {
            config["mounts"][*index]
                .as_object_mut()
                .unwrap()
                .shift_remove("options");
        }
    }
    without_ticket(&mut before);
    assert_eq!(before, after);
    // Not even the order of what is left.
    assert_eq!(before.to_string(), after.to_string());
}

fn without_ticket(config: &mut Value) {
    if let Some(env) = config
        .get_mut("process")
        .and_then(|process| process.get_mut("env"))
        .and_then(Value::as_array_mut)
    {
        env.retain(|entry| !text(entry).starts_with("COFFERDAM_TICKET="));
    }
    if let Some(annotations) = config.get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.shift_remove("dev.cofferdam.ticket");
    }
}

/// Whether an object of the document, which is valid JSON, has a key twice in whichever case; in maps of data, twice as it is.
pub fn is_ambiguous(document: &[u8]) -> bool {
    const MAPS: [&str; 6] = [
        "annotations",
        "sysctl",
        "unified",
        "Labels",
        "Volumes",
        "ExposedPorts",
    ];
    /// An object or array that is open, with the keys that it has had and whether they are data.
    struct Open(Vec<String>, bool);
    let mut open: Vec<Open> = Vec::new();
    let mut last_key = String::new();
    let mut at = 0;
    while at < document.len() {
        match document[at] {
            b'{' | b'[' => {
                let is_map = MAPS.contains(&last_key.as_str()) && document[at] == b'{';
                open.push(Open(Vec::new(), is_map));
                last_key.clear();
            }
            b'}' | b']' => {
                open.pop();
                last_key.clear();
            }
            b',' => last_key.clear(),
            b'"' => {
                let start = at;
                at += 1;
                while document[at] != b'"' {
                    at += if document[at] == b'\\' { 2 } else { 1 };
                }
                let is_key = document[at + 1..].iter().find(|byte| !b" \t\r\n".contains(byte)) == Some(&b':');
                if is_key && let Some(Open(keys, is_map)) = open.last_mut() {
                    let key: String = serde_json::from_slice(&document[start..=at]).unwrap();
                    let compared = if *is_map { key.clone() } else { folded(&key) };
                    if keys.contains(&compared) {
                        return true;
                    }
                    keys.push(compared);
                    last_key = key;
                }
            }
            _ => {}
        }
        at += 1;
    }
    false
}
