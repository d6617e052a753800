//! A container's own layer: what its root filesystem is beside its image (Documentation/filesystems/overlayfs.rst).
//!
//! Before a container has run, whatever lies there was put there by somebody else: `docker cp` into a container that was created.
//! Afterwards there is also what it wrote itself, and whoever reaches the engine may have copied things in while it ran. So:
//!
//! | | counts as a change |
//! |---|---|
//! | not known to be as it was when the container ended | every file, and whatever hides a part of the image |
//! | as it was then | the same, but for what programs write: new files in [`WRITTEN`], any in [`FLEETING`] |
//!
//! Directories alone are none: engines and runtimes make those that they mount on. Neither is what a mount covers.
//!
//! What this does not do: read what is in the files. Whoever changes one changes its inode's ctime, which no engine can set.

use cofferdam_model::{MeasuredMount, Problem, Result, RootChanges, Sha256, place};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Statx, StatxFlags};
use rustix::io::Errno;
use sha2::{Digest, Sha256 as Hasher};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Where programs keep what they write, and no image keeps code: new files there are the container's own.
const WRITTEN: [&str; 8] = [
    "/run",
    "/tmp",
    "/var/cache",
    "/var/lib",
    "/var/log",
    "/var/mail",
    "/var/run",
    "/var/tmp",
];

/// Where even the image's own files are there to be written.
const FLEETING: [&str; 6] = ["/run", "/tmp", "/var/cache", "/var/log", "/var/run", "/var/tmp"];

/// The most entries that are looked at.
const ENTRIES_MAX: usize = 100_000;

/// The most bytes that their places may have together.
const BYTES_MAX: usize = 32 << 20;

/// How deep a directory may lie.
const DEPTH_MAX: usize = 64;

/// One thing in the layer that is no plain directory.
struct Entry {
    /// Its place in the container.
    place: String,
    facts: Statx,
}

/// All of them, sorted by place.
pub(crate) struct OwnLayer {
    entries: Vec<Entry>,
    /// There are more than are looked at.
    more: bool,
    looked_at: usize,
    /// Bytes of their places.
    bytes: usize,
}

impl OwnLayer {
    /// Looks through a layer.
    ///
    /// # Errors
    /// `unavailable` where it cannot be read.
    pub(crate) fn read(layer: BorrowedFd<'_>) -> Result<Self> {
        let mut found = OwnLayer {
            entries: Vec::new(),
            more: false,
            looked_at: 0,
            bytes: 0,
        };
        found.walk(layer, "", 0).map_err(|error| {
            Problem::unavailable(format!("cannot read the container's own layer: {error}"))
        })?;
        found.entries.sort_by(|one, other| one.place.cmp(&other.place));
        Ok(found)
    }

    fn walk(&mut self, parent: BorrowedFd<'_>, place: &str, depth: usize) -> rustix::io::Result<()> {
        if depth > DEPTH_MAX {
            self.more = true;
            return Ok(());
        }
        for entry in Dir::read_from(parent)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            self.looked_at += 1;
            self.bytes += place.len() + name.to_bytes().len();
            if self.looked_at > ENTRIES_MAX || self.bytes > BYTES_MAX {
                self.more = true;
                return Ok(());
            }
            let facts = rustix::fs::statx(parent, name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS)?;
            let place = format!("{place}/{}", name.to_string_lossy());
            if FileType::from_raw_mode(u32::from(facts.stx_mode)) != FileType::Directory {
                self.entries.push(Entry { place, facts });
                continue;
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let directory = match rustix::fs::openat(parent, name, flags, Mode::empty()) {
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
                opened => opened?,
            };
            self.walk(directory.as_fd(), &place, depth + 1)?;
            if hides(directory.as_fd())? {
                self.entries.push(Entry { place, facts });
            }
        }
        Ok(())
    }

