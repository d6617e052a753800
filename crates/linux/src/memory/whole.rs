//! Locking all of a process's memory, for one that must go on while the machine is short of memory.

use rustix::mm::MlockAllFlags;
use rustix::process::{Resource, Rlimit};
use std::io;

/// Locks all of the process's memory into RAM, what it has and what it will have (mlockall(2)). For a process that is
/// about to give up its capabilities.
///
/// Only without a limit. What is locked counts, and what is over `RLIMIT_MEMLOCK` once CAP_IPC_LOCK is gone makes
/// every later allocation fail, and every later [`Locked`](super::Locked). So the limit is lifted first (that needs
/// CAP_SYS_RESOURCE); where it cannot be, it is only raised as far as it goes, nothing is locked here, and the room
/// is left to the secrets.
///
/// # Errors
/// `PermissionDenied` where there is a limit that cannot be lifted; as mlockall(2).
pub fn lock_all() -> io::Result<()> {
    let limit = rustix::process::getrlimit(Resource::Memlock);
    let set = |current, maximum| rustix::process::setrlimit(Resource::Memlock, Rlimit { current, maximum });
    if limit.current.is_some() && set(None, None).is_err() {
        set(limit.maximum, limit.maximum)?;
        let most = limit.maximum.unwrap_or(u64::MAX);
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!(
                "RLIMIT_MEMLOCK is {most} bytes, which are kept for keys; lift it (LimitMEMLOCK=infinity in the \
                 unit) or give CAP_SYS_RESOURCE"
            ),
        ));
    }
    Ok(rustix::mm::mlockall(
        MlockAllFlags::CURRENT | MlockAllFlags::FUTURE,
    )?)
}
