//! Locking all of a process's memory, for one that must go on while the machine is short of memory.

use rustix::mm::MlockAllFlags;
use rustix::process::{Resource, Rlimit};
use std::io;

/// Locks all of the process's memory into RAM, what it has and what it will have (mlockall(2)). For a process that is
/// about to give up its capabilities.
///
/// Only without a limit. What is locked counts, and once CAP_IPC_LOCK is gone nothing can be locked that would be over
/// `RLIMIT_MEMLOCK`, nor anything be allocated where future memory is to be locked. So the limit is lifted, which needs
/// CAP_SYS_RESOURCE. Where it cannot be, it is raised as far as it goes and nothing is locked here: what must be, buffers
/// and the room for keys ([`Locked::reserve`](super::Locked::reserve)), is to be locked before.
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
                "only buffers and keys, for RLIMIT_MEMLOCK is {most} bytes; lift it (LimitMEMLOCK=infinity in the \
                 unit) or give CAP_SYS_RESOURCE"
            ),
        ));
    }
    Ok(rustix::mm::mlockall(
        MlockAllFlags::CURRENT | MlockAllFlags::FUTURE,
    )?)
}
