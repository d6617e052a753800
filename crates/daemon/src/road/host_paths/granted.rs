//! Host paths that somebody has a grant on: from the first grant on they are open to the apps that were named, and to nobody else.
//!
//! The innermost granted path that a source lies in decides. A source that contains a granted path, and lies in none, would be a way
//! round the grant. A granted path is opened through no link: it was one without when it was granted, and who can make one there
//! shall not say what was granted. One that cannot be looked at is closed to all.

use super::place::{Mounted, Place};
use crate::daemon::Daemon;
use cofferdam_model::{AppName, HostPath, MeasuredMount, Measurement, Owner, Problem, Result};
use jiff::Timestamp;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxFlags};
use rustix::io::Errno;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// A granted path, where it lies, and whose it is.
struct Entry {
    path: HostPath,
    place: Place,
    owner: Owner,
}

/// Every granted path that there is on this host.
pub(super) struct Granted {
    entries: Vec<Entry>,
    /// Those that cannot be looked at.
    closed: Vec<HostPath>,
    /// Where Docker keeps its own volumes.
    volumes: PathBuf,
}

/// What is to be bound.
pub(super) struct Source<'a> {
    pub(super) place: &'a Place,
    pub(super) table: &'a [Mounted],
    /// It is a volume of Docker's own.
    pub(super) is_dockers: bool,
    /// It is anybody's as long as nobody has a grant on it.
    pub(super) is_free: bool,
}

/// Who the container is that may bind a granted path, and how.
pub(in crate::road) struct Claimed {
    pub(in crate::road) path: HostPath,
    pub(in crate::road) app: AppName,
    pub(in crate::road) write: bool,
    /// Whose files shall belong to the container's user.
    pub(in crate::road) map: Option<Owner>,
}

impl Granted {
    /// Where they lie now. One that is not there claims nothing.
    ///
    /// # Errors
    /// None that closes more than the path itself.
    pub(super) fn of(daemon: &Daemon, table: &[Mounted]) -> Result<Self> {
        let paths: Vec<HostPath> = daemon.state.now().facts().granted_host_paths().cloned().collect();
        let mut granted = Granted {
            entries: Vec::new(),
            closed: Vec::new(),
            volumes: daemon.settings.docker.data_root.join("volumes"),
        };
        for path in paths {
            match opened(&path) {
                Ok(file) => match Place::of(file.as_fd(), table).and_then(|place| Ok((place, owner(&file)?)))
                {
                    Ok((place, owner)) => granted.entries.push(Entry { path, place, owner }),
                    Err(_) => granted.closed.push(path),
                },
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                Err(_) => granted.closed.push(path),
            }
        }
        Ok(granted)
    }

    /// The granted paths around a source, the innermost: several where they are the same place.
    fn around(&self, source: &Source<'_>) -> Vec<&Entry> {
        let counts = |entry: &&Entry| {
            // What somebody has had Docker bind at a volume's place is no volume of Docker's.
            source.is_dockers || !entry.path.as_path().starts_with(&self.volumes)
        };
        let depth = |entry: &Entry| source.place.depth_in(&entry.place);
        let innermost = self.entries.iter().filter(counts).filter_map(depth).min();
        let is_innermost = |entry: &&Entry| innermost.is_some() && depth(entry) == innermost;
        self.entries.iter().filter(counts).filter(is_innermost).collect()
    }

