//! Each place by table, hostile ones included.

use super::*;
use crate::{ImageIdentity, Namespace, Namespaces, Owner, Sha256, User};
use proptest::prelude::*;

fn running(cwd: &str, program: &str) -> Measurement {
    let own = Namespace::Own;
    Measurement {
        container: "3f2a".parse().unwrap(),
        image: ImageIdentity {
            config: Sha256::from_bytes([1; 32]),
            chain: Sha256::from_bytes([2; 32]),
        },
        image_command: Vec::new(),
        image_cwd: "/".into(),
        healthcheck: None,
        argv: vec![program.into()],
        env: Vec::new(),
        foreign_env: Default::default(),
        foreign_groups: Default::default(),
        root: Default::default(),
        cwd: cwd.into(),
        user: User {
            owner: Owner { uid: 0, gid: 0 },
            groups: Vec::new(),
            overrides_ownership: true,
        },
        mounts: Vec::new(),
        namespaces: Namespaces {
            pid: own,
            mount: own,
            ipc: own,
            network: own,
            uts: own,
            cgroup: own,
            user: own,
        },
        no_new_privileges: false,
        privileges: Default::default(),
        capabilities: Default::default(),
        id_map: None,
        ticket: None,
    }
}

fn mount(kind: MountKind, destination: &str) -> MeasuredMount {
    MeasuredMount {
        index: 0,
        destination: destination.into(),
        kind,
        read_only: true,
        lands: None,
        hides_files: false,
    }
}

fn volume(destination: &str) -> MeasuredMount {
    mount(MountKind::Volume("payments.pgdata".parse().unwrap()), destination)
}

fn kernel(kind: &str, destination: &str) -> MeasuredMount {
    mount(MountKind::Kernel(kind.into()), destination)
}

#[test]
fn places_that_read_in_two_ways_are_not_plain() {
    for place in [
        "",
        "bin",
        "./bin",
        "//",
        "//bin",
        "/bin//",
        "/data//x",
        "/.",
        "/..",
        "/data/./x",
        "/data/../bin",
        "/data/..",
        "data/",
    ] {
        assert_eq!(plain(place), None, "{place:?}");
        assert!(running("/", "/bin/app").is_hidden_by(&volume(place)), "{place:?}");
    }
    for (place, bare) in [
        ("/", "/"),
        ("/bin", "/bin"),
        ("/bin/", "/bin"),
        ("/...", "/..."),
        ("/a b", "/a b"),
    ] {
        assert_eq!(plain(place), Some(bare));
    }
    assert!(same("/app", "/app/") && same("/", "/"));
    assert!(!same("/app", "/app//") && !same("/", "") && !same("/app", "/ap"));
}

#[test]
fn the_images_own_is_hidden() {
    let app = running("/", "/bin/app");
    for place in [
        "/",
        "/bin",
        "/bin/",
        "/bin/app",
        "/sbin",
        "/lib",
        "/lib/x86_64-linux-gnu",
        "/lib32",
        "/lib64",
        "/libx32",
        "/usr",
        "/usr/share/nginx/html",
        "/etc",
        "/etc/passwd",
        "/boot",
        "/dev",
        "/dev/shm",
        "/proc",
        "/sys/fs/cgroup",
        "/run",
        "/run/cofferdam",
        "/run/cofferdam/x",
    ] {
        assert!(app.is_hidden_by(&volume(place)), "{place}");
    }
    for (kind, place) in [
        ("tmpfs", "/"),
        ("tmpfs", "/etc"),
        ("tmpfs", "/lib"),
        ("tmpfs", "/dev/pts"),
        ("tmpfs", "/run/cofferdam"),
        ("proc", "/sys"),
        ("sysfs", "/proc"),
        ("proc", "/proc/sys"),
        ("tmpfs", "run"),
    ] {
        assert!(app.is_hidden_by(&kernel(kind, place)), "{kind} {place}");
    }
}

#[test]
fn other_places_are_free() {
    let app = running("/", "/bin/app");
    for place in [
        "/data",
        "/data/",
        "/data/inner",
        "/var/lib/postgresql/data",
        "/srv/seed",
        "/binary",
        "/etc2",
        "/opt/x",
        "/run/app",
        "/app",
    ] {
        assert!(!app.is_hidden_by(&volume(place)), "{place}");
    }
    for (kind, place) in ORDINARY.into_iter().chain([
        ("tmpfs", "/tmp"),
        ("tmpfs", "/run/"),
        ("tmpfs", "/var/tmp"),
        ("proc", "/proc/"),
    ]) {
        assert!(!app.is_hidden_by(&kernel(kind, place)), "{kind} {place}");
    }
    assert!(!app.is_hidden_by(&mount(MountKind::Engine, "/etc/hosts")));
    assert!(!app.is_hidden_by(&mount(MountKind::Outside("/tmp".into()), "/bin")));
}

#[test]
fn the_program_is_hidden() {
    for (cwd, program, place, hidden) in [
        ("/", "/app/server", "/app", true),
        ("/", "/app/server", "/app/", true),
        ("/", "/app/server", "/app/server", true),
        ("/", "/app/server", "/app/server/x", false),
        ("/", "/app/server", "/app/data", false),
        ("/", "/app/server", "/ap", false),
        ("/", "//app/./server", "/app", true),
        ("/data", "./server", "/data", true),
        ("/data", "bin/server", "/data", true),
        ("/data", "bin/server", "/data/bin", true),
        ("/data", "bin/server", "/bin2", false),
        ("/data/", "../app/server", "/app", true),
        ("/data", "../app/server", "/data", true),
        ("/data", "/app/server", "/data", false),
        ("/data", "server", "/data", false),
        ("/", "/data/x/../../app/server", "/data", true),
        ("/", "/data/x/../../app/server", "/data/x", true),
        ("/", "/../../app/server", "/app", true),
        ("/", "/run/app", "/run", true),
    ] {
        let found = running(cwd, program).is_hidden_by(&volume(place));
        assert_eq!(found, hidden, "{program} in {cwd}, volume at {place}");
    }
    assert!(running("/", "/run/app").is_hidden_by(&kernel("tmpfs", "/run")));
    let endless = format!("/{}", "a/../".repeat(1 << 20));
    assert!(running("/", &endless).is_hidden_by(&volume("/data")));
    let mut nothing = running("/", "");
    assert!(!nothing.is_hidden_by(&volume("/data")));
    nothing.argv.clear();
    assert!(!nothing.is_hidden_by(&volume("/data")));
}

proptest! {
    /// The kernel's way of reading a path without symlinks is the measure: what it reads as lying at, above or
    /// below one of the image's own is hidden, whatever the text looks like.
    #[test]
    fn no_way_of_writing_slips_through(
        parts in proptest::collection::vec(
            prop_oneof![Just(""), Just("."), Just(".."), Just("bin"), Just("usr"), Just("lib"), Just("data"), Just("x")],
            0..6,
        ),
        absolute: bool,
    ) {
        let text = format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"));
        let mut read: Vec<&str> = Vec::new();
        for part in &parts {
            match *part {
                "" | "." => {}
                ".." => { read.pop(); }
                name => read.push(name),
            }
        }
        let is_images = read.first().is_none_or(|top| ["bin", "usr", "lib"].contains(top));
        let hidden = running("/", "app").is_hidden_by(&volume(&text));
        prop_assert!(hidden || !is_images, "{}", text);
        prop_assert!(hidden || text.starts_with('/'), "{}", text);
    }
}
