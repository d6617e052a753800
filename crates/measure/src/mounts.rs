//! What each mount of config.json brings into the container.
//!

use crate::config::Mount;
use crate::{Bundle, Placeholders, landing};
use cofferdam_model::{MeasuredMount, MountKind, Problem, Result, place};
use rustix::fs::{AtFlags, StatxFlags};
use std::os::fd::BorrowedFd;

/// The most mounts of a container that asks for something.
const MOUNTS_MAX: usize = 512;

/// Filesystems that bring nothing from outside.
const KERNEL: [&str; 7] = ["proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2"];

/// What an engine binds into every container that asks for it, out of the host's own programs.
pub(crate) const SHARED: &str = "/sbin/docker-init";

/// The files that an engine makes for one container: destination, and where it keeps the source.
pub(crate) type EngineFiles = Vec<(&'static str, FileId)>;

/// A file or directory, by device (major, minor) and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId(u32, u32, u64);

impl FileId {
    /// The file that a descriptor refers to, without asking a filesystem's server: a source may lie on one that hangs.
    ///
    /// # Errors
    /// `internal` where the kernel would not say.
    pub(crate) fn behind(descriptor: BorrowedFd<'_>) -> Result<Self> {
        let facts = rustix::fs::statx(
            descriptor,
            c"",
            AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC,
            StatxFlags::INO,
        )
        .map_err(|error| Problem::internal(format!("cannot look at a file: {error}")))?;
        Ok(FileId(facts.stx_dev_major, facts.stx_dev_minor, facts.stx_ino))
    }
}

/// Every mount, in config.json's order.
///
/// # Errors
/// `invalid` for a volume that is asked for in a way that cannot be opened.
pub(crate) fn measure(
    mounts: &[Mount],
    bundle: &Bundle<'_>,
    engine: &EngineFiles,
    placeholders: &Placeholders<'_>,
) -> Result<Vec<MeasuredMount>> {
    mounts
        .iter()
        .enumerate()
        .map(|(index, mount)| {
            let source = bundle
                .sources
                .iter()
                .find(|(of, _)| *of == index)
                .map(|(_, source)| *source);
            let kind = kind(mount, source, engine, placeholders)?;
            Ok(MeasuredMount {
                index,
                destination: mount.destination.clone(),
                kind,
                read_only: read_only(mount),
                lands: None,
                hides_files: false,
            })
        })
        .collect()
}

/// Says of every mount where it really goes, and of those that may hide what the image brought whether the image has files there.
/// `data` are the places that the image declares to be for data.
///
/// # Errors
/// As [`landing::place`].
pub(crate) fn land(mounts: &mut [MeasuredMount], root: BorrowedFd<'_>, data: &[String]) -> Result<()> {
    if mounts.len() > MOUNTS_MAX {
        return Err(Problem::invalid(format!(
            "the container has {} mounts; at most {MOUNTS_MAX} can be judged",
            mounts.len()
        )));
    }
    let mut budget = landing::Budget::default();
    let data: Vec<String> = data
        .iter()
        .map(|declared| landing::place(root, declared, &mut budget))
        .collect::<Result<_>>()?;
    for mount in mounts {
        let may_hide = match &mount.kind {
            MountKind::Engine => continue,
            MountKind::Kernel(kind) if place::is_ordinary(kind, &mount.destination) => continue,
            MountKind::Volume(_) | MountKind::Kernel(_) => true,
            MountKind::Outside(_) => false,
        };
        let at = landing::place(root, &mount.destination, &mut budget)?;
        let is_data = data.iter().any(|declared| place::holds(declared, &at));
        mount.hides_files = may_hide && !is_data && landing::has_files(root, &at, &mut budget)?;
        mount.lands = (place::plain(&mount.destination) != Some(at.as_str())).then_some(at);
    }
    Ok(())
}

/// What a mount is whose source nobody has opened, and whether it is read-only.
///
/// # Errors
/// None that there is without a source.
#[cfg(feature = "judge")]
pub(crate) fn without_source(mount: &Mount) -> Result<(MountKind, bool)> {
    let kind = kind(mount, None, &EngineFiles::new(), &|_| Ok(None))?;
    Ok((kind, read_only(mount)))
}

fn options(mount: &Mount) -> impl DoubleEndedIterator<Item = &str> {
    mount.options.iter().flatten().map(String::as_str)
}

fn kind(
    mount: &Mount,
    source: Option<BorrowedFd<'_>>,
    engine: &EngineFiles,
    placeholders: &Placeholders<'_>,
) -> Result<MountKind> {
    let kind = mount.kind.as_deref().unwrap_or_default();
    let is_bind = kind == "bind" || options(mount).any(|option| matches!(option, "bind" | "rbind"));
    if let Some(source) = source {
        if let Some(volume) = placeholders(source)? {
            openable(mount, is_bind)?;
            return Ok(MountKind::Volume(volume));
        }
        let file = FileId::behind(source)?;
        let is_own = |(destination, own): &(&str, FileId)| *destination == mount.destination && *own == file;
        // A program of the host's is nobody's to write.
        let may_be_written = mount.destination != SHARED;
        if is_bind && engine.iter().any(is_own) && (may_be_written || read_only(mount)) {
            return Ok(MountKind::Engine);
        }
    }
    if !is_bind && KERNEL.contains(&kind) {
        return Ok(MountKind::Kernel(kind.to_owned()));
    }
    Ok(MountKind::Outside(
        mount.source.clone().unwrap_or_else(|| kind.to_owned()),
    ))
}

/// A volume comes as a plain bind mount; its ids and its propagation are ours to set.
fn openable(mount: &Mount, is_bind: bool) -> Result<()> {
    let at = format!("{:?}", mount.destination);
    if !is_bind
        || mount
            .kind
            .as_deref()
            .is_some_and(|kind| !matches!(kind, "bind" | "none" | ""))
    {
        return Err(Problem::invalid(format!(
            "the volume at {at} is not asked for as a bind mount"
        )));
    }
    let maps = mount.uid_mappings.is_some()
        || mount.gid_mappings.is_some()
        || options(mount).any(|option| matches!(option, "idmap" | "ridmap"));
    if maps {
        return Err(Problem::invalid(format!(
            "the volume at {at} is asked for with an id map of its own"
        ))
        .remedy("leave it out: Cofferdam maps the ids"));
    }
    if options(mount).any(|option| option == "remount") {
        return Err(Problem::invalid(format!(
            "the volume at {at} is asked for as a remount"
        )));
    }
    Ok(())
}

/// The last of several counts, as with mount(8).
fn read_only(mount: &Mount) -> bool {
    options(mount).rev().find_map(|option| match option {
        "ro" | "rro" => Some(true),
        "rw" | "rrw" => Some(false),
        _ => None,
    }) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd;

    fn mount(text: &str) -> Mount {
        serde_json::from_str(text).unwrap()
    }

    fn measured(text: &str, source: Option<&File>, engine: &EngineFiles, volume: bool) -> Result<MountKind> {
        let placeholders = |_: BorrowedFd<'_>| if volume { "a.b".parse().map(Some) } else { Ok(None) };
        kind(&mount(text), source.map(AsFd::as_fd), engine, &placeholders)
    }

    #[test]
    fn kinds_are_told_apart_by_what_is_there() {
        let none = Vec::new();
        let file = tempfile::tempfile().unwrap();
        let bind = r#"{"destination":"/etc/hosts","type":"bind","source":"/x","options":["rbind"]}"#;
        assert_eq!(
            measured(
                r#"{"destination":"/proc","type":"proc","source":"proc"}"#,
                None,
                &none,
                false
            )
            .unwrap(),
            MountKind::Kernel("proc".into())
        );
        assert_eq!(
            measured(bind, Some(&file), &none, false).unwrap(),
            MountKind::Outside("/x".into())
        );
        let engine = vec![("/etc/hosts", FileId::behind(file.as_fd()).unwrap())];
        assert_eq!(
            measured(bind, Some(&file), &engine, false).unwrap(),
            MountKind::Engine
        );
        let elsewhere = bind.replace("/etc/hosts", "/etc/passwd");
        assert_eq!(
            measured(&elsewhere, Some(&file), &engine, false).unwrap(),
            MountKind::Outside("/x".into())
        );
        assert_eq!(
            measured(bind, Some(&file), &none, true).unwrap(),
            MountKind::Volume("a.b".parse().unwrap())
        );
        let tmpfs_bind = r#"{"destination":"/x","type":"tmpfs","source":"/x","options":["bind"]}"#;
        assert_eq!(
            measured(tmpfs_bind, None, &none, false).unwrap(),
            MountKind::Outside("/x".into())
        );
        let disk = r#"{"destination":"/x","type":"ext4","source":"/dev/sda"}"#;
        assert_eq!(
            measured(disk, None, &none, false).unwrap(),
            MountKind::Outside("/dev/sda".into())
        );
    }

    #[test]
    fn a_volume_is_asked_for_plainly_or_not_at_all() {
        let file = tempfile::tempfile().unwrap();
        for text in [
            r#"{"destination":"/d","type":"ext4","source":"/x","options":["bind"]}"#,
            r#"{"destination":"/d","type":"none","source":"/x"}"#,
            r#"{"destination":"/d","type":"bind","source":"/x","options":["idmap"]}"#,
            r#"{"destination":"/d","type":"bind","source":"/x","options":["bind","remount"]}"#,
            r#"{"destination":"/d","type":"bind","source":"/x","uidMappings":[]}"#,
        ] {
            assert!(measured(text, Some(&file), &Vec::new(), true).is_err(), "{text}");
        }
    }

    #[test]
    fn the_last_of_ro_and_rw_counts() {
        for (options, expected) in [
            ("[]", false),
            (r#"["ro"]"#, true),
            (r#"["ro","rw"]"#, false),
            (r#"["rw","ro"]"#, true),
            (r#"["rro"]"#, true),
        ] {
            let text = format!(r#"{{"destination":"/d","options":{options}}}"#);
            assert_eq!(read_only(&mount(&text)), expected, "{options}");
        }
    }
}
