//! One request of the kernel's → one call of the disk. The filesystem has a root directory and in it one file, `disk`.

use super::{AlignedBuffer, BLOCK, Disk, Errno, Reply, TRANSFER_MAX};
use cofferdam_linux::fuse::{Attributes, Body, OpenFlags, Operation, ROOT, Request};
use rustix::fs::FallocateFlags;

/// The file's name.
pub(super) const NAME: &std::ffi::CStr = c"disk";

/// The file's number.
const FILE: u64 = 2;

const FILE_MODE: u32 = 0o100_600;
const ROOT_MODE: u32 = 0o040_500;

/// What goes back to the kernel.
pub(super) enum Answer<'b> {
    /// Nothing: the request has no answer, or another thread gives it.
    None,
    /// Success, with a small structure or without.
    Body(Body),
    /// Success, with the file's bytes.
    Bytes(&'b [u8]),
}

/// Does what the kernel asks for. `room` is where a read may put its bytes; at least [`super::READ_ROOM`]. `reply` makes
/// the right to answer later.
pub(super) fn answer<'b>(
    disk: &dyn Disk,
    request: Request<'_>,
    reply: impl FnOnce(Body) -> Reply,
    room: &'b mut AlignedBuffer,
) -> Result<Answer<'b>, Errno> {
    let body = match request.operation {
        Operation::Read { offset, length } => {
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            within(disk, request.node, offset, transfer(length)?)?;
            return Ok(Answer::Bytes(disk.read(offset, length, room)?));
        }
        Operation::Write { offset, data } => {
            within(disk, request.node, offset, transfer(data.len())?)?;
            let written = Body::written(u32::try_from(data.len()).map_err(|_| Errno::INVAL)?);
            disk.write(offset, data, reply(written));
            return Ok(Answer::None);
        }
        Operation::Fsync => {
            disk.flush(reply(Body::empty()));
            return Ok(Answer::None);
        }
        Operation::Allocate { offset, length, mode } => {
            within(disk, request.node, offset, length)?;
            if !forgets(mode) {
                return Err(Errno::OPNOTSUPP);
            }
            disk.discard(offset, length, reply(Body::empty()));
            return Ok(Answer::None);
        }
        Operation::Lookup { name } if request.node == ROOT && name == NAME.to_bytes() => {
            Body::entry(attributes(disk, FILE)?)
        }
        Operation::Lookup { .. } => return Err(Errno::NOENT),
        Operation::GetAttributes => Body::attributes(attributes(disk, request.node)?),
        Operation::Open if request.node == FILE => {
            Body::opened(OpenFlags::DIRECT_IO.with(OpenFlags::PARALLEL_DIRECT_WRITES))
        }
        Operation::StatFs => {
            let block = u32::try_from(BLOCK).map_err(|_| Errno::INVAL)?;
            Body::statfs(disk.size() / BLOCK, block)
        }
        Operation::Flush | Operation::Release | Operation::Destroy => Body::empty(),
        Operation::Forget => return Ok(Answer::None),
        // ENOSYS to these means: never ask again.
        Operation::Init { .. } | Operation::Open | Operation::Interrupt { .. } | Operation::Other(_) => {
            return Err(Errno::NOSYS);
        }
    };
    Ok(Answer::Body(body))
}

fn attributes(disk: &dyn Disk, node: u64) -> Result<Attributes, Errno> {
    let (size, mode) = match node {
        ROOT => (0, ROOT_MODE),
        FILE => (disk.size(), FILE_MODE),
        _ => return Err(Errno::NOENT),
    };
    Ok(Attributes { node, size, mode })
}

/// Whether a fallocate(2) of this kind leaves zeros and the size as it is: a hole (discard) or a range of zeros (write zeroes).
fn forgets(mode: u32) -> bool {
    let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    let zeros = FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE;
    mode == hole.bits() || mode == zeros.bits()
}

/// The length of a read or write, where it is not too long.
fn transfer(length: usize) -> Result<u64, Errno> {
    if length > TRANSFER_MAX {
        return Err(Errno::INVAL);
    }
    u64::try_from(length).map_err(|_| Errno::INVAL)
}

/// Refuses what is not whole blocks of the file.
fn within(disk: &dyn Disk, node: u64, offset: u64, length: u64) -> Result<(), Errno> {
    let whole = offset.is_multiple_of(BLOCK) && length.is_multiple_of(BLOCK) && length > 0;
    let inside = offset.checked_add(length).is_some_and(|end| end <= disk.size());
    if node == FILE && whole && inside {
        Ok(())
    } else {
        Err(Errno::INVAL)
    }
}
