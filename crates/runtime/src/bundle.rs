//! The bundle: config.json, read once, and the sources of its mounts, opened once.
//!
//! What is judged are these bytes and these descriptors. The bytes that the real runtime reads are made from
//! them; the bundle on disk is never asked again.

use crate::document;
use cofferdam_linux::file;
use cofferdam_model::{Problem, Result};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use serde_json::Value;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

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
    /// `invalid` where there is no directory, no config.json that every reader reads the same way (at most 16 MiB), or a bound source
    /// that is not there.
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
        let bytes = file::read_limited(File::from(config), document::LENGTH_MAX).map_err(|error| {
            Problem::invalid(format!("cannot read config.json in the bundle {shown}: {error}"))
        })?;
        let config = document::read(&bytes)
            .map_err(|problem| problem.context(format_args!("in the bundle {shown}")))?;
        let sources = open_sources(&directory, &config)?;
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

/// Opens what the mounts bind. What is not there now must not be there later, when nobody looks at it any more: the real runtime
/// would resolve its name anew.
fn open_sources(bundle: &OwnedFd, config: &Value) -> Result<Vec<(usize, OwnedFd)>> {
    let mut sources = Vec::new();
    for source in document::sources(config) {
        match rustix::fs::openat(bundle, source.path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
            Ok(opened) => sources.push((source.index, opened)),
            Err(Errno::NOENT | Errno::NOTDIR) if !source.binds => {}
            Err(error) => {
                let shown: String = source.path.escape_debug().take(200).collect();
                return Err(Problem::invalid(format!(
                    "cannot open the mount source {shown}: {error}"
                )));
            }
        }
    }
    Ok(sources)
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
        let relative = r#"{"mounts":[{"destination":"/a","type":"bind","source":"rootfs"}]}"#;
        assert_eq!(self::bundle(relative).unwrap().1.sources.len(), 1);
        assert!(!bundle.may_have_placeholder().unwrap());
    }

    #[test]
    fn bundles_made_to_harm_are_refused() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let huge = format!("\"{}\"", "x".repeat(document::LENGTH_MAX));
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
