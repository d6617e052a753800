//! Loop devices: the rival's own, and a record of all, so that none stays behind when the run is killed.

use e2e::{
    Outcome,
    command::run,
    failure::{During, ensure},
};
use serde_json::Value;
use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
};

/// The file in the scratch directory that lists them, one `device inode major:minor` a line.
const RECORD: &str = "loop-devices";

/// What a device is bound to; a number that was freed and taken by somebody else is told from it.
const COLUMNS: &str = "NAME,BACK-INO,BACK-MAJ:MIN";

/// Read-ahead of the device, in KiB: what serves large reads best, as ours sets it too.
const READ_AHEAD: &str = "4096";

/// Binds an image to a free device and answers its name.
pub(crate) fn attach(image: &Path) -> Outcome<String> {
    let arguments = ["--find", "--show", "--direct-io=on", "--sector-size=4096"];
    let mut arguments = arguments.map(str::to_owned).to_vec();
    arguments.push(image.to_string_lossy().into_owned());
    let device = run("losetup", &arguments)?.ok()?.text();
    let direct = run("losetup", &["--noheadings", "--output", "DIO", &device])?.ok()?;
    ensure(direct.text() == "1", || format!("{device} does no direct I/O"))?;
    let number = device.trim_start_matches("/dev/");
    fs::write(format!("/sys/block/{number}/queue/read_ahead_kb"), READ_AHEAD)?;
    Ok(device)
}

/// Lets a device go by itself with its last user.
pub(crate) fn detach_when_unused(device: &str) -> Outcome {
    run("losetup", &["--detach", device])?.ok().map(drop)
}

/// Notes a device, for [`detach_leftovers`].
pub(crate) fn record(scratch: &Path, device: &str) -> Outcome {
    let bound = run("losetup", &["--json", "--output", COLUMNS, device])?
        .ok()?
        .json()?;
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(scratch.join(RECORD))?;
    for line in lines(&bound) {
        writeln!(file, "{line}")?;
    }
    Ok(())
}

/// Detaches what the record names and what is still bound to the same file. For the outer half, after the
/// inner one has ended.
///
/// # Errors
/// Where the record cannot be read, or a device stays.
pub(crate) fn detach_leftovers(scratch: &Path) -> Outcome {
    let record = match fs::read_to_string(scratch.join(RECORD)) {
        Ok(record) => record,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let listed = run("losetup", &["--json", "--output", COLUMNS])?.ok()?;
    if listed.text().is_empty() {
        return Ok(());
    }
    let bound = lines(&listed.json()?);
    for line in record
        .lines()
        .filter(|line| bound.iter().any(|bound| bound == line))
    {
        let device = line.split(' ').next().during("a device's name")?;
        detach_when_unused(device)?;
        eprintln!("· detached {device}, left by the run");
    }
    Ok(())
}

fn lines(listed: &Value) -> Vec<String> {
    let devices = listed.get("loopdevices").and_then(Value::as_array);
    devices
        .into_iter()
        .flatten()
        .filter_map(|device| {
            let field = |name: &str| match device.get(name)? {
                Value::String(text) => Some(text.trim().to_owned()),
                other => Some(other.to_string()),
            };
            Some(format!(
                "{} {} {}",
                field("name")?,
                field("back-ino")?,
                field("back-maj:min")?
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_told_by_what_they_are_bound_to() {
        let listed = serde_json::json!({ "loopdevices": [
            { "name": "/dev/loop0", "back-ino": 17, "back-maj:min": "254:0" },
            { "name": "/dev/loop1", "back-ino": "1", "back-maj:min": "  0:51" },
        ] });
        assert_eq!(lines(&listed), ["/dev/loop0 17 254:0", "/dev/loop1 1 0:51"]);
        assert!(lines(&serde_json::json!({})).is_empty());
    }
}
