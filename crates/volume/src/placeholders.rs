//! What an engine gets when it asks for a volume's path: an empty, read-only directory.
//!
//! ```text
//! placeholders/
//! └── 5f0c…91/          a generation: one tmpfs, sealed before anybody could reach it
//!     ├── 0000/SEALED   a slot: the placeholder of one volume, or of none any more
//!     ├── 0001/SEALED
//!     └── …
//! ```
//!
//! A generation is filled with slots and made read-only, as a superblock, while it is a detached mount; then it is
//! attached, and never written again by anybody. A volume is given the next free slot. No slot is ever given to a second
//! volume, and every start of the daemon begins a new generation, so a path that was handed out once never means another
//! volume later. See `docs/decisions/0001-placeholders-are-sealed-before-they-are-seen.md`.
//!
//! A placeholder is known by device and inode, never by its path.

use crate::problem;
use cofferdam_linux::mount::{self, DetachedMount, Restrictions};
use cofferdam_linux::user_namespace;
use cofferdam_model::{Problem, Result, VolumeName};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags};
use rustix::io::Errno;
use rustix::mount::UnmountFlags;
use rustix::rand::{GetRandomFlags, getrandom};
use std::collections::HashMap;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The one file in a placeholder. It keeps engines from copying image content into what they take for an empty volume, and
/// tells the runtime that it has to ask.
pub const NOTICE: &str = "SEALED";

/// What that file says.
const NOTICE_TEXT: &str = "This volume opens only inside a container that Cofferdam admits; what you see here is its placeholder.\n\
    Start the container with the runtime `cofferdam` (docker run --runtime cofferdam ...); see: cofferdam why\n";

/// Slots in one generation: about a megabyte of memory.
const SLOTS: usize = 1024;

/// A place in a filesystem: device (major, minor) and inode.
type Place = (u32, u32, u64);

/// Which volume each placeholder stands for.
#[derive(Debug, Clone, Default)]
pub struct Lookup(Arc<HashMap<Place, VolumeName>>);

impl Lookup {
    /// The volume whose placeholder `source` refers to; none where it is no placeholder.
    ///
    /// # Errors
    /// `internal` where the kernel would not say.
    pub fn volume_of(&self, source: BorrowedFd<'_>) -> Result<Option<VolumeName>> {
        let place = place_of(source).map_err(|error| problem("cannot look at a mount's source", error))?;
        Ok(self.0.get(&place).cloned())
    }
}

/// The placeholders of this host.
#[derive(Debug)]
pub struct Placeholders {
    base: PathBuf,
    /// Slots that no volume ever had, of the newest generation; the next one last.
    free: Vec<(PathBuf, Place)>,
    paths: HashMap<VolumeName, (PathBuf, Place)>,
    lookup: Lookup,
}

impl Placeholders {
    /// Begins anew below `base`. Generations of an earlier daemon are taken away; who still has one of their directories open
    /// keeps an empty directory that stands for nothing.
    ///
    /// # Errors
    /// `unavailable` or `internal`, as the system says.
    pub fn open(base: &Path) -> Result<Self> {
        let fail = |error: io::Error| {
            problem(
                &format!("cannot set up the placeholders at {}", base.display()),
                error,
            )
        };
        match rustix::fs::mkdirat(CWD, base, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(fail(error.into())),
        }
        take_away_all(base).map_err(fail)?;
        Ok(Placeholders {
            base: base.to_owned(),
            free: Vec::new(),
            paths: HashMap::new(),
            lookup: Lookup::default(),
        })
    }

    /// Gives each of `volumes` a placeholder.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn add_all<'a>(&mut self, volumes: impl Iterator<Item = &'a VolumeName>) -> Result<()> {
        let mut lookup = HashMap::clone(&self.lookup.0);
        for volume in volumes
            .filter(|volume| !self.paths.contains_key(*volume))
            .cloned()
            .collect::<Vec<_>>()
        {
            let (path, place) = self.slot()?;
            lookup.insert(place, volume.clone());
            self.paths.insert(volume, (path, place));
        }
        self.lookup = Lookup(Arc::new(lookup));
        Ok(())
    }

    /// Gives a volume a placeholder; it may have one already.
    ///
    /// # Errors
    /// `unavailable` or `internal` where a new generation is needed and cannot be mounted.
    pub fn add(&mut self, volume: &VolumeName) -> Result<()> {
        self.add_all(std::iter::once(volume))
    }

    /// A removed volume's placeholder stands for nothing from now on. A generation whose slots are all used up, and of
    /// which none stands for a volume any more, is taken away: making and removing volumes for ever costs nothing that stays.
    ///
    /// # Errors
    /// `internal` where a generation cannot be taken away.
    pub fn remove(&mut self, volume: &VolumeName) -> Result<()> {
        let Some((path, place)) = self.paths.remove(volume) else {
            return Ok(());
        };
        let mut lookup = HashMap::clone(&self.lookup.0);
        lookup.remove(&place);
        self.lookup = Lookup(Arc::new(lookup));
        let generation = path.parent();
        let mut slots = self
            .paths
            .values()
            .chain(&self.free)
            .map(|(slot, _)| slot.parent());
        match generation {
            Some(generation) if !slots.any(|other| other == Some(generation)) => {
                take_away(generation).map_err(|error| problem("cannot take away unused placeholders", error))
            }
            _ => Ok(()),
        }
    }

    /// The path that an engine is given for a volume; none where it has no placeholder.
    pub fn path_of(&self, volume: &VolumeName) -> Option<&Path> {
        self.paths.get(volume).map(|(path, _)| path.as_path())
    }

    /// What stands for which volume now, for use without holding on to this.
    pub fn lookup(&self) -> Lookup {
        self.lookup.clone()
    }

    /// A slot that nobody ever had.
    fn slot(&mut self) -> Result<(PathBuf, Place)> {
        if self.free.is_empty() {
            let fail = |error: io::Error| problem("cannot make placeholders", error);
            let directory = self.base.join(unique_name().map_err(fail)?);
            self.free = generation(&directory).map_err(fail)?;
        }
        self.free
            .pop()
            .ok_or_else(|| Problem::internal("a generation of placeholders without slots"))
    }
}

