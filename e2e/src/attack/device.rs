//! Block devices: a sealed volume's disk while it is open, and the control's, which is a LUN as far as Docker can tell.

use super::ground::Ground;
use crate::{Outcome, command::run, failure::During};
use std::{fs, path::Path};

/// The file in it that is the disk.
const IMAGE: &str = "image";

/// A block device on which a volume lies.
#[derive(Debug, Clone)]
pub(super) struct Device {
    /// Its node on the host.
    pub(super) path: String,
    /// Its number.
    pub(super) major: u32,
    /// The second part of that.
    pub(super) minor: u32,
}

impl Ground<'_> {
    /// The loop devices on which the open volume may lie. Those of others are among them, and have not the secret in them.
    pub(super) fn devices(&self) -> Outcome<Vec<Device>> {
        let below = self.scene.host.scratch().to_string_lossy().into_owned();
        let mut found = Vec::new();
        for entry in fs::read_dir("/sys/block")?.flatten() {
            let Ok(file) = fs::read_to_string(entry.path().join("loop/backing_file")) else {
                continue;
            };
            let number = fs::read_to_string(entry.path().join("dev"))?;
            let (major, minor) = number.trim().split_once(':').during("a device's number")?;
            // The disk server's own file has a path in a namespace of its own.
            if file.starts_with(&below) == self.guarded() {
                continue;
            }
            found.push(Device {
                path: format!("/dev/{}", entry.file_name().to_string_lossy()),
                major: major.parse()?,
                minor: minor.parse()?,
            });
        }
        Ok(found)
    }
}

/// A filesystem on a loop device, below the attacker's directory.
pub(super) fn loop_device(place: &Path) -> Outcome<String> {
    let image = place.join(IMAGE);
    fs::File::create(&image)?.set_len(32 << 20)?;
    let image = image.to_string_lossy();
    run("mkfs.ext4", &["-q", &image])?.ok()?;
    Ok(run("losetup", &["--find", "--show", &image])?.ok()?.text())
}

/// Takes that loop device away again.
pub(super) fn detach(place: &Path) -> Outcome {
    let image = place.join(IMAGE);
    if !image.exists() {
        return Ok(());
    }
    let image = image.to_string_lossy();
    let used = run(
        "losetup",
        &["--noheadings", "--output", "NAME", "--associated", &image],
    )?;
    for device in used.out.split_whitespace() {
        run("losetup", &["--detach", device])?.ok()?;
    }
    Ok(())
}
