//! Loop devices: a file as a block device (loop(4), `linux/loop.h`).

use rustix::fs::{Mode, OFlags};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

const CONTROL_GET_FREE: libc::Ioctl = 0x4C82;
const CONFIGURE: libc::Ioctl = 0x4C0A;
const CLEAR: libc::Ioctl = 0x4C01;
const SET_CAPACITY: libc::Ioctl = 0x4C07;
const GET_STATUS: libc::Ioctl = 0x4C05;
/// `BLKRASET`, in sectors of 512 bytes.
const SET_READ_AHEAD: libc::Ioctl = 0x1262;

/// `LO_FLAGS_AUTOCLEAR`: the device lets go of its file when nobody has it open any more.
const AUTOCLEAR: u32 = 4;
/// `LO_FLAGS_DIRECT_IO`: past the page cache of the file.
const DIRECT_IO: u32 = 16;

/// How often another free device is asked for where somebody else was faster.
const ATTEMPTS: usize = 64;

/// A loop device, attached to a file with direct I/O. It is detached when this value is gone and nobody has it
/// mounted or open: also after this process was killed.
#[derive(Debug)]
pub struct LoopDevice {
    device: OwnedFd,
    path: PathBuf,
}

/// `struct loop_info64`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Info {
    numbers: [u64; 3],
    offset: u64,
    size_limit: u64,
    number: u32,
    encryption: [u32; 2],
    flags: u32,
    names: [[u8; 64]; 2],
    key: [u8; 32],
    init: [u64; 2],
}

/// `struct loop_config`.
#[repr(C)]
struct Config {
    file: u32,
    block_size: u32,
    info: Info,
    reserved: [u64; 8],
}

