//! Sealed blocks in one file, appended as they are written. The map is in memory and lost at the end.

use cofferdam_disk_server::exporter::{AlignedBuffer, BLOCK, Disk, Errno, Reply};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustix::fs::OFlags;
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

const BLOCK_BYTES: usize = 4096;
const CELL: usize = 4112;
const SECTOR: u64 = 512;

/// What the file may take, as a multiple of the disk.
const SPARE: u64 = 2;

pub(crate) struct Cells {
    size: u64,
    log: File,
    reads: File,
    key: LessSafeKey,
    /// Where each block's cell lies; 0 is nowhere.
    places: Vec<AtomicU64>,
    end: AtomicU64,
    written: AtomicU64,
    synced: Mutex<u64>,
}

thread_local! {
    static SEALING: RefCell<AlignedBuffer> = RefCell::new(AlignedBuffer::new((2 << 20) + 8192));
}

/// Blocks whose cells lie one behind the other.
struct Run {
    place: u64,
    blocks: Range<u64>,
}

impl Cells {
    pub(crate) fn open(directory: &Path, size: u64, buffered: bool) -> io::Result<Self> {
        let path = directory.join("cells");
        write_once(&path, size * SPARE)?;
        let direct = i32::try_from(OFlags::DIRECT.bits()).unwrap_or_default();
        let open = |flags| {
            File::options()
                .read(true)
                .write(true)
                .custom_flags(flags)
                .open(&path)
        };
        let key = UnboundKey::new(&AES_256_GCM, &[7; 32]).map_err(|_| io::ErrorKind::Other)?;
        Ok(Cells {
            size,
            log: open(direct)?,
            reads: open(if buffered { 0 } else { direct })?,
            key: LessSafeKey::new(key),
            places: (0..size / BLOCK).map(|_| AtomicU64::new(0)).collect(),
            end: AtomicU64::new(BLOCK),
            written: AtomicU64::new(0),
            synced: Mutex::new(0),
        })
    }

    fn place(&self, block: u64) -> u64 {
        let place = usize::try_from(block)
            .ok()
            .and_then(|block| self.places.get(block));
        place.map_or(0, |place| place.load(Ordering::Acquire))
    }

    fn runs(&self, blocks: Range<u64>) -> impl Iterator<Item = Run> {
        let mut next = blocks.start;
        std::iter::from_fn(move || {
            let start = next;
            if start == blocks.end {
                return None;
            }
            let place = self.place(start);
            next += 1;
            let follows = |block: u64| match place {
                0 => 0,
                place => place + (block - start) * CELL as u64,
            };
            while next < blocks.end && self.place(next) == follows(next) {
                next += 1;
            }
            Some(Run {
                place,
                blocks: start..next,
            })
        })
    }

    /// Reads a run and leaves its plaintext at the beginning of `room`.
    fn read_run(&self, run: &Run, room: &mut [u8]) -> Result<(), Errno> {
        let count = usize::try_from(run.blocks.end - run.blocks.start).map_err(|_| Errno::INVAL)?;
        if run.place == 0 {
            room.get_mut(..count * BLOCK_BYTES).ok_or(Errno::INVAL)?.fill(0);
            return Ok(());
        }
        let start = run.place / SECTOR * SECTOR;
        let skip = usize::try_from(run.place - start).map_err(|_| Errno::INVAL)?;
        let length = (skip + count * CELL).next_multiple_of(512);
        let raw = room.get_mut(..length).ok_or(Errno::INVAL)?;
        self.reads.read_exact_at(raw, start).map_err(|_| Errno::IO)?;
        for (number, block) in run.blocks.clone().enumerate() {
            let place = run.place + (number * CELL) as u64;
            let cell = skip + number * CELL;
            let clear = number * BLOCK_BYTES;
            let both = raw.get_mut(clear..cell + CELL).ok_or(Errno::INVAL)?;
            self.key
                .open_within(nonce(place), Aad::from(block.to_le_bytes()), both, cell - clear..)
                .map_err(|_| Errno::IO)?;
        }
        Ok(())
    }

