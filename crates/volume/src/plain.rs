//! Plain volumes: one directory each, on a filesystem of the host's, for root alone.
//!
//! ```text
//! volumes/                 0700 root
//! ├── <volume id>/         0700 root
//! │   ├── data/            what a container sees; its owner and mode are the volume's
//! │   └── data.new/        a first content that was not finished; wiped and made again
//! └── trash/               what is to be deleted
//! ```
//!
//! INVARIANT: a volume without an owner in the registry was never opened by anybody; whatever lies in its directory
//! is an unfinished first content.

use crate::copy_up::Progress;
use crate::first_content::{self, DATA, FirstContent};
use crate::problem;
use crate::trash::Trash;
use cofferdam_linux::file::reopen;
use cofferdam_model::{Owner, Problem, Result, VolumeId};
use rustix::fs::{CWD, Dir, Mode, OFlags};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// All plain volumes of this host.
#[derive(Debug)]
pub struct PlainStore {
    root: OwnedFd,
    trash: Trash,
}

impl PlainStore {
    /// The store at `path`, made where there is none.
    ///
    /// # Errors
    /// `unavailable` or `internal`, as the system says.
    pub fn open(path: &Path) -> Result<Self> {
        let root = open_root(path)?;
        let trash = Trash::open(root.as_fd()).map_err(|error| problem("cannot open the trash", error))?;
        Ok(PlainStore { root, trash })
    }

    /// The directory of a volume's data.
    ///
    /// # Errors
    /// `corrupt` where the volume has been opened before and its data is not there.
    pub fn data(&self, id: &VolumeId) -> Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.root, format!("{id}/{DATA}"), flags, Mode::empty()).map_err(|error| {
            match error {
                Errno::NOENT => Problem::corrupt(format!("the data of volume {id} is not in the store"))
                    .remedy("restore it from a backup, or remove the volume"),
                error => problem("cannot open the volume's data", error.into()),
            }
        })
    }

    /// Gives a volume that nobody has opened yet its first content, durably, and says who owns it.
    ///
    /// What an earlier attempt left is wiped first.
    ///
    /// # Errors
    /// `unavailable` where the disk is full; the volume is then as new as before.
    pub fn initialise(&self, id: &VolumeId, first: &FirstContent<'_>, progress: &Progress) -> Result<Owner> {
        self.build(id, first, progress).map_err(|error| {
            // A full disk must not stay full of a content that nobody has.
            let wiped = self.discard(id).and_then(|()| self.empty_trash());
            let failed = problem("cannot give the new volume its first content", error);
            if let Err(error) = wiped {
                failed.context(format!("and cannot take back what was copied ({error})"))
            } else {
                failed
            }
        })
    }

    fn build(&self, id: &VolumeId, first: &FirstContent<'_>, progress: &Progress) -> io::Result<Owner> {
        let directory = self.directory(id)?;
        first_content::lay(directory.as_fd(), &self.trash, first, progress, |_| Ok(()))
    }

    /// A volume's own directory, made where there is none.
    fn directory(&self, id: &VolumeId) -> io::Result<OwnedFd> {
        make_directory(self.root.as_fd(), Path::new(id.as_str()), 0o700)?;
        rustix::fs::fsync(&self.root)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(&self.root, id.as_str(), flags, Mode::empty())?)
    }

    /// Takes a volume out of the store at once; its data waits in the trash. One that is not there is no error.
    ///
    /// # Errors
    /// `unavailable` or `internal`, as the system says.
    pub fn discard(&self, id: &VolumeId) -> Result<()> {
        self.trash
            .throw(self.root.as_fd(), id.as_str())
            .map_err(|error| problem("cannot remove the volume's data", error))
    }

    /// Deletes what is in the trash.
    ///
    /// # Errors
    /// `unavailable` or `internal`, as the system says; what could not be deleted stays for the next time.
    pub fn empty_trash(&self) -> Result<()> {
        self.trash
            .empty()
            .map_err(|error| problem("cannot delete removed volumes", error))
    }

    /// The ids of all volumes that have a directory.
    ///
    /// # Errors
    /// `unavailable` or `internal`, as the system says.
    pub fn ids(&self) -> Result<Vec<VolumeId>> {
        let names = names(self.root.as_fd()).map_err(|error| problem("cannot list the volumes", error))?;
        Ok(names
            .into_iter()
            .filter_map(|name| VolumeId::try_from(name.into_string().ok()?).ok())
            .collect())
    }
}

/// The directory of all volumes at `path`, for root alone, made where there is none.
pub(crate) fn open_root(path: &Path) -> Result<OwnedFd> {
    let fail = |error: Errno| {
        problem(
            &format!("cannot open the volumes at {}", path.display()),
            error.into(),
        )
    };
    make_directory(CWD, path, 0o700).map_err(fail)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = rustix::fs::open(path, flags, Mode::empty()).map_err(fail)?;
    rustix::fs::fchmod(&root, Mode::RWXU).map_err(fail)?;
    Ok(root)
}

