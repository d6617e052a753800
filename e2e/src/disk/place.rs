//! A place of one's own: a mount namespace that ends with its last process, and a scratch directory.
//!
//! What is mounted here nobody else sees, so tests run beside each other and a failed one leaves nothing behind.

use crate::{
    command::run,
    failure::{During, Failure, Outcome},
    process::{signal, until},
};
use rustix::{mount::UnmountFlags, process::Signal};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicU32, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

/// How long killed processes may take to be gone.
const ENDING: Duration = Duration::from_secs(60);

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Where something is tried out.
#[derive(Debug, Clone)]
pub struct Place {
    /// A directory on the machine's own filesystem.
    pub scratch: PathBuf,
    /// The namespace's name, as `/proc/<pid>/ns/mnt` shows it.
    namespace: PathBuf,
}

impl Place {
    /// Does `work` in a thread with a place of its own, whose scratch directory is below `parent`; then ends every
    /// process that lives there, and removes the directory.
    ///
    /// # Errors
    /// What `work` fails with; where it takes longer than `limit`, for then it hangs.
    ///
    /// # Panics
    /// As `work` does.
    pub fn with(
        parent: &Path,
        limit: Duration,
        work: impl FnOnce(&Place) -> Outcome + Send + 'static,
    ) -> Outcome {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let scratch = parent.join(format!("disk-{}-{number}", std::process::id()));
        fs::create_dir_all(&scratch).during(scratch.display())?;
        let (told, hears) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let path = scratch.clone();
        let thread = thread::Builder::new()
            .name(thread::current().name().unwrap_or("place").to_owned())
            .spawn(move || {
                let place = Place::enter(path)?;
                // Nobody listens any more where the time is over.
                drop(told.send(place.clone()));
                let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&place)));
                drop(told);
                // What is mounted here goes with this thread, the last one here: a server must not be that.
                released.recv().ok();
                result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })?;
        let Ok(place) = hears.recv() else {
            return join(thread);
        };
        let in_time = !matches!(hears.recv_timeout(limit), Err(RecvTimeoutError::Timeout));
        let ended = place.end_everything();
        drop(release);
        let result = if in_time || thread_ends(&thread) {
            join(thread)
        } else {
            Ok(())
        };
        run("rm", &["-rf", "--one-file-system", &scratch.to_string_lossy()])?.ok()?;
        if !in_time {
            return Err(Failure::new(format!(
                "not done within {} s: it hangs",
                limit.as_secs()
            )));
        }
        result.and(ended)
    }

    fn enter(scratch: PathBuf) -> Outcome<Self> {
        cofferdam_linux::mount::enter_private_namespace()
            .during("a mount namespace of one's own: be root")?;
        let namespace = fs::read_link("/proc/thread-self/ns/mnt")?;
        let place = Place { scratch, namespace };
        place.let_go_of_others()?;
        Ok(place)
    }

    /// A namespace begins as a copy. Where the machine's mounts do not propagate, the copy would keep loop devices of
    /// others busy after they have unmounted them.
    fn let_go_of_others(&self) -> Outcome {
        let table = fs::read_to_string("/proc/thread-self/mountinfo")?;
        for line in table.lines() {
            let at = line.split(' ').nth(4).map(Path::new);
            let source = line.split(" - ").nth(1).and_then(|rest| rest.split(' ').nth(1));
            if let (Some(at), Some(source)) = (at, source)
                && source.starts_with("/dev/loop")
                && !self.scratch.starts_with(at)
            {
                // One that is gone meanwhile is none to let go of.
                rustix::mount::unmount(at, UnmountFlags::DETACH).ok();
            }
        }
        Ok(())
    }

    /// A path below the scratch directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// A new directory below the scratch directory.
    ///
    /// # Errors
    /// As mkdir(2).
    pub fn directory(&self, name: &str) -> Outcome<PathBuf> {
        let path = self.path(name);
        fs::create_dir(&path).during(path.display())?;
        Ok(path)
    }

    /// All processes that live here; not the one that asks, whose other threads live elsewhere.
    pub fn processes(&self) -> Vec<u32> {
        let Ok(entries) = fs::read_dir("/proc") else {
            return Vec::new();
        };
        entries
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
            .filter(|pid| {
                fs::read_link(format!("/proc/{pid}/ns/mnt")).is_ok_and(|name| name == self.namespace)
            })
            .collect()
    }

    fn end_everything(&self) -> Outcome {
        until("everything that was started has ended", ENDING, || {
            let left = self.processes();
            for pid in &left {
                // It may have ended by itself meanwhile.
                drop(signal(*pid, Signal::KILL));
            }
            left.is_empty()
        })
    }
}

fn thread_ends<T>(thread: &thread::JoinHandle<T>) -> bool {
    until("the thread ends", ENDING, || thread.is_finished()).is_ok()
}

fn join(thread: thread::JoinHandle<Outcome>) -> Outcome {
    match thread.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
