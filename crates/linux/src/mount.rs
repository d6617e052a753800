//! Detached mounts: made, restricted and moved by file descriptor (open_tree(2), mount_setattr(2),
//! move_mount(2), fsopen(2)).
//!
//! A detached mount belongs to no mount namespace: nobody sees it but the holders of its descriptor, and it
//! is gone with the last of them.

mod filesystem;

pub use filesystem::{resize_ext4, shut_down};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxAttributes, StatxFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, FsPickFlags, MountAttrFlags, MountFlags, MountPropagationFlags,
    MoveMountFlags, OpenTreeFlags,
};
use rustix::thread::UnshareFlags;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

/// A mount that is in no mount namespace.
#[derive(Debug)]
pub struct DetachedMount(OwnedFd);

/// What a mount is restricted to (mount_setattr(2)). Nothing here loosens anything but [`Self::writable`].
#[derive(Debug, Clone, Copy, Default)]
pub struct Restrictions<'a> {
    /// No writing through this mount.
    pub read_only: bool,
    /// Takes read-only away again from this mount; its superblock decides then.
    pub writable: bool,
    /// No set-uid bits, no file capabilities.
    pub nosuid: bool,
    /// No device nodes.
    pub nodev: bool,
    /// No execution.
    pub noexec: bool,
    /// The user namespace whose map the mount's ids go through.
    pub id_map: Option<BorrowedFd<'a>>,
}

impl DetachedMount {
    /// A private clone of the directory or file that `source` refers to, without what is mounted beneath it.
    ///
    /// # Errors
    /// As open_tree(2): `EPERM` without CAP_SYS_ADMIN, `EINVAL` where `source` lies in another mount namespace.
    pub fn clone_of(source: BorrowedFd<'_>) -> io::Result<Self> {
        let flags =
            OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
        let mount = DetachedMount(rustix::mount::open_tree(source, c"", flags)?);
        // A clone joins its original's peer group; what is later mounted in it would show on the host.
        set_attributes(
            &mount.0,
            MountAttributes {
                propagation: libc::MS_PRIVATE,
                ..MountAttributes::default()
            },
        )?;
        Ok(mount)
    }

    /// A clone of the directory or file that `source` refers to with all that is mounted beneath it, as a recursive bind mount
    /// makes it: mounts go on arriving in it as in its original.
    ///
    /// # Errors
    /// As [`Self::clone_of`].
    pub fn tree_of(source: BorrowedFd<'_>) -> io::Result<Self> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH
            | OpenTreeFlags::AT_RECURSIVE;
        Ok(DetachedMount(rustix::mount::open_tree(source, c"", flags)?))
    }

    /// A new tmpfs of at most `size` bytes and `inodes` files, its root with the mode `mode`, without
    /// set-uid, devices and execution.
    ///
    /// # Errors
    /// As fsopen(2) and fsmount(2).
    pub fn tmpfs(size: u64, inodes: u64, mode: u32) -> io::Result<Self> {
        let context = rustix::mount::fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        rustix::mount::fsconfig_set_string(&context, c"size", size.to_string())?;
        rustix::mount::fsconfig_set_string(&context, c"nr_inodes", inodes.to_string())?;
        rustix::mount::fsconfig_set_string(&context, c"mode", format!("{mode:o}"))?;
        rustix::mount::fsconfig_create(&context)?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        Ok(DetachedMount(rustix::mount::fsmount(
            &context,
            FsMountFlags::FSMOUNT_CLOEXEC,
            attributes,
        )?))
    }

