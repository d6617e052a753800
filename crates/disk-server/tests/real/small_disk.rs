//! A small filesystem below a store: one that can be full, and one that can stand still.

use e2e::{Outcome, command::run, disk::Place};
use std::{
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

/// The longest that a filesystem stands still.
const MOST: Duration = Duration::from_secs(90);

/// An ext4 in a file. It is unmounted with its namespace; the loop device goes with the mount.
pub(crate) fn small_disk(place: &Place, megabytes: u32) -> Outcome<PathBuf> {
    let (image, mount) = (place.path("small.img"), place.directory("small")?);
    let image = image.to_string_lossy();
    run("truncate", &["-s", &format!("{megabytes}M"), &image])?.ok()?;
    run("mkfs.ext4", &["-q", "-F", "-m", "0", &image])?.ok()?;
    run("mount", &["-o", "loop", &image, &mount.to_string_lossy()])?.ok()?;
    Ok(mount)
}

/// A filesystem to which every write waits, until this is dropped; not for ever, for nothing ends a process that waits
/// for it.
pub(crate) struct Frozen {
    thaw: mpsc::Sender<()>,
    thread: Option<thread::JoinHandle<Outcome>>,
}

impl Frozen {
    pub(crate) fn new(mount: &Path) -> Outcome<Self> {
        run("fsfreeze", &[Path::new("--freeze"), mount])?.ok()?;
        let (thaw, wanted) = mpsc::channel();
        let mount = mount.to_owned();
        let thread = thread::spawn(move || {
            wanted.recv_timeout(MOST).ok();
            run("fsfreeze", &[Path::new("--unfreeze"), &mount])?
                .ok()
                .map(drop)
        });
        Ok(Frozen {
            thaw,
            thread: Some(thread),
        })
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.thaw.send(()).ok();
        match self.thread.take().map(thread::JoinHandle::join) {
            None | Some(Ok(Ok(()))) => {}
            other => eprintln!("still frozen: {other:?}"),
        }
    }
}
