//! A disk in memory that can fail and hang, and its device.

use cofferdam_disk_server::exporter::{
    AlignedBuffer, Attached, BLOCK, Disk, Errno, Exporter, FuseLoop, Reply,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Barrier, Mutex};

pub(crate) const SIZE: usize = 64 << 20;
pub(crate) const BAD: u64 = 7 * BLOCK;

/// Blocks in memory. Reading block 7 fails.
pub(crate) struct Memory {
    pub(crate) bytes: Mutex<Vec<u8>>,
    pub(crate) flushes: AtomicUsize,
    pub(crate) discards: Mutex<Vec<(u64, u64)>>,
    pub(crate) hangs: AtomicBool,
    /// Where flushes leave the right to answer them, if there is such a place.
    pub(crate) replies: Mutex<Option<Sender<Reply>>>,
    /// Where a read that hangs waits: for the test, twice.
    pub(crate) gate: Barrier,
}

impl Memory {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Memory {
            bytes: Mutex::new(vec![0; SIZE]),
            flushes: AtomicUsize::new(0),
            discards: Mutex::default(),
            hangs: AtomicBool::new(false),
            replies: Mutex::default(),
            gate: Barrier::new(2),
        })
    }
}

pub(crate) fn range(offset: u64, length: usize) -> std::ops::Range<usize> {
    let start = usize::try_from(offset).unwrap();
    start..start + length
}

impl Disk for Memory {
    fn size(&self) -> u64 {
        SIZE as u64
    }

    fn read<'b>(&self, offset: u64, length: usize, buffer: &'b mut AlignedBuffer) -> Result<&'b [u8], Errno> {
        if self.hangs.load(Ordering::SeqCst) {
            self.gate.wait();
            self.gate.wait();
        }
        if (offset..offset + length as u64).contains(&BAD) {
            return Err(Errno::IO);
        }
        // Not at the buffer's beginning: an engine decrypts in place, behind a header.
        let answer = &mut buffer[512..512 + length];
        answer.copy_from_slice(&self.bytes.lock().unwrap()[range(offset, length)]);
        Ok(answer)
    }

    fn write(&self, offset: u64, data: &[u8], reply: Reply) {
        assert_eq!(data.as_ptr() as usize % 4096, 0);
        self.bytes.lock().unwrap()[range(offset, data.len())].copy_from_slice(data);
        reply.send(Ok(()));
    }

    fn flush(&self, reply: Reply) {
        self.flushes.fetch_add(1, Ordering::SeqCst);
        match &*self.replies.lock().unwrap() {
            Some(replies) => replies.send(reply).unwrap(),
            None => reply.send(Ok(())),
        }
    }

    fn discard(&self, offset: u64, length: u64, reply: Reply) {
        self.bytes.lock().unwrap()[range(offset, usize::try_from(length).unwrap())].fill(0);
        self.discards.lock().unwrap().push((offset, length));
        reply.send(Ok(()));
    }
}

pub(crate) fn attach(disk: &Arc<Memory>) -> Attached {
    FuseLoop::default()
        .attach(Arc::clone(disk) as Arc<dyn Disk>)
        .unwrap()
}

pub(crate) fn open(attached: &Attached) -> File {
    let direct = i32::try_from(OFlags::DIRECT.bits()).unwrap();
    let mut options = File::options();
    options.read(true).write(true).custom_flags(direct);
    options.open(attached.device()).unwrap()
}

pub(crate) fn is_served(attached: &Attached) -> bool {
    let mut watched = [PollFd::from_borrowed_fd(attached.ended(), PollFlags::empty())];
    poll(&mut watched, Some(&Timespec::default())).unwrap() == 0
}

pub(crate) fn wait_for_end(attached: &Attached) {
    let mut watched = [PollFd::from_borrowed_fd(attached.ended(), PollFlags::empty())];
    poll(&mut watched, None).unwrap();
}

/// A pattern that no two blocks share.
pub(crate) fn pattern(blocks: usize) -> AlignedBuffer {
    let mut bytes = AlignedBuffer::new(blocks * 4096);
    for (number, block) in bytes.chunks_exact_mut(4096).enumerate() {
        block.fill(u8::try_from(number % 251).unwrap() + 1);
        block[..8].copy_from_slice(&number.to_le_bytes());
    }
    bytes
}
