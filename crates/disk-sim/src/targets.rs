//! What the fuzz targets below `fuzz/` do with their bytes, and what each of them begins with. The same bytes can be
//! given to them by an ordinary test: see `crates/disk/tests/corpus.rs`.

use crate::{
    Wrong,
    medium::Medium,
    oracle::Oracle,
    random::Random,
    rot::{Back, Victim},
    session::{Ground, KeyState, Op, Opening, Session, Went, key},
};
use cofferdam_disk::{Geometry, Keys, Memory, Witness, judge};
use cofferdam_vault::VolumeKey;
use std::sync::OnceLock;

/// A target: its name, what it does, what it begins with.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// As its file below `fuzz/fuzz_targets` and its directory below `fuzz/corpus`.
    pub name: &'static str,
    /// Takes bytes that an attacker may have written, answers whether they were good; panics where it must not.
    pub run: fn(&[u8]) -> bool,
    /// Good bytes, to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub const ALL: [Target; 7] = [
    Target {
        name: "segment_header",
        run: |bytes| judge::segment_header(bytes, volume_key()),
        seeds: || segments(&closed().medium, 96),
    },
    Target {
        name: "record_header",
        run: |bytes| judge::record_header(bytes),
        seeds: record_texts,
    },
    Target {
        name: "head",
        run: |bytes| judge::head(bytes, keys()),
        seeds: || {
            [closed(), crashed()]
                .into_iter()
                .filter_map(|one| one.medium.head.clone())
                .collect()
        },
    },
    Target {
        name: "checkpoint",
        run: |bytes| judge::checkpoint(bytes, ground().geometry),
        seeds: checkpoints,
    },
    Target {
        name: "page",
        run: |bytes| judge::page(bytes),
        seeds: || vec![vec![0; 4096], vec![0xff; 4096]],
    },
    Target {
        name: "witness",
        run: |bytes| std::str::from_utf8(bytes).is_ok_and(judge::witness),
        seeds: || {
            vec![
                closed()
                    .witness
                    .map(|one| one.to_string())
                    .unwrap_or_default()
                    .into_bytes(),
            ]
        },
    },
    Target {
        name: "store",
        run: store,
        seeds: || {
            vec![
                vec![],
                vec![1, 0, 0, 0, 1, 7],
                vec![2, 1, 0, 2, 3, 0, 0, 0],
                vec![3, 255, 0, 60, 1, 9],
            ]
        },
    },
];

/// The target of this name.
pub fn target(name: &str) -> Option<Target> {
    ALL.into_iter().find(|target| target.name == name)
}

/// Runs the target of this name.
///
/// # Panics
/// Where there is none, and as the target.
pub fn run(name: &str, bytes: &[u8]) {
    let target = target(name);
    assert!(target.is_some(), "no target {name}");
    if let Some(target) = target {
        (target.run)(bytes);
    }
}

/// A small volume that nobody has open.
#[derive(Debug)]
struct Small {
    medium: Medium,
    oracle: Oracle,
    witness: Option<Witness>,
}

fn ground() -> Ground {
    let geometry = Geometry {
        blocks: 1700,
        segment: 64 << 10,
        align: 512,
    };
    let memory = Memory { buffers: 2, pages: 4 };
    Ground {
        geometry,
        memory,
        room: usize::MAX,
    }
}

#[expect(clippy::expect_used, reason = "a target that cannot begin must stop")]
fn volume_key() -> &'static VolumeKey {
    static KEY: OnceLock<VolumeKey> = OnceLock::new();
    KEY.get_or_init(|| key().expect("locked memory for one key"))
}

#[expect(clippy::expect_used, reason = "a target that cannot begin must stop")]
fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| KeyState::default().keys().expect("locked memory for one key"))
}

#[expect(clippy::expect_used, reason = "a target that cannot begin must stop")]
fn closed() -> &'static Small {
    static SMALL: OnceLock<Small> = OnceLock::new();
    SMALL.get_or_init(|| small(Op::Close).expect("a small volume"))
}

#[expect(clippy::expect_used, reason = "a target that cannot begin must stop")]
fn crashed() -> &'static Small {
    static SMALL: OnceLock<Small> = OnceLock::new();
    SMALL.get_or_init(|| small(Op::Kill).expect("a small volume"))
}

