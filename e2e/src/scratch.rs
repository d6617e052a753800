//! The one directory that a private host has on the machine's disk: `/var/tmp/cofferdam-<pid>`, or below
//! another parent.
//!
//! It is locked for as long as its maker lives, so that what a killed run left is told from what another
//! run is using, without trusting process numbers.

use crate::{
    cgroups,
    command::run,
    failure::{During, Failure, Outcome},
};
use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{self, DirBuilder, File},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// Where scratch directories are made: on a disk, since images and volumes need a real filesystem.
const PARENT: &str = "/var/tmp";

/// How their names begin. The cgroups have the same name.
const PREFIX: &str = "cofferdam-";

/// The file in it that its maker holds locked.
const LOCK: &str = "made-by-cofferdam-e2e.lock";

/// A scratch directory; removed, with its cgroups, when dropped.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Removes what killed runs have left, then makes a new one.
    ///
    /// # Errors
    /// Where the directory cannot be made.
    pub fn make() -> Outcome<Self> {
        Self::make_below(Path::new(PARENT))
    }

    /// The same elsewhere, where it matters which disk it is on.
    ///
    /// # Errors
    /// Where the directory cannot be made.
    pub fn make_below(parent: &Path) -> Outcome<Self> {
        fs::create_dir_all(parent).during(parent.display())?;
        remove_leftovers(parent);
        let path = parent.join(format!("{PREFIX}{}", std::process::id()));
        DirBuilder::new()
            .mode(0o755)
            .create(&path)
            .during(path.display())?;
        let lock = lock(&path)?.during("a scratch directory that is locked already")?;
        Ok(Scratch { path, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(failure) = remove(&self.path) {
            eprintln!("not cleaned up: {failure}");
        }
    }
}

/// The name of the cgroup that goes with a scratch directory.
pub fn cgroup(scratch: &Path) -> String {
    scratch
        .file_name()
        .map_or_else(|| PREFIX.to_owned(), |name| name.to_string_lossy().into_owned())
}

/// Takes the lock; none where somebody alive has it.
fn lock(directory: &Path) -> Outcome<Option<File>> {
    let file = File::create(directory.join(LOCK))?;
    Ok(flock(&file, FlockOperation::NonBlockingLockExclusive)
        .ok()
        .map(|()| file))
}

/// A directory named by a number, with the lock file of ours in it: nobody else's.
fn is_ours(entry: &fs::DirEntry) -> bool {
    let name = entry.file_name();
    let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
    number.is_some_and(|number| number.parse::<u32>().is_ok())
        && entry.file_type().is_ok_and(|kind| kind.is_dir())
        && entry.path().join(LOCK).is_file()
}

fn remove_leftovers(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        if !is_ours(&entry) {
            continue;
        }
        if let Ok(Some(_lock)) = lock(&entry.path()) {
            match remove(&entry.path()) {
                Ok(()) => eprintln!("· removed {}, left by a killed run", entry.path().display()),
                Err(failure) => eprintln!("left by a killed run: {failure}"),
            }
        }
    }
}

fn remove(scratch: &Path) -> Outcome {
    let groups_gone = cgroups::remove(&cgroup(scratch));
    let path = scratch.to_string_lossy();
    run("rm", &["-rf", "--one-file-system", "--", &path])?.ok()?;
    if groups_gone {
        return Ok(());
    }
    Err(Failure::new(format!("cgroups named {}", cgroup(scratch))))
}
