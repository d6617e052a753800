//! The root filesystem that is really mounted: an overlay of exactly the container's layers.

use super::layers::Layers;
use crate::mounts::FileId;
use crate::state_tree::StateTree;
use cofferdam_model::{Problem, Result};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

/// Checks that `root` is the container's own mount, and what it is made of.
///
/// # Errors
/// `corrupt` where it is another directory or made of other layers; `unavailable` where its mount cannot be seen.
pub(super) fn check(state: &StateTree, layers: &Layers, root: BorrowedFd<'_>) -> Result<()> {
    if FileId::behind(root)? != layers.merged {
        return Err(Problem::corrupt(
            "the container's root filesystem is not the one that Docker made for it",
        ));
    }
    let options = super_options(root)?;
    let mut lower = Vec::new();
    for path in options.lower {
        lower.push(resolve(state, &path)?);
    }
    if lower != layers.lower {
        return Err(Problem::corrupt(
            "the container's root filesystem is mounted from other layers than its image's",
        ));
    }
    let upper = options
        .upper
        .ok_or_else(|| Problem::corrupt("the container's root filesystem has no layer of its own"))?;
    if resolve(state, &upper)? == layers.upper {
        return Ok(());
    }
    Err(Problem::corrupt(
        "the container's root filesystem has another layer of its own than Docker made for it",
    ))
}

/// The layer that a mount option names: absolute, or relative to `overlay2`, through Docker's short links.
fn resolve(state: &StateTree, path: &str) -> Result<FileId> {
    if !path.starts_with('/') {
        return FileId::behind(state.look_through_links(&format!("overlay2/{path}"))?.as_fd());
    }
    let layer = rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| Problem::corrupt(format!("cannot open the mounted layer {path}: {error}")))?;
    FileId::behind(layer.as_fd())
}

/// What an overlay is mounted from.
#[derive(Debug, Default, PartialEq, Eq)]
struct Options {
    lower: Vec<String>,
    upper: Option<String>,
}

/// The options of the overlay that `root` is the root of, from mountinfo (proc_pid_mountinfo(5)).
fn super_options(root: BorrowedFd<'_>) -> Result<Options> {
    let facts = rustix::fs::statx(root, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)
        .map_err(|error| Problem::unavailable(format!("cannot find the root filesystem's mount: {error}")))?;
    if facts.stx_mask & StatxFlags::MNT_ID.bits() == 0 {
        return Err(
            Problem::unavailable("this kernel does not tell mounts apart").remedy("run Linux 5.12 or later")
        );
    }
    let table = std::fs::read_to_string(Path::new("/proc/self/mountinfo"))
        .map_err(|error| Problem::unavailable(format!("cannot read the table of mounts: {error}")))?;
    let line = table
        .lines()
        .find(|line| line.split(' ').next().and_then(|id| id.parse().ok()) == Some(facts.stx_mnt_id));
    let line = line.ok_or_else(|| {
        Problem::unavailable("the container's root filesystem is mounted where cofferdamd cannot see it")
            .remedy("run Docker and cofferdamd in the same mount namespace (no PrivateMounts or MountFlags in their units)")
    })?;
    let (_, after) = line
        .split_once(" - ")
        .ok_or_else(|| Problem::corrupt("the table of mounts cannot be read"))?;
    let mut fields = after.split(' ');
    let (kind, options) = (fields.next(), fields.nth(1));
    match (kind, options) {
        (Some("overlay"), Some(options)) => parse(options),
        _ => Err(Problem::corrupt(
            "the container's root filesystem is not an overlay",
        )),
    }
}

/// Parses overlay's own options.
fn parse(options: &str) -> Result<Options> {
    let mut parsed = Options::default();
    for option in split(&unescaped(options)?, ',') {
        if let Some(paths) = option.strip_prefix("lowerdir=") {
            parsed
                .lower
                .extend(split(paths, ':').into_iter().map(|path| plain(&path)));
        } else if let Some(path) = option.strip_prefix("lowerdir+=") {
            parsed.lower.push(plain(path));
        } else if let Some(path) = option.strip_prefix("upperdir=") {
            parsed.upper = Some(plain(path));
        } else if option.starts_with("datadir+=") {
            return Err(Problem::corrupt(
                "the container's root filesystem has layers of data only",
            ));
        }
    }
    Ok(parsed)
}

/// The kernel writes white space and backslashes as three octal digits.
fn unescaped(text: &str) -> Result<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        match (first, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) => {
                bytes.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).map_err(|_| Problem::corrupt("a mounted layer's path is not UTF-8"))
}

/// Splits at a separator that no backslash stands before.
fn split(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for letter in text.chars() {
        if letter == separator && !escaped {
            parts.push(String::new());
        } else if let Some(part) = parts.last_mut() {
            part.push(letter);
        }
        escaped = letter == '\\' && !escaped;
    }
    parts
}

/// A path without the backslashes that overlay puts before separators.
fn plain(path: &str) -> String {
    let mut letters = path.chars();
    let mut plain = String::new();
    while let Some(letter) = letters.next() {
        plain.extend(if letter == '\\' {
            letters.next()
        } else {
            Some(letter)
        });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_in_every_form() {
        let usual = parse("rw,lowerdir=/d/l/A:/d/l/B,upperdir=/d/x/diff,workdir=/d/x/work").unwrap();
        assert_eq!(usual.lower, ["/d/l/A", "/d/l/B"]);
        assert_eq!(usual.upper.as_deref(), Some("/d/x/diff"));
        let newer = parse("rw,lowerdir+=/d/l/A,lowerdir+=/d/l/B,upperdir=/d/x/diff").unwrap();
        assert_eq!(newer, usual);
        let odd = parse(r"rw,lowerdir=/a\134:b\040c:/d\134,e,upperdir=u").unwrap();
        assert_eq!(odd.lower, ["/a:b c", "/d,e"]);
        assert!(parse("rw,lowerdir=/a,datadir+=/b,upperdir=u").is_err());
    }
}