    /// What tells whether anything was changed: nothing that could be changed without a trace goes into it.
    pub(crate) fn fingerprint(&self) -> Sha256 {
        let mut hasher = Hasher::new();
        hasher.update([u8::from(self.more)]);
        for Entry { place, facts } in &self.entries {
            hasher.update((place.len() as u64).to_le_bytes());
            hasher.update(place.as_bytes());
            let time = |at: rustix::fs::StatxTimestamp| [at.tv_sec.cast_unsigned(), u64::from(at.tv_nsec)];
            let numbers = [
                u64::from(facts.stx_mode),
                u64::from(facts.stx_uid),
                u64::from(facts.stx_gid),
                u64::from(facts.stx_rdev_major),
                u64::from(facts.stx_rdev_minor),
                facts.stx_ino,
                facts.stx_size,
            ];
            let times = [time(facts.stx_mtime), time(facts.stx_ctime)].concat();
            for number in numbers.into_iter().chain(times) {
                hasher.update(number.to_le_bytes());
            }
        }
        Sha256::from_bytes(hasher.finalize().into())
    }

    /// What counts as a change. `layers` are the image's; `ended` is the layer's fingerprint of when the container ended, where
    /// that was seen.
    pub(crate) fn changes(
        &self,
        layers: &[OwnedFd],
        mounts: &[MeasuredMount],
        ended: Option<Sha256>,
    ) -> Result<RootChanges> {
        let as_it_was = !self.more && ended.is_some_and(|ended| ended == self.fingerprint());
        let mut changes = RootChanges {
            more: self.more,
            ..RootChanges::default()
        };
        for entry in &self.entries {
            if entry.is_covered(mounts) || as_it_was && entry.is_written(layers)? {
                continue;
            }
            changes.add(&entry.place);
        }
        Ok(changes)
    }
}

impl Entry {
    /// Whether a mount lies over it, so that nothing of it is seen. Engines leave an empty file where they mount one.
    fn is_covered(&self, mounts: &[MeasuredMount]) -> bool {
        let kind = FileType::from_raw_mode(u32::from(self.facts.stx_mode));
        let bare = match kind {
            FileType::RegularFile => self.facts.stx_size == 0,
            kind => kind == FileType::Directory,
        };
        let lies_over = |mount: &MeasuredMount| match mount.place() {
            Some(at) if at == self.place => bare,
            Some(at) => at != "/" && place::holds(at, &self.place),
            None => false,
        };
        mounts.iter().any(lies_over)
    }

    /// Whether programs write such things, and no image is changed by it.
    fn is_written(&self, layers: &[OwnedFd]) -> Result<bool> {
        let lies_in = |places: &[&str]| places.iter().any(|outer| place::holds(outer, &self.place));
        if lies_in(&FLEETING) {
            return Ok(true);
        }
        Ok(lies_in(&WRITTEN) && !is_images(layers, &self.place)?)
    }
}

