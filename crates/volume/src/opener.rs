//! From a data directory to the mount that a container gets.

use crate::id_map::Mapping;
use cofferdam_linux::mount::{DetachedMount, Restrictions};
use cofferdam_linux::user_namespace;
use cofferdam_model::{Problem, Result};
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

/// User namespaces kept for the next container with the same map. Making one costs a process.
const KEPT: usize = 64;

/// Opens volumes: detached, idmapped, without set-uid and devices, read-only where told.
#[derive(Debug, Default)]
pub struct Opener {
    namespaces: Mutex<HashMap<Mapping, Arc<OwnedFd>>>,
}

impl Opener {
    /// A mount of `data` whose ids go through `mapping`. It is in no mount namespace.
    ///
    /// # Errors
    /// `unavailable` where the kernel or the filesystem cannot map ids and the map is needed; `internal` for the rest.
    pub fn open(&self, data: BorrowedFd<'_>, mapping: &Mapping, read_only: bool) -> Result<DetachedMount> {
        let mount = DetachedMount::clone_of(data)
            .map_err(|error| crate::problem("cannot open the volume's directory", error))?;
        self.fit(mount, mapping, read_only)
    }

    /// The same of a mount that is in no mount namespace already.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn fit(&self, mount: DetachedMount, mapping: &Mapping, read_only: bool) -> Result<DetachedMount> {
        let namespace = if mapping.is_identity() {
            None
        } else {
            Some(self.namespace(mapping)?)
        };
        let id_map = namespace.as_ref().map(|namespace| namespace.as_fd());
        mount
            .restrict(Restrictions {
                read_only,
                nosuid: true,
                nodev: true,
                id_map,
                ..Restrictions::default()
            })
            .map_err(|error| unmappable(error, id_map.is_some()))?;
        Ok(mount)
    }

    /// The user namespace that carries `mapping`.
    fn namespace(&self, mapping: &Mapping) -> Result<Arc<OwnedFd>> {
        let mut kept = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(namespace) = kept.get(mapping) {
            return Ok(Arc::clone(namespace));
        }
        let made = user_namespace::create(&mapping.uids, &mapping.gids).map_err(|error| {
            Problem::unavailable(format!(
                "cannot make a user namespace for the volume's ids: {error}"
            ))
        })?;
        if kept.len() >= KEPT {
            kept.clear();
        }
        let namespace = Arc::new(made);
        kept.insert(mapping.clone(), Arc::clone(&namespace));
        Ok(namespace)
    }
}

/// mount_setattr(2) says `EINVAL` for a filesystem without id maps and `ENOSYS` for a kernel without the call.
fn unmappable(error: io::Error, mapped: bool) -> Problem {
    match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
        Some(rustix::io::Errno::INVAL) if mapped => Problem::unavailable(
            "the filesystem below the volume cannot map ids",
        )
        .remedy("put Cofferdam's state on ext4, xfs or btrfs, or run the container as the volume's owner"),
        Some(rustix::io::Errno::NOSYS) => {
            Problem::unavailable("this kernel cannot restrict mounts").remedy("run Linux 5.12 or later")
        }
        _ => crate::problem("cannot restrict the volume's mount", error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cofferdam_model::{ErrorKind, Owner, User};
    use rustix::fs::{AtFlags, Mode, OFlags};
    use std::os::unix::fs::chown;

    fn mapping(owner: u32, user: u32) -> Mapping {
        let user = User {
            owner: Owner { uid: user, gid: user },
            groups: Vec::new(),
            overrides_ownership: false,
        };
        Mapping::between(
            Owner {
                uid: owner,
                gid: owner,
            },
            &user,
            None,
        )
    }

    #[test]
    fn the_owner_appears_as_the_user_and_writes_as_the_owner() {
        let dir = tempfile::tempdir().unwrap();
        chown(dir.path(), Some(5000), Some(5000)).unwrap();
        let data = std::fs::File::open(dir.path()).unwrap();
        let opener = Opener::default();
        let mount = opener.open(data.as_fd(), &mapping(5000, 1000), false).unwrap();
        assert_eq!(
            rustix::fs::statat(mount.as_fd(), c"", AtFlags::EMPTY_PATH)
                .unwrap()
                .st_uid,
            1000
        );
        let read_only = opener.open(data.as_fd(), &mapping(5000, 1000), true).unwrap();
        let refused = rustix::fs::mkdirat(read_only.as_fd(), "x", Mode::RWXU).unwrap_err();
        assert_eq!(refused, rustix::io::Errno::ROFS);
        assert_eq!(opener.namespaces.lock().unwrap().len(), 1);
    }

    #[test]
    fn set_uid_bits_and_devices_are_off_before_anybody_has_the_mount() {
        let dir = tempfile::tempdir().unwrap();
        let data = std::fs::File::open(dir.path()).unwrap();
        let mount = Opener::default()
            .open(data.as_fd(), &mapping(5, 6), false)
            .unwrap();
        let flags = rustix::fs::fstatvfs(mount.as_fd()).unwrap().f_flag;
        assert!(
            flags.contains(rustix::fs::StatVfsMountFlags::NOSUID | rustix::fs::StatVfsMountFlags::NODEV),
            "{flags:?}"
        );
    }

    #[test]
    fn device_nodes_are_dead() {
        let dir = tempfile::tempdir().unwrap();
        let data = std::fs::File::open(dir.path()).unwrap();
        let device = rustix::fs::makedev(1, 3);
        rustix::fs::mknodat(
            &data,
            "null",
            rustix::fs::FileType::CharacterDevice,
            Mode::RWXU,
            device,
        )
        .unwrap();
        let mount = Opener::default()
            .open(data.as_fd(), &mapping(0, 0), false)
            .unwrap();
        let opened = rustix::fs::openat(mount.as_fd(), "null", OFlags::RDONLY, Mode::empty());
        assert_eq!(opened.unwrap_err(), rustix::io::Errno::ACCESS);
    }

    #[test]
    fn a_filesystem_without_id_maps_is_refused_unless_the_ids_agree() {
        // Read-only proc cannot be idmapped on any kernel so far.
        let data = rustix::fs::open("/proc/sys", OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let refused = Opener::default()
            .open(data.as_fd(), &mapping(5, 6), false)
            .unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Unavailable);
        assert!(refused.message.contains("cannot map ids"), "{refused}");
        Opener::default()
            .open(data.as_fd(), &mapping(5, 5), false)
            .unwrap();
    }
}