pub(crate) fn make_directory(parent: BorrowedFd<'_>, path: &Path, mode: u32) -> rustix::io::Result<()> {
    match rustix::fs::mkdirat(parent, path, Mode::from_raw_mode(mode)) {
        Err(Errno::EXIST) => Ok(()),
        result => result,
    }
}

/// The names in a directory.
pub(crate) fn names(directory: BorrowedFd<'_>) -> io::Result<Vec<std::ffi::CString>> {
    let mut names = Vec::new();
    for entry in Dir::new(reopen(directory, OFlags::RDONLY | OFlags::DIRECTORY)?)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            names.push(entry.file_name().to_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::first_content::DRAFT;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    fn id() -> VolumeId {
        VolumeId::from_bits(7)
    }

    #[test]
    fn without_an_image_the_user_owns_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = PlainStore::open(dir.path()).unwrap();
        let first = FirstContent {
            image: None,
            translate: &|kind, id| kind.same(id),
            otherwise: Owner { uid: 1000, gid: 7 },
        };
        assert_eq!(
            store.initialise(&id(), &first, &Progress::default()).unwrap(),
            first.otherwise
        );
        let data = rustix::fs::fstat(store.data(&id()).unwrap()).unwrap();
        assert_eq!((data.st_uid, data.st_gid, data.st_mode & 0o777), (1000, 7, 0o755));
        assert_eq!(std::fs::metadata(dir.path()).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn an_unfinished_content_is_wiped_and_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let store = PlainStore::open(dir.path()).unwrap();
        for name in [DRAFT, DATA] {
            std::fs::create_dir_all(dir.path().join(id().as_str()).join(name).join("half/done")).unwrap();
        }
        let first = FirstContent {
            image: None,
            translate: &|kind, id| kind.same(id),
            otherwise: Owner { uid: 1, gid: 1 },
        };
        store.initialise(&id(), &first, &Progress::default()).unwrap();
        assert_eq!(
            std::fs::read_dir(dir.path().join(id().as_str()).join(DATA))
                .unwrap()
                .count(),
            0
        );
        assert!(!dir.path().join(id().as_str()).join(DRAFT).exists());
        assert_eq!(store.ids().unwrap(), [id()]);
        store.discard(&id()).unwrap();
        assert!(!dir.path().join(id().as_str()).exists());
    }

    #[test]
    fn removal_follows_no_link() {
        let dir = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("precious"), "x").unwrap();
        let store = PlainStore::open(&dir.path().join("volumes")).unwrap();
        let data = dir.path().join("volumes").join(id().as_str()).join(DATA);
        std::fs::create_dir_all(data.join("deep")).unwrap();
        std::os::unix::fs::symlink(outside.path(), data.join("deep/link")).unwrap();
        store.discard(&id()).unwrap();
        store.discard(&id()).unwrap();
        store.empty_trash().unwrap();
        assert!(outside.path().join("precious").exists());
        assert_eq!(
            std::fs::read_dir(dir.path().join("volumes/trash"))
                .unwrap()
                .count(),
            0
        );
        assert_eq!(
            store.data(&id()).unwrap_err().kind,
            cofferdam_model::ErrorKind::Corrupt
        );
    }

    #[test]
    fn a_full_disk_leaves_the_volume_new() {
        let dir = tempfile::tempdir().unwrap();
        cofferdam_linux::mount::DetachedMount::tmpfs(1 << 20, 64, 0o700)
            .unwrap()
            .attach_at(dir.path())
            .unwrap();
        let image = tempfile::tempdir().unwrap();
        std::fs::write(image.path().join("big"), vec![1; 4 << 20]).unwrap();
        std::fs::set_permissions(image.path(), PermissionsExt::from_mode(0o750)).unwrap();
        let store = PlainStore::open(&dir.path().join("volumes")).unwrap();
        let source = std::fs::File::open(image.path()).unwrap();
        let first = FirstContent {
            image: Some(source.as_fd()),
            translate: &|kind, id| kind.same(id),
            otherwise: Owner { uid: 1, gid: 1 },
        };
        let refused = store.initialise(&id(), &first, &Progress::default()).unwrap_err();
        let left = store.ids().unwrap().len()
            + std::fs::read_dir(dir.path().join("volumes/trash"))
                .unwrap()
                .count();
        rustix::mount::unmount(dir.path(), rustix::mount::UnmountFlags::DETACH).unwrap();
        assert_eq!(refused.kind, cofferdam_model::ErrorKind::Unavailable);
        assert_eq!(left, 0);
    }
}