impl LoopDevice {
    /// Attaches `file` to a free device with sectors of `block_size` bytes (512 to 4096). The file must be open for
    /// reading and writing with `O_DIRECT`, or its filesystem be able to.
    ///
    /// # Errors
    /// As open(2) of `/dev/loop-control` and `LOOP_CONFIGURE`: `ENOENT` where the kernel has no loop devices,
    /// `EACCES` without the right to them, `EBUSY` where others were faster again and again; `EINVAL` where the file
    /// cannot do direct I/O.
    pub fn attach(file: BorrowedFd<'_>, block_size: u32) -> io::Result<Self> {
        let control = rustix::fs::open("/dev/loop-control", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
        for _ in 0..ATTEMPTS {
            // SAFETY: LOOP_CTL_GET_FREE takes no argument.
            let number = checked(unsafe { libc::ioctl(control.as_raw_fd(), CONTROL_GET_FREE) })?;
            let path = PathBuf::from(format!("/dev/loop{number}"));
            let device = rustix::fs::open(&path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
            match configure(device.as_fd(), file, block_size) {
                Ok(()) => return Ok(LoopDevice { device, path }),
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::from_raw_os_error(libc::EBUSY))
    }

    /// `/dev/loopN`.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How far the kernel reads ahead of sequential reads, in bytes.
    ///
    /// # Errors
    /// As `BLKRASET`: `EACCES` without CAP_SYS_ADMIN.
    pub fn set_read_ahead(&self, bytes: u32) -> io::Result<()> {
        let sectors = libc::c_ulong::from(bytes / 512);
        // SAFETY: BLKRASET takes its argument by value.
        checked(unsafe { libc::ioctl(self.device.as_raw_fd(), SET_READ_AHEAD, sectors) })?;
        Ok(())
    }

    /// Takes over the size that the file has now.
    ///
    /// # Errors
    /// As `LOOP_SET_CAPACITY`.
    pub fn take_size(&self) -> io::Result<()> {
        // SAFETY: LOOP_SET_CAPACITY takes no argument.
        checked(unsafe { libc::ioctl(self.device.as_raw_fd(), SET_CAPACITY) })?;
        Ok(())
    }

    /// Lets go of the file, if nobody else has the device open.
    ///
    /// # Errors
    /// The device itself, still attached, with `EBUSY` where it is mounted or open elsewhere, or as `LOOP_CLR_FD`.
    pub fn detach(self) -> Result<(), (Self, io::Error)> {
        // SAFETY: LOOP_CLR_FD takes no argument.
        if let Err(error) = checked(unsafe { libc::ioctl(self.device.as_raw_fd(), CLEAR) }) {
            return Err((self, error));
        }
        // With others at the device the kernel only made a note for the last of them. Else it is in no state to
        // tell its status: it lets go when `self.device` is closed, before close(2) returns.
        match status(self.device.as_fd()) {
            Ok(()) => Err((self, io::Error::from_raw_os_error(libc::EBUSY))),
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) => Ok(()),
            Err(error) => Err((self, error)),
        }
    }
}

impl AsFd for LoopDevice {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

/// Nothing, as the kernel wants what it is not told.
const NOTHING: Info = Info {
    numbers: [0; 3],
    offset: 0,
    size_limit: 0,
    number: 0,
    encryption: [0; 2],
    flags: 0,
    names: [[0; 64]; 2],
    key: [0; 32],
    init: [0; 2],
};

fn configure(device: BorrowedFd<'_>, file: BorrowedFd<'_>, block_size: u32) -> io::Result<()> {
    let config = Config {
        file: file.as_raw_fd().cast_unsigned(),
        block_size,
        info: Info {
            flags: AUTOCLEAR | DIRECT_IO,
            ..NOTHING
        },
        reserved: [0; 8],
    };
    // SAFETY: the ioctl reads one `struct loop_config`, which `config` is laid out as and outlives the call.
    checked(unsafe { libc::ioctl(device.as_raw_fd(), CONFIGURE, &raw const config) })?;
    if flags(device)? & DIRECT_IO == 0 {
        // The kernel takes the flag as a wish.
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    Ok(())
}

fn status(device: BorrowedFd<'_>) -> io::Result<()> {
    flags(device).map(|_| ())
}

fn flags(device: BorrowedFd<'_>) -> io::Result<u32> {
    let mut info = NOTHING;
    // SAFETY: the ioctl fills one `struct loop_info64`, which `info` is laid out as and outlives the call; any bytes
    // are valid numbers.
    checked(unsafe { libc::ioctl(device.as_raw_fd(), GET_STATUS, &raw mut info) })?;
    Ok(info.flags)
}

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

// What `struct loop_info64` and `struct loop_config` measure in linux/loop.h.
const _: () = assert!(size_of::<Info>() == 232 && size_of::<Config>() == 304);

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    fn image() -> (tempfile::TempDir, File) {
        assert!(
            rustix::process::geteuid().is_root(),
            "this test makes loop devices: run it as root"
        );
        // Not in tmpfs, which has no direct I/O on older kernels.
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(dir.path().join("image"))
            .unwrap();
        file.set_len(1 << 20).unwrap();
        (dir, file)
    }

    /// Whether the device serves a file in `dir`; another test may have the same device next.
    fn serves(name: &str, dir: &Path) -> bool {
        std::fs::read_to_string(format!("/sys/block/{name}/loop/backing_file"))
            .is_ok_and(|file| file.starts_with(dir.to_str().unwrap()))
    }

    #[test]
    fn a_file_becomes_a_device_and_is_let_go() {
        let (dir, file) = image();
        let device = LoopDevice::attach(file.as_fd(), 4096).unwrap();
        device.set_read_ahead(1 << 20).unwrap();
        let path = device.path().to_owned();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let told = |what: &str| {
            let text = std::fs::read_to_string(format!("/sys/block/{name}/{what}")).unwrap();
            text.trim().to_owned()
        };
        assert_eq!(told("queue/logical_block_size"), "4096");
        assert_eq!(told("queue/read_ahead_kb"), "1024");
        assert_eq!(told("loop/dio"), "1");
        let other = File::options().read(true).write(true).open(&path).unwrap();
        other.write_all_at(&[7; 4096], 8192).unwrap();
        other.sync_all().unwrap();
        let mut seen = [0; 4096];
        file.read_exact_at(&mut seen, 8192).unwrap();
        assert_eq!(seen, [7; 4096]);
        let (device, error) = device.detach().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBUSY));
        drop(other);
        device.detach().map_err(|(_, error)| error).unwrap();
        assert!(!serves(&name, dir.path()));
    }

    #[test]
    fn the_device_is_gone_with_the_value() {
        let (dir, file) = image();
        let device = LoopDevice::attach(file.as_fd(), 4096).unwrap();
        let name = device.path().file_name().unwrap().to_str().unwrap().to_owned();
        assert!(serves(&name, dir.path()));
        drop(device);
        assert!(!serves(&name, dir.path()));
    }
}
