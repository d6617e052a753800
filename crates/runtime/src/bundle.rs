//! The bundle: config.json, read once, and the sources of its mounts, opened once.
//!
//! What is judged are these bytes and these descriptors. The bytes that the real runtime reads are made from
//! them; the bundle on disk is never asked again.

use cofferdam_linux::file;
use cofferdam_model::{Problem, Result};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use serde_json::Value;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The longest config.json, in bytes.
const CONFIG_MAX: usize = 16 << 20;

/// One bundle (OCI runtime-spec, "Filesystem Bundle").
#[derive(Debug)]
pub(crate) struct Bundle {
    /// Where the engine says it is.
    pub(crate) path: PathBuf,
    /// config.json, byte for byte.
    pub(crate) bytes: Vec<u8>,
    /// config.json, parsed.
    pub(crate) config: Value,
    /// Its directory.
    directory: OwnedFd,
    /// For each bind mount whose source could be opened: its place in `mounts`, and the source.
    pub(crate) sources: Vec<(usize, OwnedFd)>,
}

impl Bundle {
    /// Reads the bundle at `path`.
    ///
    /// # Errors
    /// `invalid` where there is no directory, or no config.json that can be parsed (at most 16 MiB, at most 128 levels).
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let shown = path.display();
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(CWD, path, flags, Mode::empty())
            .map_err(|error| Problem::invalid(format!("cannot open the bundle {shown}: {error}")))?;
        let config = rustix::fs::openat(
            &directory,
            "config.json",
            OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map_err(|error| {
            Problem::invalid(format!("cannot open config.json in the bundle {shown}: {error}"))
        })?;
        let bytes = file::read_limited(File::from(config), CONFIG_MAX).map_err(|error| {
            Problem::invalid(format!("cannot read config.json in the bundle {shown}: {error}"))
        })?;
        let config: Value = serde_json::from_slice(&bytes).map_err(|error| {
            Problem::invalid(format!("cannot parse config.json in the bundle {shown}: {error}"))
        })?;
        let sources = open_sources(
            mounts(&config)
                .map_err(|problem| problem.context(format_args!("config.json in the bundle {shown}")))?,
        )?;
        Ok(Bundle {
            path: path.to_owned(),
            bytes,
            config,
            directory,
            sources,
        })
    }

    /// Whether any mount's source could be a placeholder: a directory on a tmpfs with the file `SEALED`. More than placeholders
    /// fit that, and the daemon says of those that they are none; no placeholder fails it, not even one whose daemon is gone.
    ///
    /// # Errors
    /// `internal` where that cannot be told.
    pub(crate) fn may_have_placeholder(&self) -> Result<bool> {
        for (_, source) in &self.sources {
            if may_be_placeholder(source)
                .map_err(|error| Problem::internal(format!("cannot look at a mount's source: {error}")))?
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The container's root filesystem.
    ///
    /// # Errors
    /// `invalid` where config.json names none that can be opened.
    pub(crate) fn root(&self) -> Result<OwnedFd> {
        let path = self
            .config
            .pointer("/root/path")
            .and_then(Value::as_str)
            .ok_or_else(|| Problem::invalid("config.json has no root.path"))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.directory, path, flags, Mode::empty()).map_err(|error| {
            Problem::invalid(format!(
                "cannot open the container's root filesystem {path}: {error}"
            ))
        })
    }
}

/// The mounts of config.json. A document that could not be one is refused here, before anything relies on it.
fn mounts(config: &Value) -> Result<&[Value]> {
    let wrong = || Problem::invalid("it is not what the OCI runtime specification describes");
    match config.as_object().ok_or_else(wrong)?.get("mounts") {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(mounts)) if mounts.iter().all(Value::is_object) => Ok(mounts),
        Some(_) => Err(wrong()),
    }
}

