//! Host paths that are bound into containers: where each really lies, and whether it may be bound.
//!
//! A source is judged by its descriptor, and that very descriptor is what the runtime mounts: no name is looked up again. It is
//! compared with every forbidden place by file (device and inode) and by where both lie in their filesystem, so that neither links
//! nor bind mounts of either change anything; and in both directions, since what contains a forbidden place is as good as it. The
//! same goes for what is mounted below it, which comes along.

mod early;
mod granted;
mod place;

pub(crate) use early::{EarlyJudge, filesystem_early};

use crate::daemon::Daemon;
use cofferdam_linux::mount;
use cofferdam_model::{
    Guarding, HostPath, MeasuredMount, Measurement, MountKind, Namespace, Owner, Problem, Result, Settings,
};
pub(super) use granted::Claimed;
use granted::{Granted, Source};
pub(super) use place::is_served_by_others;
use place::{Mounted, Place, places, table};
use rustix::fs::{Mode, OFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Forbidden out of the box: whoever writes there is root soon, and whoever reads there has others' secrets.
const FORBIDDEN: [&str; 31] = [
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/lib",
    "/lib64",
    "/proc",
    "/root",
    "/run",
    "/sbin",
    "/sys",
    "/usr",
    "/var/backups",
    "/var/lib/AccountsService",
    "/var/lib/apt",
    "/var/lib/cloud",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/dpkg",
    "/var/lib/incus",
    "/var/lib/kubelet",
    "/var/lib/libvirt",
    "/var/lib/lxc",
    "/var/lib/lxd",
    "/var/lib/polkit-1",
    "/var/lib/rancher",
    "/var/lib/rpm",
    "/var/lib/snapd",
    "/var/lib/systemd",
    "/var/run",
    "/var/spool/cron",
];

/// Where users' homes lie. A home as a whole, and what in it has a name that begins with a dot, says what its user runs and holds what
/// he logs in with. It is known by its path alone: a home may lie on a filesystem that its user serves, or that hangs.
const HOMES: &str = "/home";

/// Filesystems that bring nothing of this host's.
const FOREIGN: [&str; 6] = ["tmpfs", "nfs", "nfs4", "cifs", "smb3", "ceph"];

/// A source that was judged.
pub(super) struct Judged<'s> {
    /// Its mount in config.json.
    pub(super) index: usize,
    /// What was judged, and has to be mounted.
    pub(super) source: &'s OwnedFd,
    /// Where somebody has a grant on it: who the container is, and how it may bind it.
    pub(super) bound: Option<Claimed>,
}

/// The sources of a container that were judged; each must be mounted from the descriptor that came with it.
///
/// # Errors
/// `denied` for one that is forbidden, that was granted to others, or that nobody can tell the place of.
pub(super) fn judge<'s>(
    daemon: &Daemon,
    measurement: &Measurement,
    sources: &'s [(usize, OwnedFd)],
) -> Result<Vec<Judged<'s>>> {
    let outside = |index: usize| {
        let mount = measurement.mounts.iter().find(|mount| mount.index == index)?;
        matches!(mount.kind, MountKind::Outside(_)).then_some(mount)
    };
    let judged: Vec<_> = sources
        .iter()
        .filter_map(|(index, source)| Some((outside(*index)?, source)))
        .collect();
    if daemon.settings.guard.host_paths == Guarding::Off {
        return Ok(Vec::new());
    }
    if let Some(mount) = unopened(measurement, sources) {
        return Err(Problem::denied(format!(
            "what is to be mounted at {:?} is not there, or no bind mount, and cannot be judged",
            mount.destination
        ))
        .remedy("make it before the container starts, and bind it"));
    }
    // Most containers with a volume bind nothing else: they are spared the rest.
    if judged.is_empty() {
        return Ok(Vec::new());
    }
    let table = table()?;
    let mut forbidden = places(&forbidden(&daemon.settings), &table)?;
    let volumes = daemon.settings.docker.data_root.join("volumes");
    forbidden.extend(mounted_below(&forbidden, &table, &volumes));
    let allowed = places(&daemon.settings.guard.allow, &table)?;
    let granted = Granted::of(daemon, &table)?;
    let mut found = Vec::new();
    for (mount, source) in judged {
        let mut place = Place::of(source.as_fd(), &table)?;
        let of_the_engines = is_shared_memory(daemon, measurement, mount, &place, &table)?;
        let mut bound = None;
        if !of_the_engines {
            let local = local(daemon, source.as_fd(), &place, &table)?;
            match local {
                Local::Dockers | Local::None => {}
                // It lies below Docker's own by name alone.
                Local::Bound => place.chain.truncate(1),
                Local::Unknown => return Err(unknown(mount, &place)),
            }
            let is_dockers = matches!(local, Local::Dockers);
            if !is_dockers {
                may_be_bound(mount, &place, &table, &forbidden, &allowed)?;
            }
            let is_free = is_dockers || allowed.iter().any(|allowed| place.lies_in(allowed));
            let source = Source {
                place: &place,
                table: &table,
                is_dockers,
                is_free,
            };
            bound = granted.bind(daemon, measurement, mount, &source)?;
        }
        found.push(Judged {
            index: mount.index,
            source,
            bound,
        });
    }
    Ok(found)
}