    fn append(&self, first: u64, data: &[u8], buffer: &mut AlignedBuffer) -> Result<(), Errno> {
        let count = data.len() / BLOCK_BYTES;
        let length = (512 + count * CELL).next_multiple_of(512);
        let record = self.end.fetch_add(length as u64, Ordering::Relaxed);
        if record + length as u64 > self.size * SPARE {
            return Err(Errno::NOSPC);
        }
        let cells = record + SECTOR;
        for (number, clear) in data.chunks_exact(BLOCK_BYTES).enumerate() {
            let at = 512 + number * CELL;
            let cell = buffer.get_mut(at..at + CELL).ok_or(Errno::INVAL)?;
            let (text, tag) = cell.split_at_mut(BLOCK_BYTES);
            text.copy_from_slice(clear);
            let address = (first + number as u64).to_le_bytes();
            let sealed = self
                .key
                .seal_in_place_separate_tag(nonce(cells + (number * CELL) as u64), Aad::from(address), text)
                .map_err(|_| Errno::IO)?;
            tag.copy_from_slice(sealed.as_ref());
        }
        let bytes = buffer.get(..length).ok_or(Errno::INVAL)?;
        self.log.write_all_at(bytes, record).map_err(|_| Errno::IO)?;
        self.set_places(first, count, |number| cells + (number * CELL) as u64);
        self.written.fetch_add(1, Ordering::Release);
        Ok(())
    }

    fn set_places(&self, first: u64, count: usize, place: impl Fn(usize) -> u64) {
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        for (number, entry) in self.places.iter().skip(first).take(count).enumerate() {
            entry.store(place(number), Ordering::Release);
        }
    }
}

impl Disk for Cells {
    fn size(&self) -> u64 {
        self.size
    }

    fn read<'b>(&self, offset: u64, length: usize, buffer: &'b mut AlignedBuffer) -> Result<&'b [u8], Errno> {
        let first = offset / BLOCK;
        for run in self.runs(first..first + length as u64 / BLOCK) {
            let at = usize::try_from((run.blocks.start - first) * BLOCK).map_err(|_| Errno::INVAL)?;
            self.read_run(&run, buffer.get_mut(at..).ok_or(Errno::INVAL)?)?;
        }
        buffer.get(..length).ok_or(Errno::INVAL)
    }

    fn write(&self, offset: u64, data: &[u8], reply: Reply) {
        reply.send(SEALING.with_borrow_mut(|buffer| self.append(offset / BLOCK, data, buffer)));
    }

    fn flush(&self, reply: Reply) {
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.written.load(Ordering::Acquire);
        let mut outcome = Ok(());
        if *synced < written {
            outcome = self.log.sync_data().map_err(|_| Errno::IO);
            *synced = written;
        }
        reply.send(outcome);
    }

    fn discard(&self, offset: u64, length: u64, reply: Reply) {
        let count = usize::try_from(length / BLOCK).map_err(|_| Errno::INVAL);
        reply.send(count.map(|count| self.set_places(offset / BLOCK, count, |_| 0)));
    }
}

fn nonce(place: u64) -> Nonce {
    let mut bytes = [0; 12];
    for (to, from) in bytes.iter_mut().zip(place.to_le_bytes()) {
        *to = from;
    }
    Nonce::assume_unique_for_key(bytes)
}

/// Fills the file with bytes, so that writing it again changes no metadata below.
fn write_once(path: &Path, length: u64) -> io::Result<()> {
    if std::fs::metadata(path).is_ok_and(|facts| facts.len() == length) {
        return Ok(());
    }
    let mut file = File::create(path)?;
    let chunk = vec![0x5a; 1 << 20];
    for _ in 0..length >> 20 {
        file.write_all(&chunk)?;
    }
    file.sync_all()
}