    /// Who the container is and how it may bind a source, where somebody has a grant on that.
    ///
    /// # Errors
    /// `denied`, with what would allow it.
    pub(super) fn bind(
        &self,
        daemon: &Daemon,
        measurement: &Measurement,
        mount: &MeasuredMount,
        source: &Source<'_>,
    ) -> Result<Option<Claimed>> {
        self.is_not_closed(source.place)?;
        let mut claimed: Option<Claimed> = None;
        for Entry { path, owner, .. } in self.around(source) {
            let known = daemon.state.now();
            let bound = daemon
                .judge
                .bind(known.facts(), measurement, mount, path, Timestamp::now())?;
            let before = claimed.take();
            claimed = Some(Claimed {
                write: bound.write && before.as_ref().is_none_or(|before| before.write),
                map: bound
                    .map_owner
                    .then_some(*owner)
                    .filter(|_| before.as_ref().is_none_or(|before| before.map.is_some())),
                path: path.clone(),
                app: bound.app,
            });
        }
        if claimed.is_some() {
            return Ok(claimed);
        }
        let shown = source.place.path.display().to_string();
        let below = source.place.mounted_below(source.table);
        let brought = self
            .entries
            .iter()
            .find(|entry| source.place.brings(&entry.place, &below));
        if let Some(Entry { path, .. }) = brought {
            return Err(Problem::denied(format!(
                "the host path {shown:?}, to be bound at {:?}, contains {path}, which is granted to named apps alone",
                mount.destination
            ))
            .remedy("bind a directory that holds only what the container needs; or have the operator grant this one too"));
        }
        if daemon.settings.guard.host_paths_need_grant && !source.is_free {
            return Err(Problem::denied(format!(
                "no app has a grant on the host path {shown:?}, to be bound at {:?}",
                mount.destination
            ))
            .remedy("have the operator grant it: cofferdam host-path allow PATH --to APP"));
        }
        Ok(None)
    }

    /// Whether what lies at `place` may be copied by whoever asks: there is no container then that could be an app.
    ///
    /// # Errors
    /// `denied` where somebody has a grant on it, or needs one.
    pub(super) fn copied(
        &self,
        daemon: &Daemon,
        place: &Place,
        table: &[Mounted],
        is_free: bool,
    ) -> Result<()> {
        self.is_not_closed(place)?;
        let below = place.mounted_below(table);
        let meets = |granted: &Place| place.lies_in(granted) || place.brings(granted, &below);
        let is_granted = self.entries.iter().any(|entry| meets(&entry.place));
        if !is_granted && (is_free || !daemon.settings.guard.host_paths_need_grant) {
            return Ok(());
        }
        Err(Problem::denied(format!(
            "the host path {:?}, which the container binds, is for named apps alone, and Docker would copy it for anybody",
            place.path.display().to_string()
        ))
        .remedy("copy from inside the container"))
    }

    fn is_not_closed(&self, place: &Place) -> Result<()> {
        let meets = |path: &&HostPath| {
            place.path.starts_with(path.as_path()) || path.as_path().starts_with(&place.path)
        };
        match self.closed.iter().find(meets) {
            None => Ok(()),
            Some(path) => Err(Problem::denied(format!(
                "{path} is granted to named apps, and there is a link on the way to it, or it cannot be looked at"
            ))
            .remedy("have the operator look at it: cofferdam host-path ls")),
        }
    }
}

fn opened(path: &HostPath) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    rustix::fs::openat2(CWD, path.as_path(), flags, Mode::empty(), resolve)
}

/// Whose a file is, without asking a filesystem's server.
///
/// # Errors
/// `unavailable` where the kernel would not say.
pub(super) fn owner(file: &OwnedFd) -> Result<Owner> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    let facts = rustix::fs::statx(file, c"", flags, StatxFlags::UID | StatxFlags::GID)
        .map_err(|error| Problem::unavailable(format!("cannot look at a granted path: {error}")))?;
    Ok(Owner {
        uid: facts.stx_uid,
        gid: facts.stx_gid,
    })
}

/// Whether root alone can put something else at a path: by renaming it, or a directory above it.
///
/// # Errors
/// `invalid`, naming the directory that others can write.
pub(super) fn stays_there(path: &HostPath) -> Result<()> {
    let look = |path: &Path| {
        rustix::fs::lstat(path)
            .map_err(|error| Problem::unavailable(format!("cannot look at {}: {error}", path.display())))
    };
    let mut inner = look(path.as_path())?;
    for above in path.as_path().ancestors().skip(1) {
        let facts = look(above)?;
        let mode = Mode::from_raw_mode(facts.st_mode);
        let others = mode.intersects(Mode::WGRP | Mode::WOTH);
        // In a sticky directory everybody renames what is his own.
        let kept = !others || (mode.contains(Mode::SVTX) && inner.st_uid == 0);
        if facts.st_uid != 0 || !kept {
            return Err(Problem::invalid(format!(
                "{path} can be exchanged by others than root, who can write {}",
                above.display()
            ))
            .remedy("grant that directory, or have it belong to root: chown root:root, chmod go-w"));
        }
        inner = facts;
    }
    Ok(())
}