    /// A read-only overlay of `lowers`, the uppermost first. `scratch` is a directory that exists; nothing is seen there.
    ///
    /// It is mounted in the mount namespace of a thread of its own and taken from there, since mount(2)
    /// is the only call that takes many layers on every kernel.
    ///
    /// # Errors
    /// As mount(2); `EINVAL` for no layer.
    pub fn overlay(lowers: &[BorrowedFd<'_>], scratch: &Path) -> io::Result<Self> {
        match lowers {
            [] => return Err(io::ErrorKind::InvalidInput.into()),
            [only] => {
                let mount = Self::clone_of(*only)?;
                mount.restrict(Restrictions {
                    read_only: true,
                    nodev: true,
                    nosuid: true,
                    ..Restrictions::default()
                })?;
                return Ok(mount);
            }
            _ => {}
        }
        // Overlayfs takes layers from the caller's mount namespace only: clone them here, attach them there.
        let layers: Vec<Self> = lowers
            .iter()
            .map(|layer| Self::clone_of(*layer))
            .collect::<io::Result<_>>()?;
        std::thread::scope(|scope| {
            let maker = scope.spawn(move || overlay_in_private_namespace(layers, scratch));
            maker
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("the thread that mounts an overlay ended early")))
        })
    }

    /// Restricts the mount.
    ///
    /// # Errors
    /// As mount_setattr(2): `EINVAL` where the filesystem cannot be idmapped, `ENOSYS` before Linux 5.12.
    pub fn restrict(&self, restrictions: Restrictions<'_>) -> io::Result<()> {
        let mut attributes = MountAttributes::default();
        for (wanted, flag) in [
            (restrictions.read_only, libc::MOUNT_ATTR_RDONLY),
            (restrictions.nosuid, libc::MOUNT_ATTR_NOSUID),
            (restrictions.nodev, libc::MOUNT_ATTR_NODEV),
            (restrictions.noexec, libc::MOUNT_ATTR_NOEXEC),
        ] {
            if wanted {
                attributes.set |= flag;
            }
        }
        if restrictions.writable {
            attributes.clear |= libc::MOUNT_ATTR_RDONLY;
        }
        if let Some(namespace) = restrictions.id_map {
            attributes.set |= libc::MOUNT_ATTR_IDMAP;
            attributes.user_namespace = Some(namespace.as_raw_fd());
        }
        set_attributes(&self.0, attributes)
    }

    /// Moves the mount to `target` in the caller's mount namespace.
    ///
    /// # Errors
    /// As move_mount(2).
    pub fn attach_at(self, target: &Path) -> io::Result<()> {
        move_to(self.0.as_fd(), target)
    }

    /// The mount's descriptor, to be sent elsewhere.
    pub fn into_fd(self) -> OwnedFd {
        self.0
    }
}

