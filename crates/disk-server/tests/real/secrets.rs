//! Where plaintext and key can be met while a disk is served: in the mount and the block device, and nowhere else.

use crate::ground::{alone, volume};
use e2e::{
    Outcome,
    disk::{Place, Server, Volume},
    failure::ensure,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What is looked for.
const PLAIN: &[u8] = b"this line is plain and easy to find";

#[test]
fn nothing_leads_to_plaintext_but_the_mount() {
    alone(|place| {
        let volume = volume(place, "64M")?;
        let mut server = volume.serve(&[])?;
        fs::write(volume.mount.join("file"), PLAIN.repeat(1000))?;
        fs::File::open(&volume.mount)?.sync_all()?;
        mounts_lead_nowhere_else(&volume, &server)?;
        open_files_lead_nowhere_else(place, &server)?;
        server.stop()?;
        for file in files(&volume.store)? {
            ensure(!holds(&fs::read(&file)?, PLAIN), || {
                format!("plaintext in {}", file.display())
            })?;
        }
        Ok(())
    });
}

#[test]
fn the_key_is_in_no_command_line_and_no_environment() {
    alone(|place| {
        let volume = volume(place, "64M")?;
        // What a careless caller would hand on.
        let key = fs::read(&volume.key)?;
        let mut server = volume.serve(&[])?;
        let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        for pid in [server.supervisor(), server.worker()?] {
            for of in ["cmdline", "environ"] {
                let seen = fs::read(format!("/proc/{pid}/{of}"))?;
                ensure(!holds(&seen, &key) && !holds(&seen, hex.as_bytes()), || {
                    format!("the key is in {of} of {pid}")
                })?;
            }
        }
        let environment = fs::read(format!("/proc/{}/environ", server.worker()?))?;
        ensure(environment.is_empty(), || {
            String::from_utf8_lossy(&environment).into_owned()
        })?;
        server.stop()?;
        for file in files(&volume.store)? {
            ensure(!holds(&fs::read(&file)?, &key), || {
                format!("the key is in {}", file.display())
            })?;
        }
        Ok(())
    });
}

/// In every mount namespace that any process is in: no FUSE filesystem of ours, the device once.
fn mounts_lead_nowhere_else(volume: &Volume, server: &Server) -> Outcome {
    let name = server.device().display().to_string();
    let mut seen = 0;
    for pid in numbers("/proc")? {
        let Ok(table) = fs::read_to_string(format!("/proc/{pid}/mountinfo")) else {
            continue;
        };
        for line in table.lines() {
            ensure(!line.contains("fuse.cofferdam"), || {
                format!("process {pid} sees {line}")
            })?;
            if line.contains(&format!(" {name} ")) {
                ensure(line.contains(&format!(" {} ", volume.mount.display())), || {
                    format!("process {pid} sees {line}")
                })?;
                seen += 1;
            }
        }
    }
    ensure(seen > 0, || "the mount itself was not seen".to_owned())
}

/// As lsof would show it: of all processes that live here only the supervisor has the device open.
fn open_files_lead_nowhere_else(place: &Place, server: &Server) -> Outcome {
    let mut seen = false;
    for pid in place.processes() {
        for descriptor in numbers(&format!("/proc/{pid}/fd"))? {
            let leads_to = fs::read_link(format!("/proc/{pid}/fd/{descriptor}")).unwrap_or_default();
            if leads_to == server.device() {
                ensure(pid == server.supervisor(), || {
                    format!("process {pid} has the device open")
                })?;
                seen = true;
            }
        }
    }
    ensure(seen, || "the supervisor's own was not seen".to_owned())
}

fn numbers(directory: &str) -> Outcome<Vec<u32>> {
    let names = fs::read_dir(directory)?.flatten();
    Ok(names
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect())
}

fn files(directory: &Path) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
