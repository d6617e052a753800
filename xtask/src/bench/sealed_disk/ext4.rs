//! The filesystem on the rival's loop device: the same as on ours, so that only the disk below differs.

use super::mounts;
use e2e::{Failure, Outcome, command::run, failure::During};
use std::path::Path;

/// How it is made and mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ext4 {
    /// What mkfs.ext4 is told, besides what keeps it from working in the background later.
    making: Vec<String>,
    /// What mount is told.
    mounting: String,
}

impl Ext4 {
    /// What mkfs.ext4 and mount do by themselves.
    pub(crate) fn usual() -> Self {
        Ext4 {
            making: Vec::new(),
            mounting: "rw".to_owned(),
        }
    }

    /// As the one that is mounted at a place.
    ///
    /// `discard` is left out: it would take the rival's preallocated image apart. So is `nobarrier`: the rival's device has a
    /// write cache, so without barriers it would promise what it does not keep.
    pub(crate) fn like(place: &Path) -> Outcome<Self> {
        let mounted = mounts::at(place)?.during("our filesystem's mount")?;
        let superblock = run("dumpe2fs", &["-h", &mounted.source])?.ok()?.out;
        let mounting: Vec<&str> = mounted
            .options
            .split(',')
            .filter(|option| !["discard", "nobarrier"].contains(option))
            .collect();
        Ok(Ext4 {
            making: making(&superblock)?,
            mounting: mounting.join(","),
        })
    }

    /// Makes it on a device, completely: nothing is left to a thread of the kernel's after the first mount.
    pub(crate) fn make(&self, device: &str) -> Outcome {
        let mut arguments = vec!["-q", "-E", "nodiscard,lazy_itable_init=0,lazy_journal_init=0"];
        arguments.extend(self.making.iter().map(String::as_str));
        arguments.push(device);
        run("mkfs.ext4", &arguments)?.ok().map(drop)
    }

    /// Mounts it.
    pub(crate) fn mount(&self, device: &str, place: &Path) -> Outcome {
        let place = place.to_string_lossy();
        e2e::host::mount(&["-t", "ext4", "-o", &self.mounting, device, &place])
    }
}

/// What mkfs.ext4 must be told to make a filesystem with this superblock, as dumpe2fs(8) prints it.
fn making(superblock: &str) -> Outcome<Vec<String>> {
    let field = |name: &str| {
        superblock
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
            .during(format!("dumpe2fs: {name}"))
    };
    let features: Vec<&str> = field("Filesystem features")?
        .split_whitespace()
        // A state, not a choice: it is there because the filesystem is mounted.
        .filter(|feature| !["needs_recovery", "orphan_present"].contains(feature))
        .collect();
    let journal = field("Total journal size")?;
    let journal = match journal.strip_suffix('M') {
        Some(size) => size.to_owned(),
        None => return Err(Failure::new(format!("a journal of {journal} is not understood"))),
    };
    Ok(vec![
        "-O".to_owned(),
        format!("none,{}", features.join(",")),
        "-I".to_owned(),
        field("Inode size")?.to_owned(),
        "-N".to_owned(),
        field("Inode count")?.to_owned(),
        "-J".to_owned(),
        format!("size={journal}"),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_superblock_is_made_again() {
        let text = "Filesystem features:      has_journal extent needs_recovery metadata_csum\n\
                    Inode count:              393216\nInode size:\t          256\n\
                    Total journal size:       64M\nTotal journal blocks:     16384\n";
        assert_eq!(
            making(text).unwrap(),
            [
                "-O",
                "none,has_journal,extent,metadata_csum",
                "-I",
                "256",
                "-N",
                "393216",
                "-J",
                "size=64"
            ]
        );
        assert!(making("Inode count: 1\n").is_err());
    }
}