/// Where a path of the host's lies, and whose it is, where it may be granted.
///
/// # Errors
/// `missing` where there is nothing; `denied` where it is forbidden; `invalid` where others could put something else there.
pub(crate) fn grantable(daemon: &Daemon, path: &HostPath) -> Result<(HostPath, Owner)> {
    let opened = rustix::fs::open(path.as_path(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    let opened = opened.map_err(|error| {
        Problem::missing(format!("cannot open {path}: {error}"))
            .remedy("make it first: what is granted is what lies there")
    })?;
    let table = table()?;
    let place = Place::of(opened.as_fd(), &table)?;
    let really = place.path.to_str().and_then(|path| path.parse().ok());
    let really: HostPath =
        really.ok_or_else(|| Problem::invalid(format!("{path} lies at no path that can be granted")))?;
    if !matches!(local(daemon, opened.as_fd(), &place, &table)?, Local::Dockers) {
        let forbidden = places(&forbidden(&daemon.settings), &table)?;
        let allowed = places(&daemon.settings.guard.allow, &table)?;
        let mount = MeasuredMount {
            index: 0,
            destination: "/".to_owned(),
            kind: MountKind::Outside(path.to_string()),
            read_only: true,
            lands: None,
            hides_files: false,
        };
        may_be_bound(&mount, &place, &table, &forbidden, &allowed)?;
    }
    granted::stays_there(&really)?;
    Ok((really, granted::owner(&opened)?))
}

/// A mount from outside whose source nobody has opened: it would be resolved when nobody looks any more, or is made of host
/// directories that nobody can judge (an overlay).
fn unopened<'m>(measurement: &'m Measurement, sources: &[(usize, OwnedFd)]) -> Option<&'m MeasuredMount> {
    let is_opened = |mount: &MeasuredMount| sources.iter().any(|(index, _)| *index == mount.index);
    let is_outside = |mount: &MeasuredMount| matches!(mount.kind, MountKind::Outside(_));
    let mut mounts = measurement.mounts.iter();
    mounts.find(|mount| is_outside(mount) && !is_opened(mount))
}

/// What a volume of Docker's own is.
enum Local {
    /// None: it lies elsewhere.
    None,
    /// A directory of Docker's where Docker keeps it, or a filesystem there that is nothing of this host's: Docker's to give away.
    Dockers,
    /// A host path that Docker's driver has bound there, to be judged like any other.
    Bound,
    /// Something else that is mounted there, such as a disk of this host's: it may be anybody's.
    Unknown,
}

fn local(daemon: &Daemon, source: BorrowedFd<'_>, place: &Place, table: &[Mounted]) -> Result<Local> {
    let volumes = daemon.settings.docker.data_root.join("volumes");
    let below = place.path.strip_prefix(&volumes);
    if !below.is_ok_and(|below| below.components().count() == 2 && below.ends_with("_data")) {
        return Ok(Local::None);
    }
    let is_root = mount::is_mount_root(source)
        .map_err(|error| Problem::unavailable(format!("cannot look at a volume of Docker's: {error}")))?;
    let Some(mounted) = table.iter().rev().find(|mounted| mounted.at == place.path) else {
        return Ok(if is_root { Local::Unknown } else { Local::Dockers });
    };
    let elsewhere = |other: &Mounted| other.device == mounted.device && !other.at.starts_with(&volumes);
    // First of all: the host's own memory and networks can be bound there like anything else.
    if table.iter().any(elsewhere) {
        return Ok(Local::Bound);
    }
    let is_foreign = FOREIGN.contains(&mounted.filesystem.as_str()) && mounted.root == Path::new("/");
    Ok(match is_foreign {
        true => Local::Dockers,
        false => Local::Unknown,
    })
}

