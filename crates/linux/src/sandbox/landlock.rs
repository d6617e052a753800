//! Landlock (landlock(7), the kernel's `userspace-api/landlock`): files below given directories, and nothing else.
//!
//! | version | Linux | what it adds, and what is made of it here |
//! |---|---|---|
//! | 1 | 5.13 | files; but no renaming from one directory to another, whatever the rules say: not used |
//! | 2 | 5.19 | that renaming |
//! | 3 | 6.2 | truncation: below the directories only |
//! | 4 | 6.7 | TCP: none |
//! | 5 | 6.10 | ioctl(2) on devices: none but those open already |
//! | 6 | 6.12 | signals and abstract unix sockets: within the process only |

use super::{Measure, Report};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `LANDLOCK_CREATE_RULESET_VERSION`
const ASK_VERSION: u32 = 1;

/// `LANDLOCK_RULE_PATH_BENEATH`
const PATH_BENEATH: libc::c_int = 1;

/// The rights that each version knows, `LANDLOCK_ACCESS_FS_*`: from EXECUTE (bit 0) to the one in the second column.
const RIGHTS: [(u32, u64); 4] = [(5, 15), (3, 14), (2, 13), (1, 12)];

/// `WRITE_FILE`, `READ_FILE`, `READ_DIR`, `REMOVE_FILE`, `MAKE_REG`, `REFER` (renaming between directories), `TRUNCATE`.
const BENEATH: u64 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 5 | 1 << 8 | 1 << 13 | 1 << 14;

/// `LANDLOCK_ACCESS_NET_BIND_TCP` and `_CONNECT_TCP`
const TCP: u64 = 0b11;

/// `LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET` and `_SIGNAL`
const SCOPE: u64 = 0b11;

/// `struct landlock_ruleset_attr`. Older kernels take it where what they do not know is zero.
#[repr(C)]
struct Attributes {
    handled_files: u64,
    handled_network: u64,
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`
#[repr(C, packed)]
struct PathBeneath {
    allowed: u64,
    parent: libc::c_int,
}

/// A ruleset that forbids all that this kernel can forbid.
#[derive(Debug)]
pub(super) struct Ruleset {
    descriptor: OwnedFd,
    version: u32,
}

impl Ruleset {
    /// The best that this kernel has.
    ///
    /// # Errors
    /// `Unsupported` where it has none that would do.
    pub(super) fn best() -> io::Result<Self> {
        let version = version()?;
        if version < 2 {
            return Err(unsupported(
                "its Landlock forbids renaming between directories; use Linux 5.19",
            ));
        }
        let attributes = Attributes {
            handled_files: known(version),
            handled_network: if version >= 4 { TCP } else { 0 },
            scoped: if version >= 6 { SCOPE } else { 0 },
        };
        // SAFETY: the kernel reads as many bytes as the structure has, and nothing else.
        let result = unsafe {
            libc::syscall(
                libc::SYS_landlock_create_ruleset,
                &raw const attributes,
                size_of::<Attributes>(),
                0_u32,
            )
        };
        let descriptor = checked(result)?;
        // SAFETY: a new descriptor, which nobody else knows.
        let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
        Ok(Ruleset { descriptor, version })
    }

    /// Lets files below `directories` through, and puts this thread, and all that it starts, under the rest.
    /// Needs no-new-privileges.
    pub(super) fn enforce(self, directories: &[BorrowedFd<'_>], report: &mut Report) -> io::Result<()> {
        for directory in directories {
            self.allow(*directory)?;
        }
        // SAFETY: no memory is passed; the descriptor is open.
        let result = unsafe {
            libc::syscall(
                libc::SYS_landlock_restrict_self,
                self.descriptor.as_raw_fd(),
                0_u32,
            )
        };
        checked(result)?;
        report.holds_now(Measure::Files);
        for (measure, since, linux) in [(Measure::Network, 4, "6.7"), (Measure::Scope, 6, "6.12")] {
            if self.version >= since {
                report.holds_now(measure);
            } else {
                report.lacks(measure, format_args!("use Linux {linux} or later"));
            }
        }
        Ok(())
    }

    fn allow(&self, directory: BorrowedFd<'_>) -> io::Result<()> {
        let beneath = PathBeneath {
            allowed: BENEATH & known(self.version),
            parent: directory.as_raw_fd(),
        };
        // SAFETY: the kernel reads one such structure, which outlives the call; both descriptors are open.
        let result = unsafe {
            libc::syscall(
                libc::SYS_landlock_add_rule,
                self.descriptor.as_raw_fd(),
                PATH_BENEATH,
                &raw const beneath,
                0_u32,
            )
        };
        checked(result).map(|_| ())
    }
}

/// The rights on files that a version knows: all are forbidden but where a rule allows them.
fn known(version: u32) -> u64 {
    let last = RIGHTS.iter().find(|(since, _)| version >= *since);
    last.map_or(0, |(_, bit)| (2 << bit) - 1)
}

fn version() -> io::Result<u32> {
    // SAFETY: with this flag the kernel takes no memory, and says only which version it has.
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<Attributes>(),
            0_usize,
            ASK_VERSION,
        )
    };
    checked(result)
        .map(i32::unsigned_abs)
        .map_err(|error| match error.raw_os_error() {
            Some(libc::ENOSYS) => {
                unsupported("it has no Landlock; use Linux 5.19 with CONFIG_SECURITY_LANDLOCK")
            }
            Some(libc::EOPNOTSUPP) => unsupported("Landlock is switched off; boot it with landlock in lsm="),
            _ => error,
        })
}

fn unsupported(reason: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        format!("this kernel cannot confine files: {reason}"),
    )
}

fn checked(result: libc::c_long) -> io::Result<i32> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    i32::try_from(result).map_err(|_| io::ErrorKind::InvalidData.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_version_forbids_all_that_it_knows() {
        let all: Vec<u64> = (1..8).map(known).collect();
        assert_eq!(all, [0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff, 0xffff, 0xffff]);
    }
}
