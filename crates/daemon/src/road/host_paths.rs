//! Host paths that are bound into containers: where each really lies, and whether it may be bound.
//!
//! A source is judged by its descriptor, and that very descriptor is what the runtime mounts: no name is looked up again. It is
//! compared with every forbidden place by file (device and inode) and by where both lie in their filesystem, so that neither links
//! nor bind mounts of either change anything; and in both directions, since what contains a forbidden place is as good as it. The
//! same goes for what is mounted below it, which comes along.

use crate::daemon::Daemon;
use cofferdam_linux::mount;
use cofferdam_model::{
    Guarding, MeasuredMount, Measurement, MountKind, Namespace, Problem, Result, Settings,
};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, StatxFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

/// Forbidden out of the box: whoever writes there is root soon, and whoever reads there has others' secrets.
const FORBIDDEN: [&str; 26] = [
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
    "/var/lib/AccountsService",
    "/var/lib/apt",
    "/var/lib/cloud",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/dpkg",
    "/var/lib/kubelet",
    "/var/lib/libvirt",
    "/var/lib/polkit-1",
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

/// How deep a directory may lie.
const DEPTH_MAX: usize = 256;

/// A file, by device and inode.
type FileId = (u32, u32, u64);

/// Where something lies.
struct Place {
    /// As the kernel names it now; for people, and for what is mounted below.
    path: PathBuf,
    /// Itself, and every directory above it.
    chain: Vec<FileId>,
    /// The device of its filesystem, and where it is there.
    device: (u32, u32),
    within: PathBuf,
}

/// One line of the table of mounts (proc_pid_mountinfo(5)).
struct Mounted {
    id: u64,
    device: (u32, u32),
    root: PathBuf,
    at: PathBuf,
    filesystem: String,
}

/// The sources of a container that were judged; each must be mounted from the descriptor that came with it.
///
/// # Errors
/// `denied` for one that is forbidden, or that nobody can tell the place of.
pub(super) fn judge(
    daemon: &Daemon,
    measurement: &Measurement,
    sources: &[(usize, OwnedFd)],
) -> Result<Vec<usize>> {
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
    for (mount, source) in &judged {
        let mut place = Place::of(source.as_fd(), &table)?;
        if is_shared_memory(daemon, measurement, mount, &place, &table)? {
            continue;
        }
        match local(daemon, source.as_fd(), &place, &table)? {
            Local::Dockers => continue,
            Local::None => {}
            // It lies below Docker's own by name alone.
            Local::Bound => place.chain.truncate(1),
            Local::Unknown => return Err(unknown(mount, &place)),
        }
        may_be_bound(mount, &place, &table, &forbidden, &allowed)?;
    }
    Ok(judged.into_iter().map(|(mount, _)| mount.index).collect())
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
    if FOREIGN.contains(&mounted.filesystem.as_str()) && mounted.root == Path::new("/") {
        return Ok(Local::Dockers);
    }
    let elsewhere = |other: &Mounted| other.device == mounted.device && !other.at.starts_with(&volumes);
    Ok(match table.iter().any(elsewhere) {
        true => Local::Bound,
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
    let below = table.iter().filter(|mounted| mounted.at.starts_with(&place.path));
    let below: Vec<&Mounted> = below.collect();
    let meets = |other: &&Place| {
        let mounted = |below: &&Mounted| {
            below.device == other.device
                && (below.root.starts_with(&other.within) || other.within.starts_with(&below.root))
        };
        place.lies_in(other) || other.lies_in(place) || below.iter().any(mounted)
    };
    match forbidden.iter().find(meets) {
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

/// Where these paths lead, of those that there are.
fn places(paths: &[PathBuf], table: &[Mounted]) -> Result<Vec<Place>> {
    let mut places = Vec::new();
    for path in paths {
        match rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
            Ok(opened) => places.push(Place::of(opened.as_fd(), table)?),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(error) => {
                return Err(Problem::unavailable(format!(
                    "cannot open {}: {error}",
                    path.display()
                )));
            }
        }
    }
    Ok(places)
}

/// What is mounted below forbidden places, wherever else it may be seen: but for what the kernel shows, and networks.
fn mounted_below(forbidden: &[Place], table: &[Mounted], volumes: &Path) -> Vec<Place> {
    let lies_below = |mounted: &&Mounted| forbidden.iter().any(|place| mounted.at.starts_with(&place.path));
    // What Docker's driver has mounted is judged where it is asked for.
    let is_a_disk = |mounted: &&Mounted| mounted.device.0 != 0 && !mounted.at.starts_with(volumes);
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

impl Place {
    fn of(descriptor: BorrowedFd<'_>, table: &[Mounted]) -> Result<Self> {
        let lost = || {
            Problem::denied("a host path cannot be told the place of: it was moved or removed meanwhile")
                .remedy("start the container again")
        };
        let (id, mount, is_directory) = facts(descriptor)?;
        let path = std::fs::read_link(format!("/proc/self/fd/{}", descriptor.as_raw_fd()))
            .map_err(|error| Problem::unavailable(format!("cannot find where a host path lies: {error}")))?;
        let mounted = table
            .iter()
            .find(|mounted| mounted.id == mount)
            .ok_or_else(lost)?;
        let below = path.strip_prefix(&mounted.at).map_err(|_| lost())?;
        let mut chain = vec![id];
        let parent = match is_directory {
            true => rustix::fs::openat(descriptor, ".", DIRECTORY_PATH, Mode::empty()),
            false => parent_of(&path, id),
        };
        chain.extend(above(parent.map_err(|_| lost())?)?);
        Ok(Place {
            chain,
            device: mounted.device,
            within: mounted.root.components().chain(below.components()).collect(),
            path,
        })
    }

    /// Whether it is the other one, or below it.
    fn lies_in(&self, other: &Place) -> bool {
        let is = other.chain.first().is_some_and(|id| self.chain.contains(id));
        is || (self.device == other.device && self.within.starts_with(&other.within))
    }
}

const DIRECTORY_PATH: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// The directory of a file that is no directory, where the file is still in it.
fn parent_of(path: &Path, file: FileId) -> rustix::io::Result<OwnedFd> {
    let (parent, name) = path.parent().zip(path.file_name()).ok_or(Errno::NOENT)?;
    let parent = rustix::fs::open(parent, DIRECTORY_PATH | OFlags::NOFOLLOW, Mode::empty())?;
    let there = rustix::fs::openat(
        &parent,
        name,
        OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    match facts(there.as_fd()) {
        Ok((id, _, _)) if id == file => Ok(parent),
        _ => Err(Errno::NOENT),
    }
}

/// A directory, and every one above it.
fn above(mut directory: OwnedFd) -> Result<Vec<FileId>> {
    let mut chain = Vec::new();
    loop {
        let (id, _, _) = facts(directory.as_fd())?;
        if chain.last() == Some(&id) {
            return Ok(chain);
        }
        if chain.len() > DEPTH_MAX {
            return Err(Problem::denied("a host path lies too deep to be judged"));
        }
        chain.push(id);
        directory = rustix::fs::openat(&directory, "..", DIRECTORY_PATH, Mode::empty())
            .map_err(|error| Problem::unavailable(format!("cannot look above a host path: {error}")))?;
    }
}

/// A file's identity, its mount's, and whether it is a directory.
fn facts(descriptor: BorrowedFd<'_>) -> Result<(FileId, u64, bool)> {
    let wanted = StatxFlags::INO | StatxFlags::TYPE | StatxFlags::MNT_ID;
    let facts = rustix::fs::statx(
        descriptor,
        c"",
        AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC,
        wanted,
    )
    .map_err(|error| Problem::unavailable(format!("cannot look at a host path: {error}")))?;
    if facts.stx_mask & StatxFlags::MNT_ID.bits() == 0 {
        return Err(
            Problem::unavailable("this kernel does not tell mounts apart").remedy("run Linux 5.12 or later")
        );
    }
    let id = (facts.stx_dev_major, facts.stx_dev_minor, facts.stx_ino);
    let kind = FileType::from_raw_mode(u32::from(facts.stx_mode));
    Ok((id, facts.stx_mnt_id, kind == FileType::Directory))
}

/// The table of mounts.
fn table() -> Result<Vec<Mounted>> {
    let text = std::fs::read("/proc/self/mountinfo")
        .map_err(|error| Problem::unavailable(format!("cannot read the table of mounts: {error}")))?;
    let lines = text.split(|byte| *byte == b'\n');
    Ok(lines.filter_map(mounted).collect())
}

fn mounted(line: &[u8]) -> Option<Mounted> {
    let mut fields = line.split(|byte| *byte == b' ');
    let mut number = || std::str::from_utf8(fields.next()?).ok();
    let id = number()?.parse().ok()?;
    number()?;
    let (major, minor) = number()?.split_once(':')?;
    let device = (major.parse().ok()?, minor.parse().ok()?);
    let (root, at) = (unescaped(fields.next()?), unescaped(fields.next()?));
    let filesystem = fields.skip_while(|field| *field != b"-").nth(1)?;
    Some(Mounted {
        id,
        device,
        root,
        at,
        filesystem: String::from_utf8_lossy(filesystem).into_owned(),
    })
}

/// A path of the table: space, tab, line end and backslash are three octal digits behind a backslash.
fn unescaped(field: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            (byte, _) => bytes.push(*byte),
        }
    }
    let path = PathBuf::from(std::ffi::OsString::from_vec(bytes));
    // A root of another kind (of a namespace, nsfs) is no path.
    match path.components().next() {
        Some(Component::RootDir) => path,
        _ => Path::new("/").join(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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

    #[test]
    fn escaped_paths_of_the_table_are_read() {
        let line = b"36 35 98:0 /mnt\\040a /mnt\\134b rw - ext4 /dev/x rw";
        let found = mounted(line).unwrap();
        assert_eq!((found.id, found.device), (36, (98, 0)));
        assert_eq!(found.root, Path::new("/mnt a"));
        assert_eq!(found.at, Path::new("/mnt\\b"));
        assert!(mounted(b"").is_none());
    }
}
