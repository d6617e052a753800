//! A small volume on a real directory store; its bytes as an image that can be changed; what it must hold.

use cofferdam_disk::{
    Access, BLOCK, Directory, Fault, Geometry, Memory, Outcome, Store, Volume,
    geometry::{MIN_SEGMENT, SegmentName},
    volume::{Options, memory_for},
};
use cofferdam_linux::aligned::AlignedBuffer;
use cofferdam_vault::VolumeKey;
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    sync::{Arc, Mutex},
};

/// Blocks of the disk: the map has two pages, of 819 and of 21 blocks.
pub(crate) const BLOCKS: u64 = 840;

pub(crate) fn key() -> VolumeKey {
    VolumeKey::take(&mut [7; 32]).unwrap()
}

pub(crate) fn geometry() -> Geometry {
    Geometry::new(BLOCKS, MIN_SEGMENT, 512).unwrap()
}

/// Little memory, for the many volumes of one test.
pub(crate) fn options() -> Options {
    Options {
        memory: Memory {
            buffers: 2,
            pages: 16,
        },
        ..Options::default()
    }
}

/// A directory in memory: these tests sync a lot and ask nothing of stable storage.
pub(crate) fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

pub(crate) fn create(path: &Path) -> Volume<Directory> {
    create_with(path, key(), &options())
}

pub(crate) fn create_with(path: &Path, key: VolumeKey, options: &Options) -> Volume<Directory> {
    let store = Directory::create(path, Access::Buffered).unwrap();
    Volume::create(store, key, geometry(), options).unwrap()
}

pub(crate) fn open(path: &Path) -> Volume<Directory> {
    let store = Directory::open(path, Access::Buffered).unwrap();
    Volume::open(store, key(), &options()).unwrap()
}

/// What the disk must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content(Vec<u8>);

impl Content {
    pub(crate) fn empty() -> Self {
        Content(vec![0; usize::try_from(BLOCKS).unwrap() * BLOCK])
    }

    fn range(first: u64, count: u64) -> std::ops::Range<usize> {
        let of = |block: u64| usize::try_from(block).unwrap() * BLOCK;
        of(first)..of(first + count)
    }

    /// Writes blocks that no other life of theirs looks like, on the disk and here.
    pub(crate) fn write<S: Store>(&mut self, volume: &Volume<S>, first: u64, count: u64, life: u64) {
        self.try_write(volume, first, count, life).unwrap();
    }

    /// As [`Content::write`]; here they are written in any case.
    pub(crate) fn try_write<S: Store>(
        &mut self,
        volume: &Volume<S>,
        first: u64,
        count: u64,
        life: u64,
    ) -> Outcome {
        let bytes = &mut self.0[Self::range(first, count)];
        let mut random = (first + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ life;
        for byte in bytes.iter_mut() {
            random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            *byte = (random >> 56) as u8;
        }
        volume.write(first * BLOCK as u64, bytes)
    }

    /// The SHA-256 of each block that is not all zeros, one a line behind its number.
    pub(crate) fn hashes(&self) -> String {
        let numbered = (0_u64..).zip(self.0.chunks(BLOCK));
        numbered
            .filter(|(_, block)| block.iter().any(|byte| *byte != 0))
            .map(|(number, block)| {
                let hash = Sha256::digest(block);
                let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("{number} {hash}\n")
            })
            .collect()
    }

    /// Zeros, here alone.
    pub(crate) fn forget(&mut self, first: u64, count: u64) {
        self.0[Self::range(first, count)].fill(0);
    }

    /// Whether blocks have this byte throughout.
    pub(crate) fn is_filled(&self, first: u64, count: u64, byte: u8) -> bool {
        self.0[Self::range(first, count)].iter().all(|held| *held == byte)
    }

    pub(crate) fn discard<S: Store>(&mut self, volume: &Volume<S>, first: u64, count: u64) {
        self.forget(first, count);
        volume
            .discard(first * BLOCK as u64, count * BLOCK as u64)
            .unwrap();
    }

    /// Reads the whole disk.
    pub(crate) fn of<S: Store>(volume: &Volume<S>) -> Result<Self, Fault> {
        let mut memory = AlignedBuffer::new(memory_for(BLOCK));
        let blocks = (0..BLOCKS).map(|block| {
            let bytes = volume.read(block * BLOCK as u64, BLOCK, &mut memory);
            bytes.map(|bytes| bytes.to_vec())
        });
        Ok(Content(blocks.collect::<Result<Vec<_>, _>>()?.concat()))
    }

    /// Reads the whole disk, and answers the first error. Whatever is read must be what was written.
    pub(crate) fn compare<S: Store>(&self, volume: &Volume<S>) -> Result<(), Fault> {
        const AT_ONCE: u64 = 60;
        let mut memory = AlignedBuffer::new(memory_for(usize::try_from(AT_ONCE).unwrap() * BLOCK));
        let mut first_fault = Ok(());
        for first in (0..BLOCKS).step_by(usize::try_from(AT_ONCE).unwrap()) {
            let mut one = |first: u64, count: u64| {
                let range = Self::range(first, count);
                match volume.read(first * BLOCK as u64, range.len(), &mut memory) {
                    Ok(bytes) if *bytes == self.0[range] => Ok(()),
                    Ok(_) => panic!("wrong data in blocks {first} to {}", first + count),
                    Err(fault) => Err(fault),
                }
            };
            if one(first, AT_ONCE).is_err() {
                // The blocks beside a damaged one must be readable, and right.
                for block in first..first + AT_ONCE {
                    first_fault = first_fault.and(one(block, 1));
                }
            }
        }
        first_fault
    }
}

/// All bytes of a store.
#[derive(Debug, Clone, Default)]
pub(crate) struct Image {
    pub(crate) head: Option<Vec<u8>>,
    pub(crate) segments: BTreeMap<SegmentName, Arc<Vec<u8>>>,
}

impl Image {
    /// Reads a store that a [`Directory`] wrote.
    pub(crate) fn of(path: &Path) -> Self {
        let files = fs::read_dir(path.join("segments")).unwrap();
        let segments = files.map(|file| {
            let file = file.unwrap();
            let name = SegmentName::parse(file.file_name().to_str().unwrap()).unwrap();
            (name, Arc::new(fs::read(file.path()).unwrap()))
        });
        Image {
            segments: segments.collect(),
            head: fs::read(path.join("head")).ok(),
        }
    }

