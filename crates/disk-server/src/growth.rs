//! An ext4 that is smaller than its disk, which has grown: made as large as that.
//!
//! The kernel does it while the filesystem is in use, for whoever has CAP_SYS_RESOURCE. Without that it is done when nobody uses
//! it, by e2fsprogs.

use crate::{notice::notice, problem::doing};
use cofferdam_linux::{
    loop_device::LoopDevice,
    mount::{DetachedMount, resize_ext4},
};
use cofferdam_model::{Problem, Result};
use rustix::io::Errno;
use std::{
    fs::File,
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::FileExt,
    },
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Bytes of a block: what [`crate::filesystem::make`] makes.
const BLOCK: u64 = 4096;

/// How long a filesystem may take to be checked before the disk is opened: well below what the daemon waits.
const CHECK: Duration = Duration::from_secs(40);

/// How often it is looked whether that has ended.
const LOOK: Duration = Duration::from_millis(5);

/// So much may be left over at a disk's end: too little for one more group of blocks with its tables.
const LEFT_OVER: u64 = 16 << 20;

/// Makes the filesystem that `root` is in as large as its device, while it is in use; answers whether that could be done now.
///
/// # Errors
/// As `EXT4_IOC_RESIZE_FS`.
pub(crate) fn fill(root: BorrowedFd<'_>, bytes: u64) -> Result<bool> {
    match resize_ext4(root, bytes / BLOCK) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(Errno::PERM.raw_os_error()) => Ok(false),
        Err(error) => Err(doing("making the filesystem larger")(error)),
    }
}

/// Makes the filesystem on a device that nobody uses as large as the device, where it is not; a device without one is left as it is.
/// Where that fails the filesystem stays as it was, and people are told.
///
/// # Errors
/// Where the device cannot be read.
pub(crate) fn catch_up(device: &LoopDevice) -> Result<()> {
    let Some(bytes) = lag(device.path()).map_err(doing("looking at the disk"))? else {
        return Ok(());
    };
    let grown = in_use(device.path(), bytes).and_then(|done| match done {
        true => Ok(()),
        false => at_rest(device.path()),
    });
    if let Err(problem) = grown {
        notice(problem.context("the filesystem stays smaller than its disk"));
    }
    Ok(())
}

/// The device's size, where an ext4 on it is smaller by more than may be left over.
///
/// Three numbers are read at their places, of bytes that the worker has verified; nothing else is made of them.
fn lag(device: &Path) -> io::Result<Option<u64>> {
    let file = File::open(device)?;
    let bytes = rustix::fs::seek(&file, rustix::fs::SeekFrom::End(0))?;
    let mut superblock = [0; 1024];
    if bytes < 2048 {
        return Ok(None);
    }
    file.read_exact_at(&mut superblock, 1024)?;
    let used = size_of_ext4(&superblock);
    Ok(used
        .filter(|used| used.saturating_add(LEFT_OVER) <= bytes)
        .map(|_| bytes))
}

/// Bytes of the ext4 that this superblock is of; none where it is of none with blocks of 4096 bytes.
fn size_of_ext4(superblock: &[u8; 1024]) -> Option<u64> {
    let half = |at: usize| Some(u16::from_le_bytes(*superblock.get(at..)?.first_chunk()?));
    let word = |at: usize| Some(u32::from_le_bytes(*superblock.get(at..)?.first_chunk()?));
    let is_ext4 = half(0x38)? == 0xef53 && word(0x18)? == 2;
    let blocks = u64::from(word(0x150)?) << 32 | u64::from(word(0x4)?);
    is_ext4.then(|| blocks.saturating_mul(BLOCK))
}

/// By the kernel, in a mount that nobody else has.
fn in_use(device: &Path, bytes: u64) -> Result<bool> {
    let mount = DetachedMount::of_device(c"ext4", device, &[]).map_err(doing("mounting the disk"))?;
    fill(mount.as_fd(), bytes)
}

/// By e2fsprogs, which wants it checked first. Whoever waits for the disk to open waits for this: a filesystem that takes long to
/// check stays as large as it was.
fn at_rest(device: &Path) -> Result<()> {
    let begun = Instant::now();
    // It ends with 1 where it has mended something, such as what a crash left.
    ran("/sbin/e2fsck", &["-f", "-p"], device, &[0, 1], Some(CHECK))?;
    if begun.elapsed() > CHECK {
        return Err(too_long("e2fsck"));
    }
    // Growing writes little more than tables; it is not ended half-way.
    ran("/sbin/resize2fs", &[], device, &[0], None)
}

fn too_long(program: &str) -> Problem {
    Problem::unavailable(format!("{program} takes more than {} s", CHECK.as_secs()))
        .remedy("give the daemon CAP_SYS_RESOURCE: then the kernel does it while the disk is in use")
}

fn ran(
    program: &str,
    arguments: &[&str],
    device: &Path,
    good: &[i32],
    limit: Option<Duration>,
) -> Result<()> {
    let failed =
        |error: io::Error| doing(format_args!("running {program}"))(error).remedy("install e2fsprogs");
    let mut child = Command::new(program)
        .args(arguments)
        .arg(device)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            break status;
        }
        if limit.is_some_and(|limit| begun.elapsed() > limit) {
            child.kill().map_err(failed)?;
            child.wait().map_err(failed)?;
            return Err(too_long(program));
        }
        thread::sleep(LOOK);
    };
    if status.code().is_some_and(|code| good.contains(&code)) {
        return Ok(());
    }
    Err(Problem::unavailable(format!("{program} failed: {status}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_an_ext4_is_read_of_its_superblock() {
        let mut superblock = [0; 1024];
        assert_eq!(size_of_ext4(&superblock), None);
        superblock[0x38..0x3a].copy_from_slice(&[0x53, 0xef]);
        superblock[0x18] = 2;
        superblock[0x5] = 1;
        superblock[0x150] = 1;
        assert_eq!(size_of_ext4(&superblock), Some((1 << 32 | 256) * 4096));
        superblock[0x18] = 0;
        assert_eq!(size_of_ext4(&superblock), None, "of other blocks");
    }
}
