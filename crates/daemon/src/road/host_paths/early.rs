//! Host paths that Docker is asked to bind, judged before it does: by the same rules, on what lies there now.
//!
//! Docker resolves the path again later. What a runtime sees then is judged again, on the descriptor that is mounted; what Docker
//! mounts for a copy, no runtime sees, and there this is all that there is.

use super::granted::Granted;
use super::{
    FOREIGN, Local, Mounted, Place, forbidden, local, may_be_bound, mounted_below, places, table, unknown,
};
use crate::daemon::Daemon;
use cofferdam_model::{MeasuredMount, MountKind, Problem, Result};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many are judged at once. A path may lead to a filesystem that hangs: then others that name paths are refused, and the rest of
/// what Docker is asked goes on.
static PLACES: Semaphore = Semaphore::const_new(64);

/// No file is this one.
const NO_FILE: (u32, u32, u64) = (u32::MAX, u32::MAX, u64::MAX);

/// The rules of this host, and its table of mounts, as they are now.
pub(crate) struct EarlyJudge<'d> {
    daemon: &'d Daemon,
    table: Vec<Mounted>,
    forbidden: Vec<Place>,
    allowed: Vec<Place>,
    _place: SemaphorePermit<'static>,
}

impl<'d> EarlyJudge<'d> {
    /// Reads them.
    ///
    /// # Errors
    /// `unavailable` where the kernel would not say, or too many are being judged.
    pub(crate) fn new(daemon: &'d Daemon) -> Result<Self> {
        let place = PLACES.try_acquire().map_err(|_| {
            Problem::unavailable("too many host paths are being looked at, or hang").remedy("try again")
        })?;
        let table = table()?;
        let mut all = places(&forbidden(&daemon.settings), &table)?;
        let volumes = daemon.settings.docker.data_root.join("volumes");
        all.extend(mounted_below(&all, &table, &volumes));
        Ok(EarlyJudge {
            allowed: places(&daemon.settings.guard.allow, &table)?,
            daemon,
            table,
            forbidden: all,
            _place: place,
        })
    }

    /// Whether a path may be bound: as it is written, and as Docker cleans it before it looks.
    ///
    /// # Errors
    /// `denied`, as on the road.
    pub(crate) fn path(&self, source: &str, destination: &str) -> Result<()> {
        self.each(source, destination, |_, _| Ok(()))
    }

    /// Whether a path that a container binds may be copied through Docker, for whoever asks.
    ///
    /// # Errors
    /// `denied` where it may not be bound, or is for named apps alone.
    pub(crate) fn copied(&self, source: &str, destination: &str) -> Result<()> {
        let granted = Granted::of(self.daemon, &self.table)?;
        self.each(source, destination, |place, is_dockers| {
            let is_free = is_dockers || self.allowed.iter().any(|allowed| place.lies_in(allowed));
            granted.copied(self.daemon, place, &self.table, is_free)
        })
    }

    fn each(
        &self,
        source: &str,
        destination: &str,
        further: impl Fn(&Place, bool) -> Result<()>,
    ) -> Result<()> {
        let mount = MeasuredMount {
            index: 0,
            destination: destination.to_owned(),
            kind: MountKind::Outside(source.to_owned()),
            read_only: false,
            lands: None,
            hides_files: false,
        };
        let cleaned = cleaned(source);
        match opened(&cleaned)? {
            Some(there) => self.present(&mount, &there, &further)?,
            None => self.absent(&mount, &cleaned)?,
        }
        match opened(Path::new(source))? {
            Some(there) => self.present(&mount, &there, &further),
            None => Ok(()),
        }
    }

    fn present(
        &self,
        mount: &MeasuredMount,
        source: &OwnedFd,
        further: &impl Fn(&Place, bool) -> Result<()>,
    ) -> Result<()> {
        let mut place = Place::of(source.as_fd(), &self.table)?;
        match local(self.daemon, source.as_fd(), &place, &self.table)? {
            Local::Dockers => return further(&place, true),
            Local::None => {}
            Local::Bound => place.chain.truncate(1),
            Local::Unknown => return Err(unknown(mount, &place)),
        }
        may_be_bound(mount, &place, &self.table, &self.forbidden, &self.allowed)?;
        further(&place, false)
    }

    /// What is not there Docker would make; so it is judged as if it were there, in the directory that is.
    fn absent(&self, mount: &MeasuredMount, path: &Path) -> Result<()> {
        for above in path.ancestors().skip(1) {
            let Some(directory) = opened(above)? else {
                continue;
            };
            let rest = path.strip_prefix(above).unwrap_or(Path::new(""));
            let mut place = Place::of(directory.as_fd(), &self.table)?;
            place.path.push(rest);
            place.within.push(rest);
            place.chain.insert(0, NO_FILE);
            let fixed = forbidden(&self.daemon.settings);
            if let Some(other) = fixed.iter().find(|other| place.path.starts_with(other)) {
                let other = Place {
                    path: other.clone(),
                    chain: Vec::new(),
                    device: place.device,
                    within: place.within.clone(),
                };
                return may_be_bound(mount, &place, &self.table, &[other], &self.allowed);
            }
            return may_be_bound(mount, &place, &self.table, &self.forbidden, &self.allowed);
        }
        Err(Problem::denied("a host path has nothing above it that is there"))
    }
}

/// Whether Docker's own driver may mount a filesystem of this type: those that bring nothing of this host's.
///
/// # Errors
/// `denied` for any other.
pub(crate) fn filesystem_early(kind: &str, device: &str) -> Result<()> {
    if FOREIGN.contains(&kind) {
        return Ok(());
    }
    let begin = |text: &str| text.chars().take(100).collect::<String>();
    Err(Problem::denied(format!(
        "what Docker is to mount from {:?}, of the type {:?}, is a disk or filesystem of this host's, which is forbidden",
        begin(device),
        begin(kind)
    ))
    .remedy("have the host mount it, and bind a directory of it"))
}

fn opened(path: &Path) -> Result<Option<OwnedFd>> {
    match rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
        Ok(opened) => Ok(Some(opened)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(error) => Err(Problem::denied(format!(
            "the host path {:?} cannot be judged: {error}",
            path.to_string_lossy().chars().take(100).collect::<String>()
        ))),
    }
}

/// A path without its dots, by its letters alone: `/link/..` is `/`, wherever the link leads (Go's `path.Clean`).
fn cleaned(path: &str) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_as_docker_does() {
        for (path, clean) in [
            ("/etc", "/etc"),
            ("/etc/", "/etc"),
            ("//srv//./a/../../etc/.", "/etc"),
            ("/../../etc", "/etc"),
            ("/", "/"),
        ] {
            assert_eq!(cleaned(path), Path::new(clean), "{path}");
        }
    }

    #[test]
    fn only_filesystems_that_bring_nothing_of_this_hosts_are_mounted() {
        for kind in ["tmpfs", "nfs", "nfs4", "cifs"] {
            assert!(filesystem_early(kind, "x").is_ok(), "{kind}");
        }
        for kind in ["ext4", "overlay", "", "none", "TMPFS", "fuse.x", "proc"] {
            assert!(filesystem_early(kind, "x").is_err(), "{kind}");
        }
    }
}
