//! What a new volume begins with, in a directory of its own: a plain volume's, or the root of a sealed one's filesystem.
//!
//! ```text
//! ├── data/        what a container sees; its owner and mode are the volume's
//! ├── owner        in a sealed one: the volume's owner, written before data/ is there
//! └── data.new/    a first content that was not finished; wiped and made again
//! ```

use crate::copy_up::{self, Progress, Translate};
use crate::problem;
use crate::trash::Trash;
use cofferdam_linux::file::{read_limited, write_durably};
use cofferdam_model::{Owner, Problem, Result};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

pub(crate) const DATA: &str = cofferdam_model::disk::DATA;
pub(crate) const DRAFT: &str = "data.new";

/// Whose the content is, as JSON.
const OWNER: &str = "owner";

/// The longest note of it, in bytes.
const OWNER_MAX: usize = 256;

/// Where a new volume's content and ownership come from.
pub struct FirstContent<'a> {
    /// The image's directory at the volume's place, where it has one.
    pub image: Option<BorrowedFd<'a>>,
    /// From ids as they lie in the image to ids as they lie on the volume.
    pub translate: &'a Translate<'a>,
    /// Who owns the volume where the image says nothing.
    pub otherwise: Owner,
}

impl FirstContent<'_> {
    /// Lays it into a filesystem of the volume's own, whose root directory is `root`, durably; says who owns it. What an
    /// earlier attempt left is wiped first.
    ///
    /// # Errors
    /// `unavailable` where the volume is too small for it.
    pub fn lay_into(&self, root: BorrowedFd<'_>, progress: &Progress) -> Result<Owner> {
        self.lay_into_root(root, progress)
            .map_err(|error| problem("cannot give the new volume its first content", error))
    }

    fn lay_into_root(&self, root: BorrowedFd<'_>, progress: &Progress) -> io::Result<Owner> {
        // A mount's descriptor names the directory and is not open for anything.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(root, c".", flags, Mode::empty())?;
        let trash = Trash::open(root.as_fd())?;
        // INVARIANT: `owner` is there, durably, before `data` is: so `data` without it was never made by this.
        lay(root.as_fd(), &trash, self, progress, |owner| {
            write_durably(root.as_fd(), OWNER, &serde_json::to_vec(owner)?, 0o600)
        })
    }
}

/// Whose the content of a volume's own filesystem is; none where it has not been given any, or not wholly.
///
/// # Errors
/// `corrupt` where the note of it cannot be read, or there is content and no note: it must not pass for a new volume.
pub fn owner_within(root: BorrowedFd<'_>) -> Result<Option<Owner>> {
    let has_data = match rustix::fs::statat(root, DATA, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => true,
        Err(Errno::NOENT) => false,
        Err(error) => return Err(problem("cannot look into the volume", error.into())),
    };
    match (has_data, note_of_owner(root)?) {
        (true, None) => Err(Problem::corrupt(
            "the volume has content, and neither its deed nor itself says whose",
        )
        .remedy("put its newest deed back beside the store")),
        (true, owner) => Ok(owner),
        (false, _) => Ok(None),
    }
}

fn note_of_owner(root: BorrowedFd<'_>) -> Result<Option<Owner>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let note = match rustix::fs::openat(root, OWNER, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        note => note.map_err(io::Error::from),
    };
    let bytes = note.and_then(|note| read_limited(File::from(note), OWNER_MAX));
    let owner = bytes.and_then(|bytes| Ok(serde_json::from_slice(&bytes)?));
    owner.map(Some).map_err(|error| {
        Problem::corrupt(format!(
            "the volume's own note of its owner cannot be read: {error}"
        ))
    })
}

pub(crate) fn lay(
    directory: BorrowedFd<'_>,
    trash: &Trash,
    first: &FirstContent<'_>,
    progress: &Progress,
    note: impl FnOnce(&Owner) -> io::Result<()>,
) -> io::Result<Owner> {
    trash.throw(directory, DRAFT)?;
    trash.throw(directory, DATA)?;
    trash.empty()?;
    rustix::fs::mkdirat(directory, DRAFT, Mode::RWXU)?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let draft = rustix::fs::openat(directory, DRAFT, flags, Mode::empty())?;
    let owner = match first.image {
        Some(image) => {
            copy_up::copy_tree(image, draft.as_fd(), first.translate, progress)?;
            rustix::fs::syncfs(&draft)?;
            let facts = rustix::fs::fstat(&draft)?;
            Owner {
                uid: facts.st_uid,
                gid: facts.st_gid,
            }
        }
        None => {
            let Owner { uid, gid } = first.otherwise;
            rustix::fs::fchown(&draft, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?;
            rustix::fs::fchmod(&draft, Mode::from_raw_mode(0o755))?;
            rustix::fs::fsync(&draft)?;
            first.otherwise
        }
    };
    note(&owner)?;
    rustix::fs::renameat(directory, DRAFT, directory, DATA)?;
    rustix::fs::fsync(directory)?;
    Ok(owner)
}
