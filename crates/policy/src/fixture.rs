//! One tenant with a database, as the tests know it.

use cofferdam_model::{
    App, Attachment, ContainerId, Epoch, Grant, IdMap, ImageIdentity, LaunchRule, MeasuredMount, Measurement,
    MountKind, Namespace, Namespaces, Owner, Process, Sha256, User, VolumeId, VolumeName,
};
use jiff::Timestamp;
use std::collections::BTreeSet;

/// 2026-01-01T00:00:00Z.
pub(crate) fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

pub(crate) fn digest(seed: u8) -> Sha256 {
    Sha256::from_bytes([seed; 32])
}

pub(crate) fn app(name: &str, image: u8) -> App {
    App {
        name: name.parse().unwrap(),
        image_reference: "postgres:16".into(),
        rule: LaunchRule {
            image: digest(image),
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
        created: now(),
    }
}

/// May write, may not exec, never ends.
pub(crate) fn grant(volume: &str, app: &str) -> Grant {
    Grant {
        volume: volume.parse().unwrap(),
        app: app.parse().unwrap(),
        write: true,
        exec: false,
        until: None,
    }
}

pub(crate) fn mount(volume: &str) -> MeasuredMount {
    MeasuredMount {
        index: 3,
        destination: "/var/lib/postgresql/data".into(),
        kind: MountKind::Volume(volume.parse().unwrap()),
        read_only: false,
        lands: None,
        hides_files: false,
    }
}

/// A container of image 1 as the engine makes it by default, with the volume `payments.pgdata`.
pub(crate) fn measurement() -> Measurement {
    let kernel = |index, destination: &str, kind: &str| MeasuredMount {
        index,
        destination: destination.into(),
        kind: MountKind::Kernel(kind.into()),
        read_only: false,
        lands: None,
        hides_files: false,
    };
    let texts = |list: &[&str]| {
        list.iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<String>>()
    };
    Measurement {
        container: "3f2a".parse::<ContainerId>().unwrap(),
        image: ImageIdentity {
            config: digest(1),
            chain: digest(9),
        },
        image_command: texts(&["docker-entrypoint.sh", "postgres"]),
        image_cwd: "/".into(),
        healthcheck: Some(texts(&["/bin/sh", "-c", "pg_isready"])),
        argv: texts(&["docker-entrypoint.sh", "postgres"]),
        env: texts(&["PATH=/usr/bin", "PGDATA=/var/lib/postgresql/data"]),
        foreign_env: BTreeSet::new(),
        foreign_groups: Default::default(),
        root: Default::default(),
        cwd: "/".into(),
        user: User {
            owner: Owner { uid: 999, gid: 999 },
            groups: vec![999],
            overrides_ownership: false,
        },
        mounts: vec![
            kernel(0, "/proc", "proc"),
            MeasuredMount {
                index: 1,
                destination: "/etc/hosts".into(),
                kind: MountKind::Engine,
                read_only: false,
                lands: None,
                hides_files: false,
            },
            kernel(2, "/tmp", "tmpfs"),
            mount("payments.pgdata"),
        ],
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
        capabilities: ["CHOWN", "SETUID", "KILL"].map(str::to_owned).into(),
        id_map: None::<IdMap>,
        ticket: None,
    }
}

pub(crate) fn attachment(volume: &str, app: &str) -> Attachment {
    Attachment {
        volume: volume.parse::<VolumeName>().unwrap(),
        volume_id: VolumeId::from_bits(7),
        container: "3f2a".parse().unwrap(),
        app: app.parse().unwrap(),
        destination: "/var/lib/postgresql/data".into(),
        read_only: false,
        exec: false,
        epoch: Epoch(1),
        since: now(),
        process: Process { pid: 1, started: 1 },
        runtime_root: "/run/runc".into(),
        boot: "boot".into(),
    }
}
