//! A new sealed volume: a key, a store with an empty filesystem, a deed. And its end.

use super::wrapping::wrapped_for;
use crate::daemon::Daemon;
use crate::operations::size_of;
use cofferdam_deed::{Deed, Filesystem, NewDeed};
use cofferdam_model::api::NewVolume;
use cofferdam_model::{ByteSize, Problem, Result, Sealed, Volume, VolumeId};
use cofferdam_vault::VolumeKey;
use jiff::Timestamp;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::sync::PoisonError;

/// Makes all that there is of a volume but its record, signed with the key that the host keeps for its tenant.
///
/// # Errors
/// `denied` where the host does not keep the tenant's key; `invalid` for a size that no disk has; `unavailable`, as the system
/// says. What was made until then is left, to be destroyed.
pub(crate) fn make(daemon: &Daemon, new: &NewVolume, id: &VolumeId) -> Result<Sealed> {
    // Asked first: without it the store would be made in vain.
    let signing = super::deeds::tenant_key(daemon, new.name.tenant())?;
    let deed = make_unsigned(daemon, new, id)?.sign(&signing)?;
    daemon.sealed.put_deed(id, deed.bytes())?;
    Ok(super::deeds::remembered(&deed, None))
}

/// Makes all that there is of a volume but its record and its deed, which is to be signed. Its tenant has a key already.
///
/// # Errors
/// As [`make`], but for the tenant's key.
pub(crate) fn make_unsigned(daemon: &Daemon, new: &NewVolume, id: &VolumeId) -> Result<Deed> {
    let size = size_of(new).ok_or_else(|| Problem::internal("a sealed volume without a size"))?;
    let _turn = daemon.making.lock().unwrap_or_else(PoisonError::into_inner);
    let tenant = super::deeds::pinned(&daemon.state.now(), new.name.tenant())?
        .ok_or_else(|| Problem::internal(format!("tenant {} has no key", new.name.tenant())))?;
    let key = VolumeKey::generate().map_err(|error| Problem::unavailable(format!("no key: {error}")))?;
    let recipients = daemon.keys.recipients()?;
    let wrapped = daemon.keys.wrap(&key, &recipients)?;
    daemon.sealed.make(id)?;
    make_store(daemon, id, size, &key)?;
    let first = NewDeed {
        volume: id.clone(),
        name: new.name.clone(),
        created: Timestamp::now(),
        size,
        filesystem: Filesystem::Ext4,
        access: new.access,
        owner: None,
        grants: Vec::new(),
    };
    Deed::first(first, &tenant, &key, wrapped_for(&recipients, &wrapped))
}

/// Has `cofferdam-disk` make the store, with the key through a pipe.
pub(super) fn make_store(daemon: &Daemon, id: &VolumeId, size: ByteSize, key: &VolumeKey) -> Result<()> {
    let program = &daemon.settings.disk.program;
    let failed = |what: String| {
        Problem::unavailable(format!("cannot make the volume's store: {what}"))
            .remedy("see that cofferdam-disk is installed, and that the kernel has FUSE and loop devices")
    };
    let mut child = Command::new(program)
        .args(["--json", "create"])
        .arg(daemon.sealed.store(id))
        .args(["--size", &size.get().to_string()])
        .args(["--volume", id.as_str(), "--key-file", "-"])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("{}: {error}", program.display())))?;
    let input = child.stdin.take().map(OwnedFd::from);
    // One that has ended does not take the key; what it has said tells why.
    let handed = input.map(|input| key.write(File::from(input)));
    let ended = child
        .wait_with_output()
        .map_err(|error| failed(error.to_string()))?;
    if ended.status.success() && matches!(handed, Some(Ok(()))) {
        return Ok(());
    }
    Err(said(&ended.stderr).unwrap_or_else(|| failed(ended.status.to_string())))
}

/// The problem that `cofferdam-disk --json` has told.
fn said(stderr: &[u8]) -> Option<Problem> {
    let line = stderr
        .split(|byte| *byte == b'\n')
        .find(|line| line.starts_with(b"{"))?;
    let mut told: serde_json::Value = serde_json::from_slice(line).ok()?;
    serde_json::from_value(told.get_mut("error")?.take()).ok()
}

/// Destroys a volume, plain or sealed, or what there is of one: its keys first, then its data, which waits in the trash to be
/// deleted. One that is not there is no error.
///
/// # Errors
/// As the system says.
pub(crate) fn destroy(daemon: &Daemon, id: &VolumeId) -> Result<()> {
    daemon.sealed.destroy_deed(id)?;
    forget_witness(daemon, id)?;
    daemon.store.discard(id)
}

/// Refuses a volume that has a deed: it is a sealed one, which is opened by that deed alone and never wiped, whatever the registry
/// says.
///
/// # Errors
/// `corrupt`.
pub(crate) fn is_ephemeral(daemon: &Daemon, volume: &Volume) -> Result<()> {
    if daemon.sealed.has_deed(&volume.id) {
        return Err(Problem::corrupt(format!(
            "{} is ephemeral by the registry, and sealed by its deed",
            volume.name
        ))
        .remedy("the registry was changed by hand: put it back, and look who can write it"));
    }
    Ok(())
}

/// Takes away what there is of an ephemeral volume's life: ciphertext whose key is gone. One that has none is no error.
///
/// # Errors
/// As [`is_ephemeral`]; as the system says.
pub(super) fn end_ephemeral(daemon: &Daemon, volume: &Volume) -> Result<()> {
    is_ephemeral(daemon, volume)?;
    forget_witness(daemon, &volume.id)?;
    daemon.store.discard(&volume.id)?;
    daemon.store.empty_trash()
}

/// Forgets how new a volume's store was when it was last seen: an older one will do. One that nothing is known of is no error.
///
/// # Errors
/// As the system says.
pub(crate) fn forget_witness(daemon: &Daemon, id: &VolumeId) -> Result<()> {
    let witness = daemon.settings.witnesses().join(id.as_str());
    match std::fs::remove_file(&witness) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Problem::unavailable(format!(
            "cannot remove {}: {error}",
            witness.display()
        ))),
    }
}