/// Opens what the bind mounts bind. What is not there now must not be there later, when nobody looks at it any more: the real runtime
/// would resolve its name anew.
fn open_sources(mounts: &[Value]) -> Result<Vec<(usize, OwnedFd)>> {
    let mut sources = Vec::new();
    for (index, source) in mounts
        .iter()
        .enumerate()
        .filter_map(|(index, mount)| Some((index, bind_source(mount)?)))
    {
        match rustix::fs::openat(CWD, source, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
            Ok(opened) => sources.push((index, opened)),
            // What is no bind mount only has a name that looks like a path.
            Err(Errno::NOENT | Errno::NOTDIR) if !mounts.get(index).is_some_and(binds) => {}
            Err(error) => {
                return Err(Problem::invalid(format!(
                    "cannot open the mount source {source}: {error}"
                )));
            }
        }
    }
    Ok(sources)
}

/// Whether the real runtime binds the source: by the mount's type or by one of its options.
fn binds(mount: &Value) -> bool {
    let options = mount.get("options").and_then(Value::as_array);
    let mut options = options.into_iter().flatten().filter_map(Value::as_str);
    mount.get("type").and_then(Value::as_str) == Some("bind")
        || options.any(|option| matches!(option, "bind" | "rbind"))
}

fn may_be_placeholder(source: &OwnedFd) -> rustix::io::Result<bool> {
    /// `TMPFS_MAGIC` (statfs(2)).
    const TMPFS: u64 = 0x0102_1994;
    /// The one file in a placeholder; `cofferdam_volume::NOTICE` is the other end of this.
    const NOTICE: &str = "SEALED";
    if u64::try_from(rustix::fs::fstatfs(source)?.f_type) != Ok(TMPFS) {
        return Ok(false);
    }
    match rustix::fs::statat(source, NOTICE, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(_) => Ok(true),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The source of a mount that could be a bind mount: any that is an absolute path, whatever the mount claims to be.
fn bind_source(mount: &Value) -> Option<&str> {
    mount
        .get("source")
        .and_then(Value::as_str)
        .filter(|source| source.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(config: &str) -> Result<(tempfile::TempDir, Bundle)> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("rootfs")).unwrap();
        std::fs::write(dir.path().join("config.json"), config).unwrap();
        Bundle::open(dir.path()).map(|bundle| (dir, bundle))
    }

    #[test]
    fn sources_are_opened_and_missing_ones_refused() {
        let missing = r#"{"mounts":[{"destination":"/b","options":["rbind"],"source":"/does/not/exist"}]}"#;
        assert!(bundle(missing).is_err());
        let config = r#"{"root":{"path":"rootfs"},"mounts":[{"destination":"/a","type":"bind","source":"/etc"},
            {"destination":"/b","type":"nfs","source":"/does/not/exist"},{"destination":"/proc","type":"proc","source":"proc"}]}"#;
        let (_dir, bundle) = bundle(config).unwrap();
        assert_eq!(
            bundle.sources.iter().map(|(index, _)| *index).collect::<Vec<_>>(),
            [0]
        );
        assert!(bundle.root().is_ok());
        assert!(!bundle.may_have_placeholder().unwrap());
    }

    #[test]
    fn bundles_made_to_harm_are_refused() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let huge = format!("\"{}\"", "x".repeat(CONFIG_MAX));
        for config in [
            "",
            "{",
            "\0",
            "[]",
            "7",
            r#"{"mounts":7}"#,
            r#"{"mounts":[7]}"#,
            &deep,
            &huge,
        ] {
            assert!(bundle(config).is_err());
        }
        assert!(Bundle::open(Path::new("/does/not/exist")).is_err());
        let dir = tempfile::tempdir().unwrap();
        assert!(
            Bundle::open(dir.path())
                .unwrap_err()
                .message
                .contains("config.json")
        );
        std::os::unix::fs::symlink("/etc/hostname", dir.path().join("config.json")).unwrap();
        assert!(Bundle::open(dir.path()).is_err());
    }

    #[test]
    fn a_pipe_for_a_config_does_not_hang() {
        let dir = tempfile::tempdir().unwrap();
        let handle = File::open(dir.path()).unwrap();
        rustix::fs::mknodat(&handle, "config.json", rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert!(Bundle::open(dir.path()).is_err());
    }
}
