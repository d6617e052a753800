//! How fast blocks of 4 KiB are sealed and opened, and keys derived, on one core, in processor time:
//! `cargo run --release -p cofferdam-vault --example speed`.

use cofferdam_vault::{Nonce, SegmentKey, Suite, VolumeKey};
use rustix::time::{ClockId, clock_gettime};
use std::io;

const BLOCK: usize = 4096;
const CELL: usize = BLOCK + 16;
const AAD: &[u8] = b"volume, epoch, sequence, address";

fn main() -> io::Result<()> {
    let volume = VolumeKey::generate()?;
    let segment = volume.segment(Suite::Aes256Gcm, &[1; 32], &[2; 16], 1, 1)?;
    for blocks in [16, 256, 8192] {
        blocks_of_4_kib(&segment, blocks);
    }
    keys(&volume)
}

/// Blocks sealed or opened between two looks at the clock: some 10 ms, for it is coarse on virtual machines.
const PASS: usize = 8192;

/// 16 blocks stay in the second cache, 256 in the third, 8192 (32 MiB) in neither.
fn blocks_of_4_kib(segment: &SegmentKey, blocks: usize) {
    let plain = vec![0x42; blocks * BLOCK];
    let mut sealed = vec![0; blocks * CELL];
    let seal = rate(|| {
        for _ in 0..PASS / blocks {
            for (block, (cell, nonce)) in plain.chunks(BLOCK).zip(places(&mut sealed)) {
                segment.seal_cell(nonce, AAD, block, cell);
            }
        }
    });
    // What opens is copied first, for opening consumes it.
    let mut buffer = vec![0; 512 + CELL];
    let mut forged = 0;
    let mut opened = |start: usize| {
        rate(|| {
            for _ in 0..PASS / blocks {
                for (cell, nonce) in places(&mut sealed) {
                    let Some(buffer) = buffer.get_mut(..start + CELL) else {
                        continue;
                    };
                    if let Some(end) = buffer.get_mut(start..) {
                        end.copy_from_slice(cell);
                    }
                    forged += u32::from(segment.open_within(nonce, AAD, buffer, start).is_err());
                }
            }
        })
    };
    let (open, open_within) = (opened(0), opened(512));
    println!(
        "{blocks:5} blocks: seal_cell {seal}, copy and open {open}, copy and open_within from 512 on \
         {open_within}; {forged} forged"
    );
}

fn places(cells: &mut [u8]) -> impl Iterator<Item = (&mut [u8], Nonce)> {
    let offsets = (0..u64::MAX).step_by(CELL);
    cells.chunks_mut(CELL).zip(offsets.map(Nonce::cell))
}

/// As many as a volume of 100 GiB has.
fn keys(volume: &VolumeKey) -> io::Result<()> {
    let mut kept = Vec::new();
    let started = processor_time();
    for sequence in 0..3200 {
        kept.push(volume.segment(Suite::Aes256Gcm, &[1; 32], &[2; 16], 1, sequence)?);
    }
    let micros = (processor_time() - started) * 1e6 / 3200.0;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let locked = status.lines().find(|line| line.starts_with("VmLck"));
    println!(
        "{} segment keys: {micros:.1} µs each; {}",
        kept.len(),
        locked.unwrap_or_default()
    );
    Ok(())
}

/// The median of 25 passes and their range.
fn rate(mut pass: impl FnMut()) -> String {
    let mut rates = Vec::new();
    for _ in 0..25 {
        let started = processor_time();
        pass();
        rates.push((PASS * BLOCK) as f64 / (processor_time() - started) / 1e9);
    }
    rates.sort_by(f64::total_cmp);
    match (rates.first(), rates.get(12), rates.last()) {
        (Some(least), Some(median), Some(most)) => format!("{median:.2} GB/s ({least:.2}–{most:.2})"),
        _ => String::new(),
    }
}

/// Of this thread, in seconds.
fn processor_time() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