/// Whether it is what an engine binds of its own accord where the ipc namespace is shared, which is judged by itself.
fn is_shared_memory(
    daemon: &Daemon,
    measurement: &Measurement,
    mount: &MeasuredMount,
    place: &Place,
    table: &[Mounted],
) -> Result<bool> {
    if mount.destination != "/dev/shm" || measurement.namespaces.ipc == Namespace::Own {
        return Ok(false);
    }
    let hosts = places(&["/dev/shm".into()], table)?;
    let is_hosts = hosts
        .iter()
        .any(|hosts| hosts.chain.first() == place.chain.first());
    let containers = daemon.settings.docker.data_root.join("containers");
    let is_anothers = place
        .path
        .strip_prefix(&containers)
        .is_ok_and(|below| below.components().count() == 3 && below.ends_with("mounts/shm"));
    Ok(match measurement.namespaces.ipc {
        Namespace::Own => false,
        Namespace::Host => is_hosts,
        Namespace::Foreign => is_anothers,
    })
}

fn may_be_bound(
    mount: &MeasuredMount,
    place: &Place,
    table: &[Mounted],
    forbidden: &[Place],
    allowed: &[Place],
) -> Result<()> {
    if allowed.iter().any(|allowed| place.lies_in(allowed)) {
        return Ok(());
    }
    if let Ok(home) = place.path.strip_prefix(HOMES) {
        let mut parts = home.components();
        parts.next();
        let hidden = parts.next().map(|part| part.as_os_str().as_encoded_bytes());
        if hidden.is_none_or(|name| name.starts_with(b".")) {
            return Err(Problem::denied(format!(
                "the host path {}, to be bound at {:?}, holds what a user logs in with, or what he runs, which is forbidden",
                place.path.display(),
                mount.destination
            ))
            .remedy(REMEDY));
        }
    }
    let below = place.mounted_below(table);
    match forbidden
        .iter()
        .find(|other| place.lies_in(other) || place.brings(other, &below))
    {
        None => Ok(()),
        Some(other) => Err(refusal(mount, place, other)),
    }
}

fn unknown(mount: &MeasuredMount, place: &Place) -> Problem {
    Problem::denied(format!(
        "what Docker mounts at {}, to be bound at {:?}, is a disk or filesystem of this host's, which is forbidden",
        place.path.display(),
        mount.destination
    ))
    .remedy("have the host mount it, and bind a directory of it")
}

fn refusal(mount: &MeasuredMount, place: &Place, forbidden: &Place) -> Problem {
    let (path, other) = (place.path.display(), forbidden.path.display());
    let how = match () {
        () if place.path == forbidden.path => "is forbidden".to_owned(),
        () if place.path.starts_with(&forbidden.path) => format!("lies in {other}, which is forbidden"),
        () if forbidden.path.starts_with(&place.path) => format!("contains {other}, which is forbidden"),
        () => format!("is {other} by another name, or a part of it, which is forbidden"),
    };
    Problem::denied(format!(
        "the host path {path}, to be bound at {:?}, {how}",
        mount.destination
    ))
    .remedy(REMEDY)
}

const REMEDY: &str = "bind a directory that holds only what the container needs; or name the path in [guard] allow of the settings";

/// The forbidden paths of this host.
fn forbidden(settings: &Settings) -> Vec<PathBuf> {
    let own = [
        &settings.docker.data_root,
        &settings.docker.socket,
        &settings.docker.plugin_socket,
        &settings.paths.state,
        &settings.paths.run,
        &settings.policy.directory,
        &settings.runtime.program,
        &settings.disk.program,
    ];
    let token = settings.keys.pkcs11.iter();
    let token = token.flat_map(|token| [&token.module, &token.pin_file]);
    let secrets = settings.keys.identities.iter().chain(token);
    let fixed = FORBIDDEN.iter().map(PathBuf::from);
    fixed.chain(own.into_iter().chain(secrets).cloned()).collect()
}

