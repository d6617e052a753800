//! The child that has keys.

use cofferdam_vault::{Forged, Nonce, Suite, VolumeKey};
use rustix::process::{Signal, getpid, kill_process};
use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::os::fd::AsFd;

/// SHA-256 of "salt".
const SALT: [u8; 32] = [
    0x63, 0x47, 0x9a, 0xd6, 0x9a, 0x09, 0x0b, 0x25, 0x82, 0x77, 0xec, 0x8f, 0xba, 0x6f, 0x99, 0x41, 0x9a,
    0x2f, 0xfb, 0x24, 0x89, 0x81, 0x51, 0x06, 0x57, 0xc9, 0x44, 0xcc, 0xd1, 0x14, 0x8e, 0x97,
];

/// The first half of SHA-256 of "volume".
const VOLUME: [u8; 16] = [
    0x62, 0xd7, 0xa6, 0xb1, 0x21, 0x1d, 0x62, 0x76, 0x50, 0xe2, 0xbf, 0x0c, 0x86, 0x9b, 0x69, 0xb5,
];

/// Uses keys in every way there is, stops, drops them, stops, ends.
pub(crate) fn run(careless: bool) {
    let mut input = File::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
    let key = if careless {
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes).unwrap();
        VolumeKey::take(&mut bytes.as_slice().try_into().unwrap()).unwrap()
    } else {
        VolumeKey::read(input).unwrap()
    };
    let segments: Vec<_> = (0..3)
        .map(|sequence| {
            key.segment(Suite::Aes256Gcm, &SALT, &VOLUME, 1, sequence)
                .unwrap()
        })
        .collect();
    let head = key.head(&VOLUME).unwrap();
    let tag = head.tag(b"head");
    assert_eq!(head.verify(b"head", &tag), Ok(()));
    black_box(key.commitment(&VOLUME));
    // Starting a thread writes registers to the stack.
    std::thread::spawn(|| ()).join().unwrap();

    let use_all = || {
        for segment in &segments {
            for length in [0, 1, 16, 100, 4096, 65536] {
                let (plain, mut cell) = (vec![0x42; length], vec![0; length + 16]);
                segment.seal_cell(Nonce::cell(0), b"aad", &plain, &mut cell);
                let mut forged = cell.clone();
                assert_eq!(segment.open(Nonce::cell(0), b"aad", &mut cell).unwrap(), plain);
                assert_eq!(segment.open(Nonce::cell(1), b"aad", &mut forged), Err(Forged));
            }
        }
    };
    use_all();
    std::thread::scope(|scope| {
        let (done, wait_for_done) = std::sync::mpsc::channel();
        let (gone, wait_for_gone) = std::sync::mpsc::channel::<()>();
        // Its stack stays until the search is over.
        scope.spawn(move || {
            let sealed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(use_all));
            done.send(sealed.is_ok()).unwrap();
            wait_for_gone.recv().unwrap();
        });
        assert!(wait_for_done.recv().unwrap());
        stop();
        gone.send(()).unwrap();
    });
    drop((key, segments, head));
    stop();
}

fn stop() {
    kill_process(getpid(), Signal::STOP).unwrap();
}
