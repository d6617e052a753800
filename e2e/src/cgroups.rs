//! The control groups that a private host leaves behind when it is killed, and their removal.

use std::{fs, path::Path, time::Duration};

/// How often removal is tried: the processes of a group may still be ending.
const ATTEMPTS: u32 = 50;

/// Removes every group of this name, with all below it, from every hierarchy. Answers whether all are gone.
pub fn remove(name: &str) -> bool {
    for _ in 0..ATTEMPTS {
        if remove_below(Path::new("/sys/fs/cgroup"), name, false) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    false
}

/// Depth first; `doomed` once the name has been met. True when nothing is left.
fn remove_below(directory: &Path, name: &str, doomed: bool) -> bool {
    let Ok(entries) = fs::read_dir(directory) else {
        return true;
    };
    let mut clean = true;
    for entry in entries.flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let doomed = doomed || entry.file_name() == *name;
        clean &= remove_below(&entry.path(), name, doomed);
        if doomed {
            clean &= fs::remove_dir(entry.path()).is_ok();
        }
    }
    clean
}