/// What is mounted below forbidden places, wherever else it may be seen: but for what the kernel shows, and networks.
fn mounted_below(forbidden: &[Place], table: &[Mounted], volumes: &Path) -> Vec<Place> {
    let lies_below = |mounted: &&Mounted| forbidden.iter().any(|place| mounted.at.starts_with(&place.path));
    // What Docker's driver has mounted is judged where it is asked for.
    let is_a_disk = |mounted: &&Mounted| {
        let holds_files = mounted.device.0 != 0 || mounted.filesystem == "tmpfs";
        holds_files && !mounted.at.starts_with(volumes)
    };
    let place = |mounted: &Mounted| Place {
        path: mounted.at.clone(),
        chain: Vec::new(),
        device: mounted.device,
        within: mounted.root.clone(),
    };
    let below = table.iter().filter(lies_below).filter(is_a_disk);
    below
        .filter(|mounted| mounted.root != Path::new("/") || !is_the_roots(mounted, table))
        .map(place)
        .collect()
}

/// Whether it is the root's own filesystem, of which most is not forbidden.
fn is_the_roots(mounted: &Mounted, table: &[Mounted]) -> bool {
    let is_root = |other: &&Mounted| other.at == Path::new("/");
    table
        .iter()
        .filter(is_root)
        .any(|root| root.device == mounted.device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{Mode, OFlags};
    use rustix::mount::{UnmountFlags, mount_bind, unmount};

    fn open(path: &Path) -> OwnedFd {
        rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap()
    }

    fn mount_at(destination: &str) -> MeasuredMount {
        MeasuredMount {
            index: 0,
            destination: destination.to_owned(),
            kind: MountKind::Outside("x".to_owned()),
            read_only: false,
            lands: None,
            hides_files: false,
        }
    }

    fn judged(path: &Path, forbidden: &Path, allowed: &[PathBuf]) -> Result<()> {
        let table = table().unwrap();
        let forbidden = places(&[forbidden.to_owned()], &table).unwrap();
        let allowed = places(allowed, &table).unwrap();
        let place = Place::of(open(path).as_fd(), &table)?;
        may_be_bound(&mount_at("/x"), &place, &table, &forbidden, &allowed)
    }

    #[test]
    fn a_forbidden_place_is_known_by_any_name() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for place in ["secret/deep", "free", "outer/inner", "alias", "part"] {
            std::fs::create_dir_all(root.join(place)).unwrap();
        }
        std::fs::write(root.join("secret/deep/key"), "k").unwrap();
        std::os::unix::fs::symlink("secret", root.join("link")).unwrap();
        let secret = root.join("secret");
        for path in [
            "secret",
            "secret/deep",
            "secret/deep/key",
            "link",
            "link/deep",
            "secret/../secret/deep",
            "",
        ] {
            let refused = judged(&root.join(path), &secret, &[]).unwrap_err().to_string();
            assert!(refused.contains("forbidden"), "{path}: {refused}");
        }
        assert!(judged(&root.join("free"), &secret, &[]).is_ok());
        assert!(judged(&secret.join("deep"), &secret, &[secret.join("deep")]).is_ok());
        // Bind mounts: of all, of a part, of an ancestor; and one below a free directory.
        mount_bind(&secret, root.join("alias")).unwrap();
        mount_bind(secret.join("deep"), root.join("part")).unwrap();
        mount_bind(&secret, root.join("outer/inner")).unwrap();
        let results: Vec<_> = ["alias", "alias/deep", "part", "part/key", "outer"]
            .map(|path| (path, judged(&root.join(path), &secret, &[]).is_err()))
            .into();
        for place in ["alias", "part", "outer/inner"] {
            unmount(root.join(place), UnmountFlags::DETACH).unwrap();
        }
        assert!(results.iter().all(|(_, refused)| *refused), "{results:?}");
        assert!(judged(&root.join("outer"), &secret, &[]).is_ok());
    }
}
