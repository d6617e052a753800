//! How long a decision takes, and how much memory the facts need, with 100,000 grants.
//!
//! 10,000 apps of 500 images hold 100,000 grants on 50,000 volumes. Of the decisions, half admit, a quarter meet
//! another command, a quarter another image. Prints one line of JSON; times are in microseconds, memory in MiB.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run must stop")]

use cofferdam_model::{
    App, Grant, ImageIdentity, LaunchRule, MeasuredMount, Measurement, MountKind, Namespace, Namespaces,
    Owner, Sha256, User, VolumeName,
};
use cofferdam_policy::{Facts, Judge};
use jiff::Timestamp;
use std::{collections::BTreeSet, fs, hint::black_box, time::Instant};

const APPS: usize = 10_000;
const VOLUMES: usize = 50_000;
const GRANTS: usize = 100_000;
const IMAGES: usize = 500;
const DECISIONS: usize = 100_000;

fn main() {
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let mut facts = Facts::new();
    (0..APPS).for_each(|n| assert!(facts.insert_app(app(n, now)).is_none()));
    (0..GRANTS).for_each(|n| assert!(facts.insert_grant(&grant(n, now)).is_none()));
    assert_eq!(facts.grant_count(), GRANTS);
    let judge = Judge::new(&[]).unwrap();

    let mut times = Vec::with_capacity(DECISIONS);
    for round in 0..DECISIONS {
        // A stride that is coprime to the number of grants visits them all, in no order that a cache likes.
        let n = round * 7919 % GRANTS;
        let volume = volume_of(n);
        let mount = mount(&volume);
        let measurement = measurement(n, round, &mount);
        let start = Instant::now();
        let verdict = black_box(judge.open(&facts, &measurement, &volume, &mount, now));
        times.push(start.elapsed());
        assert_eq!(verdict.outcome.is_ok(), round % 4 < 2, "{:?}", verdict.decision);
    }
    times.sort();
    let at = |share: usize| {
        let time = times.get(DECISIONS * share / 100).unwrap();
        time.as_nanos() as f64 / 1000.0
    };
    println!(
        "{{\"p50_us\":{:.1},\"p99_us\":{:.1},\"rss_mib\":{:.1},\"grants\":{GRANTS}}}",
        at(50),
        at(99),
        resident_mib()
    );
}

fn image(n: usize) -> Sha256 {
    let mut bytes = [0x5a; 32];
    bytes[..8].copy_from_slice(&(n as u64).to_le_bytes());
    Sha256::from_bytes(bytes)
}

fn app(n: usize, now: Timestamp) -> App {
    App {
        name: format!("tenant-{}.application-{n}", n % 100).parse().unwrap(),
        image_reference: "registry.example/team/application:1.2.3".to_owned(),
        rule: LaunchRule {
            image: image(n % IMAGES),
            command: Default::default(),
            user: Default::default(),
            cwd: None,
            network: Default::default(),
            mounts: BTreeSet::new(),
            env: BTreeSet::new(),
            groups: Default::default(),
            changed: BTreeSet::new(),
            allow: BTreeSet::new(),
            healthcheck: None,
            no_new_privileges: false,
            ticket: false,
        },
        created: now,
    }
}

fn volume_of(grant: usize) -> VolumeName {
    let n = grant % VOLUMES;
    format!("tenant-{}.volume-{n}", n % 100).parse().unwrap()
}

/// Grants n and n + VOLUMES are on the same volume, for two different apps of different images.
fn app_of(grant: usize) -> usize {
    (grant + grant / VOLUMES * 101) % APPS
}

fn grant(n: usize, now: Timestamp) -> Grant {
    Grant {
        volume: volume_of(n),
        app: app(app_of(n), now).name,
        write: true,
        exec: n.is_multiple_of(3),
        until: n
            .is_multiple_of(2)
            .then(|| "2027-01-01T00:00:00Z".parse().unwrap()),
    }
}

fn mount(volume: &VolumeName) -> MeasuredMount {
    MeasuredMount {
        index: 7,
        destination: "/var/lib/data".to_owned(),
        kind: MountKind::Volume(volume.clone()),
        read_only: false,
        lands: None,
        hides_files: false,
    }
}

/// The container of grant `n`'s app; every fourth round with another command, every fourth with another image.
fn measurement(n: usize, round: usize, mount: &MeasuredMount) -> Measurement {
    let command = vec!["/usr/bin/server".to_owned(), "--listen".to_owned()];
    let shell = vec!["sh".to_owned(), "-c".to_owned(), "cat /var/lib/data/*".to_owned()];
    let kernel = |index, (kind, destination): (&str, &str)| MeasuredMount {
        index,
        destination: destination.to_owned(),
        kind: MountKind::Kernel(kind.to_owned()),
        read_only: false,
        lands: None,
        hides_files: false,
    };
    let destinations = [
        ("proc", "/proc"),
        ("tmpfs", "/dev"),
        ("devpts", "/dev/pts"),
        ("sysfs", "/sys"),
        ("cgroup2", "/sys/fs/cgroup"),
        ("mqueue", "/dev/mqueue"),
        ("tmpfs", "/dev/shm"),
    ];
    let mut mounts: Vec<MeasuredMount> = destinations
        .into_iter()
        .enumerate()
        .map(|(n, at)| kernel(n, at))
        .collect();
    mounts.push(mount.clone());
    Measurement {
        container: format!("{n:064x}").parse().unwrap(),
        image: ImageIdentity {
            config: image(if round % 4 == 3 {
                IMAGES + n
            } else {
                app_of(n) % IMAGES
            }),
            chain: image(0),
        },
        image_command: command.clone(),
        image_cwd: "/".to_owned(),
        healthcheck: None,
        argv: if round % 4 == 2 { shell } else { command },
        env: Vec::new(),
        foreign_env: BTreeSet::new(),
        foreign_groups: Default::default(),
        root: Default::default(),
        cwd: "/".to_owned(),
        user: User {
            owner: Owner { uid: 1000, gid: 1000 },
            groups: Vec::new(),
            overrides_ownership: false,
        },
        mounts,
        namespaces: Namespaces {
            pid: Namespace::Own,
            mount: Namespace::Own,
            ipc: Namespace::Own,
            network: Namespace::Own,
            uts: Namespace::Own,
            cgroup: Namespace::Own,
            user: Namespace::Host,
        },
        no_new_privileges: false,
        privileges: BTreeSet::new(),
        capabilities: BTreeSet::new(),
        id_map: None,
        ticket: None,
    }
}

/// Resident memory of this process, from proc_pid_status(5).
fn resident_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kib / 1024.0
}
