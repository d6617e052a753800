//! Flushes that are answered later, by another thread than the one that took them.

use crate::memory::{Memory, attach, open, pattern};
use cofferdam_disk_server::exporter::{Connection, Disk, Place, Reply, Serving};
use cofferdam_linux::fuse::Channel;
use rustix::io::Errno;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Far more than anything here takes: this machine may be busy.
const LONG: Duration = Duration::from_secs(20);

/// From here on the disk leaves the right to answer its flushes to the test. Not before the device is there: the kernel
/// flushes while it makes it.
fn leaves_flushes(disk: &Memory) -> Receiver<Reply> {
    let (give, replies) = channel();
    *disk.replies.lock().unwrap() = Some(give);
    replies
}

#[test]
fn a_flush_ends_when_somebody_answers_it() {
    let disk = Memory::new();
    let attached = attach(&disk);
    let device = open(&attached);
    device.write_all_at(&pattern(2), 0).unwrap();
    let replies = leaves_flushes(&disk);
    let flusher = {
        let device = device.try_clone().unwrap();
        std::thread::spawn(move || device.sync_all())
    };
    let reply = replies.recv_timeout(LONG).unwrap();
    // What waits is the loop device; the thread that took the flush does not.
    std::thread::sleep(Duration::from_millis(50));
    assert!(!flusher.is_finished(), "nobody has answered");
    reply.send(Ok(()));
    flusher.join().unwrap().unwrap();
    *disk.replies.lock().unwrap() = None;
}

#[test]
fn a_flush_that_fails_or_that_nobody_answers_is_an_error() {
    for refuse in [true, false] {
        let disk = Memory::new();
        let attached = attach(&disk);
        let device = open(&attached);
        device.write_all_at(&pattern(2), 0).unwrap();
        let replies = leaves_flushes(&disk);
        let flusher = {
            let device = device.try_clone().unwrap();
            std::thread::spawn(move || device.sync_all())
        };
        let reply = replies.recv_timeout(LONG).unwrap();
        match refuse {
            true => reply.send(Err(Errno::IO)),
            false => drop(reply),
        }
        let error = flusher.join().unwrap().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(5), "EIO");
        *disk.replies.lock().unwrap() = None;
    }
}

#[test]
fn a_flush_without_an_answer_counts_as_waiting() {
    let disk = Memory::new();
    let connection = Connection::new(2).unwrap();
    let places = connection
        .channels()
        .iter()
        .map(|channel| Place::new(Channel::from(channel.as_fd().try_clone_to_owned().unwrap())).unwrap())
        .collect();
    let abort = connection.abort_handle().try_clone().unwrap();
    let shown: Arc<dyn Disk> = Arc::clone(&disk) as Arc<dyn Disk>;
    let serving = Serving::start(places, abort, &shown).unwrap();
    let device = connection.export().unwrap();
    let file = std::fs::File::options().write(true).open(device.path()).unwrap();
    file.write_all_at(&[7; 8192], 0).unwrap();
    let replies = leaves_flushes(&disk);
    let flusher = std::thread::spawn(move || file.sync_all());
    let reply = replies.recv_timeout(LONG).unwrap();
    let short = Duration::from_millis(50);
    std::thread::sleep(short);
    assert!(serving.longest() >= short, "whoever watches would not see it");
    reply.send(Ok(()));
    flusher.join().unwrap().unwrap();
    *disk.replies.lock().unwrap() = None;
    assert_eq!(serving.longest(), Duration::ZERO);
    device.detach().unwrap();
}
