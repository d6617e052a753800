//! What is read, written, flushed and discarded.

use crate::memory::{BAD, Memory, SIZE, attach, is_served, open, pattern, range};
use cofferdam_disk_server::exporter::{AlignedBuffer, BLOCK};
use rustix::fs::FallocateFlags;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[test]
fn what_is_written_is_read_flushed_and_discarded() {
    let disk = Memory::new();
    let mut attached = attach(&disk);
    let device = open(&attached);
    // Longer than a transfer, and not at its boundary.
    let written = pattern(1025);
    let at = 3 * (1 << 20) + BLOCK;
    device.write_all_at(&written, at).unwrap();
    let mut read = AlignedBuffer::new(written.capacity());
    device.read_exact_at(&mut read, at).unwrap();
    assert!(*read == *written);
    assert!(disk.bytes.lock().unwrap()[range(at, written.len())] == *written);

    let before = disk.flushes.load(Ordering::SeqCst);
    device.sync_data().unwrap();
    assert!(disk.flushes.load(Ordering::SeqCst) > before);

    for (flags, offset) in [
        (FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, at),
        (
            FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE,
            at + 16 * BLOCK,
        ),
    ] {
        rustix::fs::fallocate(&device, flags, offset, 2 * BLOCK).unwrap();
        let seen: u64 = disk
            .discards
            .lock()
            .unwrap()
            .drain(..)
            .map(|(start, length)| {
                assert!(start >= offset && start + length <= offset + 2 * BLOCK);
                length
            })
            .sum();
        assert_eq!(seen, 2 * BLOCK);
        device.read_exact_at(&mut read[..8192], offset).unwrap();
        assert!(read[..8192].iter().all(|byte| *byte == 0));
    }
    device.read_exact_at(&mut read[..4096], at + 2 * BLOCK).unwrap();
    assert!(read[..4096] == written[8192..12288]);

    assert_eq!(
        attached.detach().unwrap_err().cause().raw_os_error(),
        Some(16),
        "EBUSY: it is open"
    );
    device.read_exact_at(&mut read[..4096], at + 2 * BLOCK).unwrap();
    drop(device);
    attached.detach().unwrap();
    assert!(!is_served(&attached));
    assert_eq!(Arc::strong_count(&disk), 1, "nothing holds the disk any more");
}

#[test]
fn the_device_is_as_large_as_the_disk_and_has_its_blocks() {
    let mut attached = attach(&Memory::new());
    let name = attached
        .device()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    let told = |what: &str| {
        let text = std::fs::read_to_string(format!("/sys/block/{name}/{what}")).unwrap();
        text.trim().parse::<u64>().unwrap()
    };
    assert_eq!(told("size") * 512, SIZE as u64);
    assert_eq!(told("queue/logical_block_size"), BLOCK);
    assert_eq!(told("queue/physical_block_size"), BLOCK);
    assert_eq!(told("loop/dio"), 1);
    assert_eq!(told("loop/autoclear"), 1);
    assert!(told("queue/discard_max_bytes") > 0);
    attached.detach().unwrap();
}

#[test]
fn an_error_of_the_disk_reaches_the_reader() {
    let disk = Memory::new();
    let mut attached = attach(&disk);
    let device = open(&attached);
    let mut block = AlignedBuffer::new(4096);
    let error = device.read_exact_at(&mut block, BAD).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(5));
    device.read_exact_at(&mut block, BAD + BLOCK).unwrap();
    drop(device);
    attached.detach().unwrap();
}
