//! Searching another process's memory.

use rustix::process::Pid;
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// What is looked for: secrets, cut into pieces of 16 bytes, so that parts of them are found too.
pub(crate) struct Pieces(HashMap<[u8; 16], String>);

impl Pieces {
    pub(crate) fn of_hex(secrets: &[&str]) -> Self {
        let pieces = secrets.iter().flat_map(|secret| {
            let bytes = hex(secret);
            let halves: Vec<_> = bytes.chunks(16).map(|half| half.try_into().unwrap()).collect();
            halves.into_iter().map(|half| (half, (*secret).to_owned()))
        });
        Pieces(pieces.collect())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    let pair = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(pair).collect()
}

/// All readable memory of a stopped process.
pub(crate) struct Memory(Vec<Region>);

struct Region {
    range: Range<u64>,
    name: String,
    /// Locked, not dumped, not inherited: where secrets belong.
    locked: bool,
    bytes: Vec<u8>,
}

impl Memory {
    pub(crate) fn of(pid: Pid) -> Self {
        let pid = pid.as_raw_nonzero();
        let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
        let mut regions: Vec<Region> = Vec::new();
        for line in fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap().lines() {
            if let Some(flags) = line.strip_prefix("VmFlags:") {
                let locked = ["lo", "dd", "dc"]
                    .iter()
                    .all(|flag| flags.split_whitespace().any(|word| word == *flag));
                regions.last_mut().unwrap().locked = locked;
            } else if let Some(region) = Region::of(line) {
                regions.push(region);
            }
        }
        // The kernel's own pages cannot be read this way, and pages without access hold nothing.
        regions.retain(|region| !region.name.starts_with("[v") && !region.name.is_empty());
        for region in &mut regions {
            region.bytes = vec![0; usize::try_from(region.range.end - region.range.start).unwrap()];
            memory
                .read_exact_at(&mut region.bytes, region.range.start)
                .unwrap_or_else(|error| panic!("{}: {error}", region.name));
        }
        for expected in ["[stack]", "[heap]"] {
            assert!(
                regions.iter().any(|region| region.name.contains(expected)),
                "{expected}"
            );
        }
        Memory(regions)
    }

    pub(crate) fn has_locked_pages(&self) -> bool {
        self.0.iter().any(|region| region.locked)
    }

    /// Every piece of what lies in locked pages, but for small numbers and addresses, which have zeros.
    pub(crate) fn locked_pieces(&self) -> Pieces {
        let locked = self.0.iter().filter(|region| region.locked);
        let pieces = locked
            .flat_map(|region| region.bytes.chunks_exact(16))
            .filter(|piece| piece.iter().filter(|byte| **byte == 0).count() < 2);
        Pieces(
            pieces
                .map(|piece| (piece.try_into().unwrap(), "from locked pages".to_owned()))
                .collect(),
        )
    }

    pub(crate) fn search(&self, pieces: &Pieces) -> Found {
        // Most places are passed over by their first two bytes.
        let mut begins = vec![false; 1 << 16];
        for piece in pieces.0.keys() {
            begins[usize::from(u16::from_le_bytes([piece[0], piece[1]]))] = true;
        }
        let mut found = Found::default();
        for region in &self.0 {
            for window in region.bytes.windows(16) {
                if begins[usize::from(u16::from_le_bytes([window[0], window[1]]))]
                    && let Some((piece, secret)) = pieces.0.get_key_value(window)
                {
                    let places = found.places.entry(*piece).or_default();
                    places.push(format!("{} in {}", secret, region.name));
                    found.unlocked |= !region.locked;
                }
            }
        }
        found
    }
}

impl Region {
    /// From the first line of an entry of proc_pid_smaps(5); none for other lines.
    fn of(line: &str) -> Option<Region> {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let range = u64::from_str_radix(start, 16).ok()?..u64::from_str_radix(end, 16).ok()?;
        let readable = words.next()?.starts_with('r');
        let name = words.skip(3).collect::<Vec<_>>().join(" ");
        Some(Region {
            name: if readable {
                format!("{name} at {start}")
            } else {
                String::new()
            },
            range,
            locked: false,
            bytes: Vec::new(),
        })
    }
}

/// Where pieces were found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    places: BTreeMap<[u8; 16], Vec<String>>,
    unlocked: bool,
}

impl Found {
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// How many different pieces.
    pub(crate) fn kinds(&self) -> usize {
        self.places.len()
    }

    /// Whether all lay in locked pages.
    pub(crate) fn all_locked(&self) -> bool {
        !self.unlocked
    }
}