/// Writes, discards and overwrites on two pages of the map; then it ends.
fn small(end: Op) -> Result<Small, Wrong> {
    let mut session = Session::create(ground(), Random::new(1))?;
    for round in 0..14 {
        let first = 780 + round * 5 % 60;
        session.apply(Op::Write { first, count: 9 })?;
        session.apply(Op::Discard {
            first: first + 2,
            count: 2,
        })?;
        session.apply(Op::Flush)?;
        if round == 9 {
            session.apply(Op::Tend)?;
            session.apply(Op::Close)?;
            session.recover(&Opening::default())?;
        }
    }
    let went = session.apply(end)?;
    if went != Went::Down {
        return Err(Wrong::new("it has not ended"));
    }
    let medium = session.store.medium().clone();
    Ok(Small {
        medium,
        oracle: session.oracle.clone(),
        witness: session.witness,
    })
}

fn segments(medium: &Medium, bytes: usize) -> Vec<Vec<u8>> {
    let bodies = medium.segments.values().take(2);
    bodies
        .map(|body| body.bytes.iter().copied().take(bytes).collect())
        .collect()
}

/// Opened texts of record headers: one of each kind of extent, and a full one.
fn record_texts() -> Vec<Vec<u8>> {
    let text = |extents: &[(u64, u8, u16)], cells: u16| {
        let mut text = Vec::new();
        text.extend(9_u64.to_le_bytes());
        text.extend(7_u64.to_le_bytes());
        text.extend([5; 16]);
        text.extend(cells.to_le_bytes());
        text.extend((extents.len() as u16).to_le_bytes());
        let length = (512 + u32::from(cells) * 4112).next_multiple_of(512);
        text.extend(length.to_le_bytes());
        for (first, kind, count) in extents {
            text.extend(first.to_le_bytes().iter().take(5));
            text.push(*kind);
            text.extend(count.to_le_bytes());
        }
        text.resize(496, 0);
        text
    };
    let many: Vec<_> = (0..57).map(|n| (n * 3, 1, 1)).collect();
    vec![
        text(&[(3, 1, 2), (9, 2, 500), (0, 3, 1), (0, 4, 1), (0, 5, 0)], 4),
        text(&many, 57),
        text(&[(1 << 39, 1, 248)], 248),
    ]
}

/// Checkpoints with and without pages and segments.
fn checkpoints() -> Vec<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.extend(3_u32.to_le_bytes());
    bytes.extend(2_u32.to_le_bytes());
    for place in [0_u64, 1 << 21 | 64, 2 << 21 | 321] {
        bytes.extend(place.to_le_bytes().iter().take(5));
    }
    for slot in 1..3_u32 {
        for number in [slot, 5, 30_720] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(2_u64.to_le_bytes());
        bytes.extend(u64::from(slot + 8).to_le_bytes());
        bytes.extend([7; 32]);
    }
    vec![bytes, vec![0; 8]]
}

/// The first byte chooses the store and whether there is a witness; the rest are patches: segment (255: the head), offset
/// in 16 bits of 1/65536ths, how many bytes, the bytes, which are laid over by exclusive or.
fn store(bytes: &[u8]) -> bool {
    let (choice, mut patches) = bytes.split_first().unwrap_or((&0, &[]));
    let small = if choice & 1 == 0 { closed() } else { crashed() };
    let mut medium = small.medium.clone();
    while let Some((patch, rest)) = patches.split_first_chunk::<4>() {
        let [segment, high, low, count] = *patch;
        let (with, rest) = rest.split_at(usize::from(count).min(rest.len()));
        lay_over(
            &mut medium,
            segment,
            usize::from(u16::from_be_bytes([high, low])),
            with,
        );
        patches = rest;
    }
    let victim = Victim {
        ground: &ground(),
        keys: KeyState::default(),
        medium,
        oracle: &small.oracle,
        witness: small.witness.filter(|_| choice & 2 == 0),
        back: Back::Ever,
    };
    let judged = victim.judge();
    assert!(judged.is_ok(), "{judged:?}");
    true
}

fn lay_over(medium: &mut Medium, segment: u8, at: usize, with: &[u8]) {
    let count = medium.segments.len();
    let body = if segment == u8::MAX {
        medium.head.as_mut()
    } else {
        let mut bodies = medium.segments.values_mut();
        bodies
            .nth(usize::from(segment) % count.max(1))
            .map(|body| &mut body.bytes)
    };
    let Some(body) = body else {
        return;
    };
    let start = body.len() * at / (1 << 16);
    for (place, byte) in body.iter_mut().skip(start).zip(with) {
        *place ^= byte;
    }
}
