//! Sealed volumes as they lie on the host: for each a directory with its deed and its store, which moves as one.
//!
//! ```text
//! volumes/
//! └── <volume id>/     0700 root
//!     ├── deed.json    the signed deed, replaced whole
//!     └── store/       the sealed log: ciphertext
//! ```
//!
//! What this does not do: understand a deed, or open a store.

use crate::plain::{names, open_root};
use crate::problem;
use cofferdam_linux::file::{read_limited, write_durably};
use cofferdam_model::{Problem, Result, VolumeId};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

const DEED: &str = "deed.json";
const STORE: &str = "store";

/// The longest deed, in bytes.
const DEED_MAX: usize = 1 << 20;

/// A volume's directory that comes from elsewhere, as it was looked at.
#[derive(Debug)]
pub struct Foreign {
    parent: OwnedFd,
    name: OsString,
    shown: String,
    deed: Vec<u8>,
}

impl Foreign {
    /// The bytes of its deed.
    #[must_use]
    pub fn deed(&self) -> &[u8] {
        &self.deed
    }
}

/// All sealed volumes of this host.
#[derive(Debug)]
pub struct SealedStore {
    root: OwnedFd,
    path: PathBuf,
}

impl SealedStore {
    /// The volumes at `path`, beside the plain ones.
    ///
    /// # Errors
    /// `unavailable` or `internal`, as the system says.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(SealedStore {
            root: open_root(path)?,
            path: path.to_owned(),
        })
    }

    /// Makes the directory of a new volume, durably. One that is there is refused.
    ///
    /// # Errors
    /// `internal` where it is there already; `unavailable`, as the system says.
    pub fn make(&self, id: &VolumeId) -> Result<()> {
        rustix::fs::mkdirat(&self.root, id.as_str(), Mode::RWXU)
            .and_then(|()| rustix::fs::fsync(&self.root))
            .map_err(|error| problem("cannot make the volume's directory", error.into()))
    }

    /// Where a volume's store is: the sealed log.
    #[must_use]
    pub fn store(&self, id: &VolumeId) -> PathBuf {
        self.path.join(id.as_str()).join(STORE)
    }

    /// The bytes of a volume's deed, as they are found.
    ///
    /// # Errors
    /// `corrupt` where there is none.
    pub fn deed(&self, id: &VolumeId) -> Result<Vec<u8>> {
        let directory = self.directory(id)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file =
            rustix::fs::openat(&directory, DEED, flags, Mode::empty()).map_err(|error| match error {
                Errno::NOENT => Problem::corrupt(format!("volume {id} has no deed")).remedy(
                    "restore the volume's directory from a backup; without its deed nobody can open it",
                ),
                error => problem("cannot open the volume's deed", error.into()),
            })?;
        read_limited(File::from(file), DEED_MAX)
            .map_err(|error| problem("cannot read the volume's deed", error))
    }

    /// Replaces a volume's deed, whole and durably.
    ///
    /// # Errors
    /// `unavailable` or `internal`, as the system says; the old one is there then.
    pub fn put_deed(&self, id: &VolumeId, bytes: &[u8]) -> Result<()> {
        let directory = self.directory(id)?;
        write_durably(directory.as_fd(), DEED, bytes, 0o600)
            .map_err(|error| problem("cannot write the volume's deed", error))
    }

    /// Destroys a volume's deed, and with it the wrapped keys: nobody can open the store any more, whatever becomes of it. One
    /// that is not there is no error.
    ///
    /// # Errors
    /// `unavailable` or `internal`, as the system says.
    pub fn destroy_deed(&self, id: &VolumeId) -> Result<()> {
        self.overwrite(id)
            .map_err(|error| problem("cannot destroy the volume's keys", error))
    }

    fn overwrite(&self, id: &VolumeId) -> io::Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = match rustix::fs::openat(&self.root, id.as_str(), flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(()),
            opened => opened?,
        };
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let deed = match rustix::fs::openat(&directory, DEED, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(()),
            opened => File::from(opened?),
        };
        // On filesystems that write in place this takes the old bytes away; on others their own freeing has to.
        let length = usize::try_from(deed.metadata()?.len().min(DEED_MAX as u64)).unwrap_or(DEED_MAX);
        (&deed).write_all(&vec![0; length])?;
        deed.sync_all()?;
        rustix::fs::unlinkat(&directory, DEED, AtFlags::empty())?;
        Ok(rustix::fs::fsync(&directory)?)
    }

    /// That nothing sealed lies where a plain volume's data should: else somebody has changed the registry.
    ///
    /// # Errors
    /// `corrupt` where something does.
    pub fn is_none_of_ours(&self, id: &VolumeId) -> Result<()> {
        let there = |name: &str| {
            rustix::fs::statat(&self.root, format!("{id}/{name}"), AtFlags::SYMLINK_NOFOLLOW).is_ok()
        };
        if there(DEED) || there(STORE) {
            return Err(Problem::corrupt(format!(
                "volume {id} is a plain one by the registry, and a sealed one on the disk"
            ))
            .remedy("the registry was changed by hand: put it back, and look who can write it"));
        }
        Ok(())
    }

    /// Whether a volume has a deed: then it is a sealed one, whatever anybody says.
    #[must_use]
    pub fn has_deed(&self, id: &VolumeId) -> bool {
        let place = format!("{id}/{DEED}");
        !matches!(
            rustix::fs::statat(&self.root, place, AtFlags::SYMLINK_NOFOLLOW),
            Err(Errno::NOENT)
        )
    }

    /// Looks at a volume's directory that comes from elsewhere: its deed, and that it holds a store. Nothing is changed.
    ///
    /// # Errors
    /// `missing` or `invalid` where it is no such directory; `denied` where it is not root's alone.
    pub fn look_at(&self, path: &Path) -> Result<Foreign> {
        let shown = path.display();
        let no_volume = |what: &str| {
            Problem::invalid(format!("{shown} {what}"))
                .remedy("name the directory of a sealed volume: the one with deed.json and store in it")
        };
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(no_volume("names no directory"));
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = rustix::fs::openat(CWD, parent, flags, Mode::empty()).and_then(|parent| {
            rustix::fs::openat(&parent, name, flags, Mode::empty()).map(|directory| (parent, directory))
        });
        let (parent, directory) = opened.map_err(|error| {
            Problem::missing(format!("cannot open {shown}: {error}")).remedy("name a directory that is there")
        })?;
        let fail = |error: io::Error| problem(&format!("cannot look at {shown}"), error);
        // Who can write above it could exchange it until it is moved.
        for held in [&parent, &directory] {
            let facts = rustix::fs::fstat(held).map_err(|error| fail(error.into()))?;
            if facts.st_uid != 0 || facts.st_mode & 0o022 != 0 {
                return Err(Problem::denied(format!(
                    "{shown}, or what it lies in, can be written by others than root"
                ))
                .remedy(format!(
                    "move it to a directory of root's: chown -R root:root {shown}; chmod 700 {shown}"
                )));
            }
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let deed = rustix::fs::openat(&directory, DEED, flags, Mode::empty())
            .map_err(|_| no_volume("has no deed.json"))?;
        let store = rustix::fs::statat(&directory, STORE, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|_| no_volume("has no store"))?;
        if FileType::from_raw_mode(store.st_mode) != FileType::Directory {
            return Err(no_volume("has a store that is no directory"));
        }
        Ok(Foreign {
            parent,
            name: name.to_owned(),
            shown: shown.to_string(),
            deed: read_limited(File::from(deed), DEED_MAX).map_err(fail)?,
        })
    }

    /// Takes it in as the volume `id`: moves its directory to its place.
    ///
    /// # Errors
    /// `invalid` where it lies on another filesystem; `conflict` where the volume is there already.
    pub fn take_in(&self, foreign: &Foreign, id: &VolumeId) -> Result<()> {
        let moved = rustix::fs::renameat_with(
            &foreign.parent,
            &foreign.name,
            &self.root,
            id.as_str(),
            RenameFlags::NOREPLACE,
        );
        match moved.and_then(|()| rustix::fs::fsync(&self.root)) {
            Ok(()) => Ok(()),
            Err(Errno::XDEV) => Err(Problem::invalid(format!(
                "{} lies on another filesystem than the volumes of this host",
                foreign.shown
            ))
            .remedy(format!(
                "copy it first: cp -a {} {}; then adopt that",
                foreign.shown,
                self.path.parent().unwrap_or(&self.path).display()
            ))),
            Err(Errno::EXIST) => Err(Problem::conflict(format!(
                "the data of volume {id} is on this host already"
            ))
            .remedy("find out which of the two is the newer one, and move the other away")),
            Err(error) => Err(problem("cannot take the volume in", error.into())),
        }
    }

    /// Bytes that a volume's store takes up on the host.
    ///
    /// # Errors
    /// `unavailable` or `internal`, as the system says.
    pub fn space(&self, id: &VolumeId) -> Result<u64> {
        self.blocks(id)
            .map_err(|error| problem("cannot measure the volume's store", error))
    }

    fn blocks(&self, id: &VolumeId) -> io::Result<u64> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let store = rustix::fs::openat(&self.root, format!("{id}/{STORE}"), flags, Mode::empty())?;
        let mut all = 0;
        for name in names(store.as_fd())? {
            match rustix::fs::statat(&store, name.as_c_str(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(facts) => all += u64::try_from(facts.st_blocks).unwrap_or_default() * 512,
                // Segments come and go while the volume is open.
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(all)
    }

    fn directory(&self, id: &VolumeId) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.root, id.as_str(), flags, Mode::empty()).map_err(|error| match error {
            Errno::NOENT => Problem::corrupt(format!("the data of volume {id} is not in the store"))
                .remedy("restore it from a backup, or remove the volume"),
            error => problem("cannot open the volume's directory", error.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cofferdam_model::ErrorKind;

    #[test]
    fn a_deed_is_replaced_whole_and_destroyed_for_good() {
        let dir = tempfile::tempdir().unwrap();
        let (store, id) = (SealedStore::open(dir.path()).unwrap(), VolumeId::from_bits(9));
        assert_eq!(store.deed(&id).unwrap_err().kind, ErrorKind::Corrupt);
        store.make(&id).unwrap();
        assert!(store.make(&id).is_err(), "what is there is never taken for new");
        assert_eq!(store.deed(&id).unwrap_err().kind, ErrorKind::Corrupt);
        store.put_deed(&id, b"one").unwrap();
        store.put_deed(&id, b"another").unwrap();
        assert_eq!(store.deed(&id).unwrap(), b"another");
        let path = dir.path().join(id.as_str()).join(DEED);
        let kept = File::open(&path).unwrap();
        store.destroy_deed(&id).unwrap();
        store.destroy_deed(&id).unwrap();
        assert!(!path.exists());
        assert_eq!(read_limited(kept, 100).unwrap(), [0; 7]);
    }

    #[test]
    fn a_sealed_volume_is_never_taken_for_a_plain_one() {
        let dir = tempfile::tempdir().unwrap();
        let (store, id) = (SealedStore::open(dir.path()).unwrap(), VolumeId::from_bits(9));
        store.is_none_of_ours(&id).unwrap();
        store.make(&id).unwrap();
        store.is_none_of_ours(&id).unwrap();
        std::fs::create_dir(store.store(&id)).unwrap();
        assert_eq!(store.is_none_of_ours(&id).unwrap_err().kind, ErrorKind::Corrupt);
        std::fs::remove_dir(store.store(&id)).unwrap();
        store.put_deed(&id, b"{}").unwrap();
        assert_eq!(store.is_none_of_ours(&id).unwrap_err().kind, ErrorKind::Corrupt);
    }

    #[test]
    fn only_what_root_alone_can_write_is_taken_in() {
        use std::os::unix::fs::PermissionsExt;
        let (dir, incoming) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (store, id) = (SealedStore::open(dir.path()).unwrap(), VolumeId::from_bits(9));
        let path = incoming.path().join("volume");
        let refused = |what: &str| {
            let problem = store.look_at(&path).unwrap_err();
            assert!(problem.to_string().contains(what), "{problem}");
        };
        refused("cannot open");
        std::fs::create_dir(&path).unwrap();
        refused("has no deed.json");
        std::fs::write(path.join(DEED), "deed").unwrap();
        refused("has no store");
        std::fs::create_dir(path.join(STORE)).unwrap();
        for open in [incoming.path(), path.as_path()] {
            let before = std::fs::metadata(open).unwrap().permissions();
            std::fs::set_permissions(open, PermissionsExt::from_mode(0o777)).unwrap();
            refused("can be written by others");
            std::fs::set_permissions(open, before).unwrap();
        }
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
        let foreign = store.look_at(&path).unwrap();
        assert_eq!(foreign.deed(), b"deed");
        store.take_in(&foreign, &id).unwrap();
        assert!(!path.exists());
        assert_eq!(store.deed(&id).unwrap(), b"deed");
    }

    #[test]
    fn space_is_what_the_store_takes_up() {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let (store, id) = (SealedStore::open(dir.path()).unwrap(), VolumeId::from_bits(9));
        store.make(&id).unwrap();
        std::fs::create_dir(store.store(&id)).unwrap();
        let file = File::create(store.store(&id).join("segment")).unwrap();
        (&file).write_all(&[1; 8192]).unwrap();
        file.sync_all().unwrap();
        file.set_len(1 << 30).unwrap();
        let space = store.space(&id).unwrap();
        assert!((8192..1 << 20).contains(&space), "{space}");
    }
}
