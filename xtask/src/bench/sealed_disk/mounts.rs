//! What is mounted where, from `/proc/self/mountinfo` (proc_pid_mountinfo(5)).

use e2e::{Outcome, command::run, failure::During};
use std::{
    fs::{self, File},
    path::Path,
};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mounted {
    /// The device, or what the filesystem calls itself.
    pub(crate) source: String,
    /// The mount's own options and the filesystem's, joined with commas.
    pub(crate) options: String,
}

/// What is mounted at a place; none where nothing is.
pub(crate) fn at(place: &Path) -> Outcome<Option<Mounted>> {
    Ok(in_text(&fs::read_to_string("/proc/self/mountinfo")?, place))
}

/// Lets go of other people's FUSE servers and loop devices, which came along into these namespaces: kept
/// mounted here, they could not end there.
pub(crate) fn let_go_of_others() -> Outcome {
    let text = fs::read_to_string("/proc/self/mountinfo")?;
    for place in held_by_others(&text) {
        run("umount", &["--lazy", place])?.ok()?;
    }
    Ok(())
}

/// Their places, the newest first, as it may lie in an older one. Names with blanks are written in another
/// way there, and left alone.
fn held_by_others(text: &str) -> Vec<&str> {
    text.lines()
        .rev()
        .filter_map(|line| {
            let (mount, filesystem) = line.split_once(" - ")?;
            let (kind, source) = filesystem.split_once(' ')?;
            let is_held = kind == "fuse" || kind.starts_with("fuse.") || source.starts_with("/dev/loop");
            let place = mount.split(' ').nth(4)?;
            (is_held && !place.contains('\\')).then_some(place)
        })
        .collect()
}

/// Unmounts what is there.
pub(crate) fn unmount(place: &Path) -> Outcome {
    run("umount", &[place])?.ok().map(drop)
}

/// Writes to the disk what is dirty in the filesystem at `mount`, and then in the one around it, where the
/// store lies: not in those of other people.
pub(crate) fn sync(mount: &Path) -> Outcome {
    let around = mount.parent().during("the directory around the mount")?;
    for place in [mount, around] {
        rustix::fs::syncfs(File::open(place)?).during(place.display())?;
    }
    Ok(())
}

/// Lets the kernel forget what it has cached and need not write (proc_sys_vm(5)).
pub(crate) fn drop_caches() -> Outcome {
    fs::write("/proc/sys/vm/drop_caches", "3").during("dropping the kernel's caches")
}

/// The last mount at a place is the one that is seen.
fn in_text(text: &str, place: &Path) -> Option<Mounted> {
    let place = place.to_str()?;
    text.lines().rev().find_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(4);
        if mount.next()? != place {
            return None;
        }
        let own = mount.next()?;
        let mut filesystem = filesystem.split(' ').skip(1);
        let source = filesystem.next()?.to_owned();
        let all = filesystem.next()?;
        Some(Mounted {
            source,
            options: format!("{own},{all}"),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_and_loop_devices_of_others_are_found() {
        let text = "36 35 98:0 / /mnt rw - ext4 /dev/root rw\n\
                    37 36 7:3 / /mnt/x rw - ext4 /dev/loop3 rw\n\
                    38 37 0:39 / /mnt/x/y rw - fuse.gocryptfs /store rw\n\
                    39 36 0:40 / /sys/fs/fuse/connections rw - fusectl fusectl rw\n";
        assert_eq!(held_by_others(text), ["/mnt/x/y", "/mnt/x"]);
    }

    #[test]
    fn the_mount_at_a_place_is_found() {
        let text = "36 35 98:0 / /mnt rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n\
                    37 36 7:3 / /mnt/x rw,relatime - ext4 /dev/loop3 rw,stripe=4\n";
        let found = in_text(text, Path::new("/mnt/x")).unwrap();
        assert_eq!(found.source, "/dev/loop3");
        assert_eq!(found.options, "rw,relatime,rw,stripe=4");
        assert_eq!(in_text(text, Path::new("/mnt")).unwrap().source, "/dev/root");
        assert_eq!(in_text(text, Path::new("/mn")), None);
    }
}