    /// Writes a store that a [`Directory`] can open, in place of whatever is at `path`.
    pub(crate) fn put(&self, path: &Path) {
        if path.exists() {
            fs::remove_dir_all(path).unwrap();
        }
        for below in ["segments", "spare"] {
            fs::create_dir_all(path.join(below)).unwrap();
        }
        fs::write(path.join("lock"), []).unwrap();
        if let Some(head) = &self.head {
            fs::write(path.join("head"), head).unwrap();
        }
        for (name, bytes) in &self.segments {
            fs::write(path.join("segments").join(name.to_string()), &**bytes).unwrap();
        }
    }

    /// The bytes of a segment up to the last one that is not zero.
    pub(crate) fn used(&self, name: SegmentName) -> usize {
        let bytes = &self.segments[&name];
        bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1)
    }

    /// A segment's bytes, to be changed.
    pub(crate) fn segment(&mut self, name: SegmentName) -> &mut Vec<u8> {
        Arc::make_mut(self.segments.get_mut(&name).unwrap())
    }

    /// The names, in the order of the log.
    pub(crate) fn names(&self) -> Vec<SegmentName> {
        self.segments.keys().copied().collect()
    }

    /// Opens a copy of this in memory and reads everything: which of these states it is in.
    pub(crate) fn state(&self, options: &Options, states: &[Content]) -> Result<usize, Fault> {
        let store = InMemory(Mutex::new(self.clone()));
        let content = Content::of(&Volume::open(store, key(), options)?)?;
        let state = states.iter().rposition(|state| *state == content);
        Ok(state.expect("it is in a state in which it never was"))
    }

    /// Opens a copy of this in memory and reads everything.
    pub(crate) fn judge(&self, options: &Options, content: &Content) -> Result<(), Fault> {
        let store = InMemory(Mutex::new(self.clone()));
        content.compare(&Volume::open(store, key(), options)?)
    }
}

/// Whether a refusal says which place is damaged, or that the store or the key is not the right one.
pub(crate) fn says_what_is_wrong(fault: &Fault) -> bool {
    match fault {
        Fault::Corrupt { place, .. } => {
            let places = ["the head", "segment ", "block "];
            places.iter().any(|known| place.starts_with(known))
        }
        Fault::RolledBack { .. } | Fault::WrongKey => true,
        _ => false,
    }
}

/// An image as a store: the engine's side of a test without a file being written.
#[derive(Debug)]
pub(crate) struct InMemory(pub(crate) Mutex<Image>);

impl InMemory {
    fn with<T>(&self, act: impl FnOnce(&mut Image) -> io::Result<T>) -> io::Result<T> {
        act(&mut self.0.lock().unwrap())
    }
}

impl Store for InMemory {
    fn make(&self, name: SegmentName, bytes: u32, header: &[u8]) -> io::Result<()> {
        self.with(|image| {
            let mut file = vec![0; bytes as usize];
            file[..header.len()].copy_from_slice(header);
            match image.segments.insert(name, Arc::new(file)) {
                None => Ok(()),
                Some(_) => Err(io::ErrorKind::AlreadyExists.into()),
            }
        })
    }

    fn append(&self, name: SegmentName, offset: u32, bytes: &[u8]) -> io::Result<()> {
        self.with(|image| {
            let file = image.segments.get_mut(&name).ok_or(io::ErrorKind::NotFound)?;
            let start = offset as usize;
            Arc::make_mut(file)[start..start + bytes.len()].copy_from_slice(bytes);
            Ok(())
        })
    }

    fn sync(&self, _: SegmentName) -> io::Result<()> {
        Ok(())
    }

    fn read(&self, name: SegmentName, offset: u32, length: usize, memory: &mut [u8]) -> io::Result<usize> {
        self.with(|image| {
            let file = image.segments.get(&name).ok_or(io::ErrorKind::NotFound)?;
            let bytes = file.get(offset as usize..offset as usize + length);
            memory[..length].copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(0)
        })
    }

    fn delete(&self, name: SegmentName, _spares: usize) -> io::Result<()> {
        self.with(|image| {
            image.segments.remove(&name);
            Ok(())
        })
    }

    fn list(&self) -> io::Result<Vec<SegmentName>> {
        self.with(|image| Ok(image.names()))
    }

    fn head(&self) -> io::Result<Option<Vec<u8>>> {
        self.with(|image| Ok(image.head.clone()))
    }

    fn replace_head(&self, expected: Option<&[u8]>, new: &[u8]) -> io::Result<bool> {
        self.with(|image| {
            let is_expected = image.head.as_deref() == expected;
            if is_expected {
                image.head = Some(new.to_vec());
            }
            Ok(is_expected)
        })
    }

    fn head_is_ours(&self) -> io::Result<bool> {
        Ok(true)
    }
}
