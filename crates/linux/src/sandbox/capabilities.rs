//! Giving up capabilities (capabilities(7)): this thread's, in every set.

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};
use std::io;

/// Capabilities are numbered below this; most numbers mean none yet.
const NUMBERS: u32 = 64;

/// Takes every capability out of the bounding set but these, so that no program that is executed brings one back.
pub(super) fn keep_in_bounding_set(keep: CapabilitySet) -> io::Result<()> {
    for number in 0..NUMBERS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match rustix::thread::capability_is_in_bounding_set(capability) {
            Ok(true) if !keep.contains(capability) => {
                rustix::thread::remove_capability_from_bounding_set(capability).map_err(refused)?;
            }
            Ok(_) => {}
            // Beyond the last one that this kernel knows.
            Err(Errno::INVAL) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Leaves of the effective and permitted sets what is in `keep`, nothing of the ambient and inheritable ones, and looks whether it is so.
pub(super) fn keep(keep: CapabilitySet) -> io::Result<()> {
    rustix::thread::clear_ambient_capability_set()?;
    let held = rustix::thread::capabilities(None)?.permitted & keep;
    let few = CapabilitySets {
        effective: held,
        permitted: held,
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, few)?;
    if rustix::thread::capabilities(None)? == few {
        Ok(())
    } else {
        Err(io::Error::other(
            "capabilities are left although the kernel took them",
        ))
    }
}

fn refused(error: Errno) -> io::Error {
    match error {
        Errno::PERM => io::Error::new(
            io::ErrorKind::PermissionDenied,
            "start the process with CAP_SETPCAP, or with a smaller bounding set",
        ),
        other => other.into(),
    }
}
