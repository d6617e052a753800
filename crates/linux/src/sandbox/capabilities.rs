//! Giving up capabilities (capabilities(7)): all of this thread's, in every set.

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets};
use std::io;

/// Capabilities are numbered below this; most numbers mean none yet.
const NUMBERS: u32 = 64;

/// Takes every capability out of the bounding set, so that no program that could be executed brings one back.
pub(super) fn empty_bounding_set() -> io::Result<()> {
    for number in 0..NUMBERS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        match rustix::thread::capability_is_in_bounding_set(capability) {
            Ok(false) => {}
            Ok(true) => rustix::thread::remove_capability_from_bounding_set(capability).map_err(refused)?,
            // Beyond the last one that this kernel knows.
            Err(Errno::INVAL) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Empties the ambient, effective, permitted and inheritable sets, and looks whether they are.
pub(super) fn drop_all() -> io::Result<()> {
    rustix::thread::clear_ambient_capability_set()?;
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    rustix::thread::set_capabilities(None, none)?;
    if rustix::thread::capabilities(None)? == none {
        Ok(())
    } else {
        Err(io::Error::other(
            "capabilities are left although the kernel took them all",
        ))
    }
}

fn refused(error: Errno) -> io::Error {
    match error {
        Errno::PERM => io::Error::new(
            io::ErrorKind::PermissionDenied,
            "start the process with CAP_SETPCAP, or with an empty bounding set",
        ),
        other => other.into(),
    }
}