impl AsFd for DetachedMount {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<OwnedFd> for DetachedMount {
    /// Takes a detached mount that was received from another process.
    fn from(mount: OwnedFd) -> Self {
        DetachedMount(mount)
    }
}

/// Mounts an overlay of `layers` for this thread alone and clones it; the namespace ends with the thread.
fn overlay_in_private_namespace(layers: Vec<DetachedMount>, scratch: &Path) -> io::Result<DetachedMount> {
    enter_private_namespace()?;
    DetachedMount::tmpfs(1 << 20, 1024, 0o700)?.attach_at(scratch)?;
    rustix::process::chdir(scratch)?;
    let mut names = Vec::new();
    for (number, layer) in layers.into_iter().enumerate() {
        let name = number.to_string();
        rustix::fs::mkdirat(CWD, &name, Mode::RWXU)?;
        layer.attach_at(Path::new(&name))?;
        names.push(name);
    }
    rustix::fs::mkdirat(CWD, "view", Mode::RWXU)?;
    let options = CString::new(format!("lowerdir={}", names.join(":")))?;
    let flags = MountFlags::RDONLY | MountFlags::NODEV | MountFlags::NOSUID;
    rustix::mount::mount("overlay", "view", "overlay", flags, options.as_c_str())?;
    let view = rustix::fs::open(
        "view",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    DetachedMount::clone_of(view.as_fd())
}

/// Moves a detached mount to `target` in the caller's mount namespace.
fn move_to(mount: BorrowedFd<'_>, target: &Path) -> io::Result<()> {
    Ok(rustix::mount::move_mount(
        mount,
        c"",
        CWD,
        target,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )?)
}

/// Moves a detached mount over the very file or directory that `target` refers to.
///
/// # Errors
/// As move_mount(2).
pub fn attach_over(mount: DetachedMount, target: BorrowedFd<'_>) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(rustix::mount::move_mount(mount.as_fd(), c"", target, c"", flags)?)
}

/// Sets whether the superblock below `root` may be written, for every mount of it.
///
/// # Errors
/// As fspick(2) and fsconfig(2); `EBUSY` where a file is open for writing.
pub fn set_superblock_writable(root: BorrowedFd<'_>, writable: bool) -> io::Result<()> {
    let flags = FsPickFlags::FSPICK_CLOEXEC | FsPickFlags::FSPICK_EMPTY_PATH;
    let context = rustix::mount::fspick(root, c"", flags)?;
    rustix::mount::fsconfig_set_flag(&context, if writable { c"rw" } else { c"ro" })?;
    Ok(rustix::mount::fsconfig_reconfigure(&context)?)
}

/// Whether something is mounted on the directory that `directory` refers to.
///
/// # Errors
/// As statx(2); `Unsupported` before Linux 5.8.
pub fn is_mount_root(directory: BorrowedFd<'_>) -> io::Result<bool> {
    let facts = rustix::fs::statx(directory, c"", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS)?;
    if !facts.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT) {
        return Err(io::ErrorKind::Unsupported.into());
    }
    Ok(facts.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Gives the calling thread a mount namespace of its own, in which nothing it mounts reaches the old one,
/// while what the old one mounts later still arrives.
///
/// # Errors
/// As unshare(2) and mount(2).
pub fn enter_private_namespace() -> io::Result<()> {
    // SAFETY: neither flag touches the file descriptor table, the only thing unshare(2) can take away from
    // other code of the process; CLONE_FS gives this thread its own root and working directory.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS | UnshareFlags::FS) }?;
    Ok(rustix::mount::mount_change(
        "/",
        MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
    )?)
}

/// `struct mount_attr` (mount_setattr(2)) in our words.
#[derive(Default)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: Option<RawFd>,
}

/// mount_setattr(2) on the mount itself.
fn set_attributes(mount: &OwnedFd, attributes: MountAttributes) -> io::Result<()> {
    let user_namespace = attributes.user_namespace.unwrap_or(0);
    let mut raw = libc::mount_attr {
        attr_set: attributes.set,
        attr_clr: attributes.clear,
        propagation: attributes.propagation,
        userns_fd: u64::try_from(user_namespace).map_err(|_| io::ErrorKind::InvalidInput)?,
    };
    // SAFETY: the path is a NUL-terminated literal, `raw` is a live mount_attr whose size is passed, and both
    // outlive the call; the kernel only reads them.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw mut raw,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn root() -> bool {
        rustix::process::geteuid().is_root()
    }

    #[test]
    fn a_tmpfs_is_seen_by_nobody_and_obeys_its_superblock() {
        assert!(root(), "this test mounts: run it as root");
        let mount = DetachedMount::tmpfs(1 << 20, 64, 0o755).unwrap();
        rustix::fs::mkdirat(mount.as_fd(), "a", Mode::from_raw_mode(0o755)).unwrap();
        set_superblock_writable(mount.as_fd(), false).unwrap();
        let refused = rustix::fs::mkdirat(mount.as_fd(), "b", Mode::from_raw_mode(0o755)).unwrap_err();
        assert_eq!(refused, rustix::io::Errno::ROFS);
        set_superblock_writable(mount.as_fd(), true).unwrap();
        rustix::fs::mkdirat(mount.as_fd(), "b", Mode::from_raw_mode(0o755)).unwrap();
        assert!(is_mount_root(mount.as_fd()).unwrap());
    }

    #[test]
    fn an_overlay_shows_all_layers_and_takes_no_writes() {
        assert!(root(), "this test mounts: run it as root");
        let dir = tempfile::tempdir().unwrap();
        let open = |name: &str| {
            std::fs::create_dir(dir.path().join(name)).unwrap();
            std::fs::write(dir.path().join(name).join(name), name).unwrap();
            rustix::fs::open(
                dir.path().join(name),
                OFlags::PATH | OFlags::CLOEXEC,
                Mode::empty(),
            )
            .unwrap()
        };
        let (upper, lower) = (open("upper"), open("lower"));
        std::fs::create_dir(dir.path().join("scratch")).unwrap();
        let view =
            DetachedMount::overlay(&[upper.as_fd(), lower.as_fd()], &dir.path().join("scratch")).unwrap();
        for name in ["upper", "lower"] {
            rustix::fs::statat(view.as_fd(), name, AtFlags::empty()).unwrap();
        }
        assert!(rustix::fs::mkdirat(view.as_fd(), "new", Mode::from_raw_mode(0o755)).is_err());
        assert_eq!(std::fs::read_dir(dir.path().join("scratch")).unwrap().count(), 0);
    }

    #[test]
    fn ids_go_through_the_map() {
        assert!(root(), "this test mounts: run it as root");
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::chown(dir.path(), Some(5000), Some(5000)).unwrap();
        let whole = |inside, outside, count| crate::user_namespace::Line {
            inside,
            outside,
            count,
        };
        let map = [whole(0, 0, 1000), whole(5000, 1000, 1), whole(1000, 5000, 1)];
        let namespace = crate::user_namespace::create(&map, &map).unwrap();
        let source = std::fs::File::open(dir.path()).unwrap();
        let mount = DetachedMount::clone_of(source.as_fd()).unwrap();
        mount
            .restrict(Restrictions {
                id_map: Some(namespace.as_fd()),
                ..Restrictions::default()
            })
            .unwrap();
        let seen = rustix::fs::statat(mount.as_fd(), c"", AtFlags::EMPTY_PATH).unwrap();
        assert_eq!((seen.st_uid, seen.st_gid), (1000, 1000));
        assert_eq!(std::fs::metadata(dir.path()).unwrap().uid(), 5000);
    }
}