/// Whether a directory stands for another one, or hides what is below it.
fn hides(directory: BorrowedFd<'_>) -> rustix::io::Result<bool> {
    for name in [c"trusted.overlay.opaque", c"trusted.overlay.redirect"] {
        match rustix::fs::fgetxattr(directory, name, &mut [0_u8; 1]) {
            Ok(_) | Err(Errno::RANGE) => return Ok(true),
            Err(Errno::NODATA | Errno::NOTSUP) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Whether one of the image's layers has this place.
fn is_images(layers: &[OwnedFd], place: &str) -> Result<bool> {
    let relative = place.trim_start_matches('/');
    for layer in layers {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match rustix::fs::openat2(layer, relative, flags, Mode::empty(), resolve) {
            Ok(_) => return Ok(true),
            // A link on the way: whatever it leads to, this place is none of this layer's.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG) => {}
            Err(error) => {
                return Err(Problem::unavailable(format!(
                    "cannot look into the image's layers: {error}"
                )));
            }
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use cofferdam_model::MountKind;
    use std::fs;
    use std::path::Path;

    fn open(path: &Path) -> OwnedFd {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty()).unwrap()
    }

    fn write(root: &Path, place: &str, text: &str) {
        let path = root.join(place.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn changes(own: &Path, image: &Path, mounts: &[MeasuredMount], ended: Option<Sha256>) -> Vec<String> {
        let layer = OwnLayer::read(open(own).as_fd()).unwrap();
        let found = layer.changes(&[open(image)], mounts, ended).unwrap();
        assert!(!found.more);
        found.places.into_iter().collect()
    }

    #[test]
    fn before_it_has_run_every_file_is_a_change_and_no_directory() {
        let (own, image) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir_all(own.path().join("data/deep")).unwrap();
        assert!(changes(own.path(), image.path(), &[], None).is_empty());
        write(own.path(), "/tmp/x", "");
        std::os::unix::fs::symlink("/bin/sh", own.path().join("data/link")).unwrap();
        assert_eq!(
            changes(own.path(), image.path(), &[], None),
            ["/data/link", "/tmp/x"]
        );
    }

    #[test]
    fn what_a_mount_covers_is_none_unless_something_is_in_it() {
        let (own, image) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(own.path(), "/etc/app.conf", "");
        let mount = MeasuredMount {
            index: 0,
            destination: "/etc/app.conf".to_owned(),
            kind: MountKind::Outside("/x".to_owned()),
            read_only: true,
            lands: None,
            hides_files: false,
        };
        let mounts = [mount];
        assert!(changes(own.path(), image.path(), &mounts, None).is_empty());
        assert_eq!(changes(own.path(), image.path(), &[], None).len(), 1);
        write(own.path(), "/etc/app.conf", "evil");
        assert_eq!(changes(own.path(), image.path(), &mounts, None).len(), 1);
    }

    #[test]
    fn what_a_container_wrote_itself_is_none_when_it_was_there_at_its_end() {
        let (own, image) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(image.path(), "/usr/bin/app", "good");
        write(image.path(), "/var/lib/app/plugin", "good");
        write(image.path(), "/var/log/last", "");
        write(own.path(), "/var/lib/app/state", "1");
        write(own.path(), "/var/log/last", "1");
        write(own.path(), "/run/app.pid", "1");
        let ended = Some(OwnLayer::read(open(own.path()).as_fd()).unwrap().fingerprint());
        assert!(changes(own.path(), image.path(), &[], ended).is_empty());
        assert_eq!(changes(own.path(), image.path(), &[], None).len(), 3);
        // What was copied in while it ran is there at its end as well.
        write(own.path(), "/usr/bin/app", "evil");
        write(own.path(), "/usr/lib/evil.so", "evil");
        write(own.path(), "/var/lib/app/plugin", "evil");
        let ended = Some(OwnLayer::read(open(own.path()).as_fd()).unwrap().fingerprint());
        assert_eq!(
            changes(own.path(), image.path(), &[], ended),
            ["/usr/bin/app", "/usr/lib/evil.so", "/var/lib/app/plugin"]
        );
    }

    #[test]
    fn every_change_after_the_end_shows() {
        let (own, image) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(own.path(), "/tmp/a", "one");
        let print = || OwnLayer::read(open(own.path()).as_fd()).unwrap().fingerprint();
        let before = print();
        assert_eq!(before, print());
        // The same length, and the times put back as well as anybody can.
        let path = own.path().join("tmp/a");
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        fs::write(&path, "two").unwrap();
        fs::File::open(&path).unwrap().set_modified(modified).unwrap();
        assert_ne!(before, print());
        assert_eq!(changes(own.path(), image.path(), &[], Some(before)), ["/tmp/a"]);
    }

    #[test]
    fn a_directory_that_hides_the_images_is_a_change() {
        let (own, image) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::create_dir_all(own.path().join("usr/lib")).unwrap();
        let name = c"trusted.overlay.opaque";
        let directory = open(&own.path().join("usr/lib"));
        rustix::fs::fsetxattr(&directory, name, b"y", rustix::fs::XattrFlags::empty()).unwrap();
        assert_eq!(changes(own.path(), image.path(), &[], None), ["/usr/lib"]);
    }
}
