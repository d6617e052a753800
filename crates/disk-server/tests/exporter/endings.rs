//! How a device ends: by abort, by a panic, by being dropped. Never with somebody waiting for ever.

use crate::memory::{Memory, SIZE, attach, open, pattern, wait_for_end};
use cofferdam_disk_server::exporter::{AlignedBuffer, BLOCK, Disk, Errno, Exporter, FuseLoop, Reply};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[test]
fn a_disk_that_hangs_is_ended_by_the_abort_handle() {
    let disk = Memory::new();
    let attached = attach(&disk);
    let device = open(&attached);
    disk.hangs.store(true, Ordering::SeqCst);
    let reader = std::thread::spawn(move || {
        let mut block = AlignedBuffer::new(4096);
        let hung = device.read_exact_at(&mut block, 0).unwrap_err();
        let late = device.read_exact_at(&mut block, BLOCK).unwrap_err();
        (hung.raw_os_error(), late.raw_os_error())
    });
    disk.gate.wait(); // the read is in the disk
    attached.abort_handle().unwrap().abort().unwrap();
    assert_eq!(
        reader.join().unwrap(),
        (Some(5), Some(5)),
        "EIO while the disk still hangs"
    );
    disk.hangs.store(false, Ordering::SeqCst);
    disk.gate.wait(); // let it go
    wait_for_end(&attached);
    drop(attached);
}

#[test]
fn a_disk_that_panics_ends_with_an_error() {
    struct Broken;
    impl Disk for Broken {
        fn size(&self) -> u64 {
            SIZE as u64
        }
        fn read<'b>(&self, _: u64, _: usize, _: &'b mut AlignedBuffer) -> Result<&'b [u8], Errno> {
            panic!("this test's disk panics")
        }
        fn write(&self, _: u64, _: &[u8], reply: Reply) {
            reply.send(Err(Errno::NOSPC));
        }
        fn flush(&self, reply: Reply) {
            reply.send(Ok(()));
        }
        fn discard(&self, _: u64, _: u64, reply: Reply) {
            reply.send(Ok(()));
        }
    }
    let mut attached = FuseLoop::default().attach(Arc::new(Broken)).unwrap();
    let device = open(&attached);
    let full = device.write_all_at(&pattern(1), 0).unwrap_err();
    assert_eq!(full.raw_os_error(), Some(28), "ENOSPC");
    let mut block = AlignedBuffer::new(4096);
    assert_eq!(
        device.read_exact_at(&mut block, 0).unwrap_err().raw_os_error(),
        Some(5)
    );
    wait_for_end(&attached);
    drop(device);
    attached.detach().unwrap_err();
}

#[test]
fn a_dropped_device_gives_errors_and_no_hang() {
    let attached = attach(&Memory::new());
    let device = open(&attached);
    drop(attached);
    let mut block = AlignedBuffer::new(4096);
    assert_eq!(
        device.read_exact_at(&mut block, 0).unwrap_err().raw_os_error(),
        Some(5)
    );
}