/// Device and inode, without asking a server that may never answer.
fn place_of(file: BorrowedFd<'_>) -> io::Result<Place> {
    let facts = rustix::fs::statx(
        file,
        c"",
        AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC,
        StatxFlags::INO,
    )?;
    Ok((facts.stx_dev_major, facts.stx_dev_minor, facts.stx_ino))
}

/// A name that no generation ever had.
fn unique_name() -> io::Result<String> {
    let mut bits = [0_u8; 8];
    if getrandom(&mut bits, GetRandomFlags::empty())? < bits.len() {
        return Err(io::Error::other("too few random numbers"));
    }
    Ok(format!("{:016x}", u64::from_ne_bytes(bits)))
}

/// Mounts a new generation at `directory`; answers with its slots.
fn generation(directory: &Path) -> io::Result<Vec<(PathBuf, Place)>> {
    let fresh = DetachedMount::tmpfs(4 << 20, 4 * u64::try_from(SLOTS).unwrap_or(u64::MAX), 0o755)?;
    let names: Vec<String> = (0..SLOTS).rev().map(|slot| format!("{slot:04}")).collect();
    let mut first: Option<String> = None;
    for name in &names {
        rustix::fs::mkdirat(fresh.as_fd(), name, Mode::from_raw_mode(0o555))?;
        let notice = format!("{name}/{NOTICE}");
        match &first {
            Some(first) => {
                rustix::fs::linkat(fresh.as_fd(), first, fresh.as_fd(), &notice, AtFlags::empty())?
            }
            None => {
                write_notice(fresh.as_fd(), &notice)?;
                first = Some(notice);
            }
        }
    }
    seal(&fresh)?;
    let mut slots = Vec::with_capacity(SLOTS);
    for name in names {
        let slot = rustix::fs::openat(
            fresh.as_fd(),
            &name,
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        slots.push((directory.join(name), place_of(slot.as_fd())?));
    }
    rustix::fs::mkdirat(CWD, directory, Mode::from_raw_mode(0o755))?;
    fresh.attach_at(directory)?;
    Ok(slots)
}

fn write_notice(root: BorrowedFd<'_>, path: &str) -> io::Result<()> {
    // A child that is cloned for an id map would hold a copy of the file open, and keep the filesystem from being sealed.
    let _no_clones = user_namespace::hold_back();
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let notice: OwnedFd = rustix::fs::openat(root, path, flags, Mode::from_raw_mode(0o444))?;
    std::fs::File::from(notice).write_all(NOTICE_TEXT.as_bytes())
}

/// Makes mount and superblock read-only, for good.
fn seal(fresh: &DetachedMount) -> io::Result<()> {
    fresh.restrict(Restrictions {
        read_only: true,
        ..Restrictions::default()
    })?;
    mount::set_superblock_writable(fresh.as_fd(), false)
}

/// Detaches and removes every generation below `base`.
fn take_away_all(base: &Path) -> io::Result<()> {
    std::fs::read_dir(base)?.try_for_each(|entry| take_away(&entry?.path()))
}

/// Detaches and removes one generation.
fn take_away(generation: &Path) -> io::Result<()> {
    match rustix::mount::unmount(generation, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW) {
        Ok(()) | Err(Errno::INVAL) => {} // INVAL: nothing is mounted there.
        Err(error) => return Err(error.into()),
    }
    std::fs::remove_dir(generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Mounted(tempfile::TempDir);

    impl Drop for Mounted {
        fn drop(&mut self) {
            take_away_all(self.0.path()).unwrap();
        }
    }

    fn name(text: &str) -> VolumeName {
        text.parse().unwrap()
    }

    fn open(path: &Path) -> OwnedFd {
        rustix::fs::open(
            path,
            OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .unwrap()
    }

    #[test]
    fn a_placeholder_is_empty_and_cannot_be_written_by_anybody() {
        let dir = Mounted(tempfile::tempdir().unwrap());
        let mut placeholders = Placeholders::open(dir.0.path()).unwrap();
        placeholders.add(&name("payments.pgdata")).unwrap();
        let path = placeholders.path_of(&name("payments.pgdata")).unwrap().to_owned();
        let names: Vec<_> = std::fs::read_dir(&path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["SEALED"]);
        assert_eq!(
            std::fs::read_to_string(path.join("SEALED"))
                .unwrap()
                .lines()
                .count(),
            2
        );
        // Not even through a mount of the superblock that is itself writable, also while others are made and removed.
        let other = DetachedMount::clone_of(open(&path).as_fd()).unwrap();
        other
            .restrict(Restrictions {
                writable: true,
                ..Restrictions::default()
            })
            .unwrap();
        for round in 0..100 {
            placeholders.add(&name(&format!("a.v{round}"))).unwrap();
            assert_eq!(
                rustix::fs::mkdirat(other.as_fd(), "x", Mode::RWXU).unwrap_err(),
                Errno::ROFS
            );
            placeholders.remove(&name(&format!("a.v{round}"))).unwrap();
        }
    }

    #[test]
    fn a_slot_never_means_another_volume() {
        let dir = Mounted(tempfile::tempdir().unwrap());
        let mut placeholders = Placeholders::open(dir.0.path()).unwrap();
        placeholders
            .add_all([name("a.one"), name("a.two")].iter())
            .unwrap();
        let path = placeholders.path_of(&name("a.one")).unwrap().to_owned();
        let one = open(&path);
        assert_eq!(
            placeholders.lookup().volume_of(one.as_fd()).unwrap(),
            Some(name("a.one"))
        );
        let before = placeholders.lookup();
        placeholders.remove(&name("a.one")).unwrap();
        placeholders.remove(&name("a.one")).unwrap();
        assert_eq!(placeholders.lookup().volume_of(one.as_fd()).unwrap(), None);
        assert_eq!(
            before.volume_of(one.as_fd()).unwrap(),
            Some(name("a.one")),
            "a lookup is of one moment"
        );
        placeholders.add(&name("a.one")).unwrap();
        assert_ne!(placeholders.path_of(&name("a.one")).unwrap(), path);
        assert_eq!(placeholders.lookup().volume_of(one.as_fd()).unwrap(), None);
        let root = open(path.parent().unwrap());
        assert_eq!(placeholders.lookup().volume_of(root.as_fd()).unwrap(), None);
    }

    #[test]
    fn every_start_begins_anew() {
        let dir = Mounted(tempfile::tempdir().unwrap());
        let mut first = Placeholders::open(dir.0.path()).unwrap();
        first.add(&name("a.one")).unwrap();
        let path = first.path_of(&name("a.one")).unwrap().to_owned();
        let held = open(&path);
        let mut second = Placeholders::open(dir.0.path()).unwrap();
        second.add(&name("a.two")).unwrap();
        assert!(!path.exists());
        assert_eq!(second.lookup().volume_of(held.as_fd()).unwrap(), None);
        assert_eq!(std::fs::read_dir(dir.0.path()).unwrap().count(), 1);
    }

    #[test]
    fn there_is_always_another_slot() {
        let dir = Mounted(tempfile::tempdir().unwrap());
        let mut placeholders = Placeholders::open(dir.0.path()).unwrap();
        let names: Vec<VolumeName> = (0..SLOTS + 1)
            .map(|number| name(&format!("a.v{number}")))
            .collect();
        placeholders.add_all(names.iter()).unwrap();
        assert_eq!(std::fs::read_dir(dir.0.path()).unwrap().count(), 2);
        let last = open(placeholders.path_of(names.last().unwrap()).unwrap());
        assert_eq!(
            placeholders.lookup().volume_of(last.as_fd()).unwrap().as_ref(),
            names.last()
        );
    }

    #[test]
    fn generations_that_serve_nobody_go() {
        let dir = Mounted(tempfile::tempdir().unwrap());
        let mut placeholders = Placeholders::open(dir.0.path()).unwrap();
        let mut last = PathBuf::new();
        for _ in 0..3 * SLOTS {
            placeholders.add(&name("a.fleeting")).unwrap();
            let path = placeholders.path_of(&name("a.fleeting")).unwrap().to_owned();
            assert_ne!(path, last);
            assert!(path.exists());
            last = path;
            placeholders.remove(&name("a.fleeting")).unwrap();
        }
        assert!(std::fs::read_dir(dir.0.path()).unwrap().count() <= 1);
        placeholders.add(&name("a.lasting")).unwrap();
        assert!(placeholders.path_of(&name("a.lasting")).unwrap().exists());
    }

    #[test]
    fn a_clone_for_an_id_map_does_not_keep_a_generation_open() {
        let dir = Mounted(tempfile::tempdir().unwrap());
        let line = [cofferdam_linux::user_namespace::Line {
            inside: 0,
            outside: 0,
            count: 10,
        }];
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    cofferdam_linux::user_namespace::create(&line, &line).unwrap();
                }
            });
            let made: Vec<_> = (0..20)
                .map(|round| generation(&dir.0.path().join(round.to_string())))
                .collect();
            // First of all: the other thread must end, whatever came of this.
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            for slots in made {
                slots.unwrap();
            }
        });
    }
}
