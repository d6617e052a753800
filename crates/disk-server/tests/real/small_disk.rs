//! A small filesystem below a store: one that can be full, and one that can stand still.

use e2e::{Outcome, command::run, disk::Place};
use std::path::{Path, PathBuf};

/// An ext4 in a file. It is unmounted with its namespace; the loop device goes with the mount.
pub(crate) fn small_disk(place: &Place, megabytes: u32) -> Outcome<PathBuf> {
    let (image, mount) = (place.path("small.img"), place.directory("small")?);
    let image = image.to_string_lossy();
    run("truncate", &["-s", &format!("{megabytes}M"), &image])?.ok()?;
    run("mkfs.ext4", &["-q", "-F", "-m", "0", &image])?.ok()?;
    run("mount", &["-o", "loop", &image, &mount.to_string_lossy()])?.ok()?;
    Ok(mount)
}

/// A filesystem to which every write waits, until this is dropped.
pub(crate) struct Frozen(PathBuf);

impl Frozen {
    pub(crate) fn new(mount: &Path) -> Outcome<Self> {
        run("fsfreeze", &[Path::new("--freeze"), mount])?.ok()?;
        Ok(Frozen(mount.to_owned()))
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let thawed = run("fsfreeze", &[Path::new("--unfreeze"), &self.0]).and_then(e2e::Ran::ok);
        if let Err(failure) = thawed {
            eprintln!("still frozen: {failure}");
        }
    }
}
