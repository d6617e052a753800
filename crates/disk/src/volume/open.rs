//! Creating, opening and closing.
//!
//! Opening takes the next epoch first, so that whoever had the volume before can acknowledge nothing more. Then it
//! recovers, and begins its own epoch with a checkpoint: nothing is written from above before the head names that.
//! So a replay never crosses from one epoch into another, and segments of an epoch that never got so far are
//! leftovers.

use super::{Options, Volume, Work, flushes::Flushes, recover::Recovery, scan::open_segment};
use crate::{
    fault::{Fault, Outcome},
    format::{
        Witness,
        head::{CheckpointAt, Head, Mark},
    },
    geometry::{Geometry, Lsn, SegmentName, TAG},
    keys::{Keys, Ring},
    log::{
        FEW_SPARES, Found, Log,
        buffer::{Arena, Rescue},
        map::Map,
        rotate::Change,
        segments::Segments,
    },
    store::Store,
};
use cofferdam_vault::{Suite, VolumeKey};
use std::sync::{
    Arc, Condvar, Mutex,
    atomic::{AtomicBool, AtomicU64},
};

/// What one process leaves to the next, so that the end of one is a pause and no more.
#[derive(Debug, Default)]
pub struct Succession {
    /// Memory for records that outlives this process.
    pub arena: Option<Arena>,
    /// The arenas of the processes before, which have ended, since one last opened the volume; oldest first.
    pub rescue: Vec<Rescue>,
}

/// What a volume's head says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The volume's id.
    pub volume: [u8; 16],
    /// Its size and layout.
    pub geometry: Geometry,
    /// How often it was opened.
    pub epoch: u64,
    /// Whether it was closed in peace.
    pub clean: bool,
    /// Whether parts of it are under the key before.
    pub rotating: bool,
}

/// Reads a volume's head; with a key it is verified, without one it is only what the store claims.
///
/// # Errors
/// [`Fault::Corrupt`], [`Fault::WrongKey`], [`Fault::Store`].
pub fn identify(store: &impl Store, keys: Option<&Keys>) -> Outcome<Identity> {
    let bytes = read_head(store)?;
    let head = match keys {
        Some(keys) => Head::decode(&bytes, keys)?.0,
        None => Head::parse(&bytes)?.0,
    };
    Ok(Identity {
        volume: head.volume,
        geometry: head.geometry,
        epoch: head.epoch,
        clean: head.clean,
        rotating: head.rotation.is_some(),
    })
}

pub(super) fn read_head(store: &impl Store) -> Outcome<Vec<u8>> {
    store
        .head()
        .map_err(Fault::store("read the head"))?
        .ok_or_else(|| {
            Fault::corrupt(
                "the head",
                "there is none; this is no volume, or its creation was cut short",
            )
        })
}

impl<S: Store> Volume<S> {
    /// Makes an empty volume with an id of its own on a store that holds none, and opens it.
    ///
    /// # Errors
    /// As [`Self::create_as`].
    pub fn create(store: S, key: VolumeKey, geometry: Geometry, options: &Options) -> Outcome<Self> {
        let mut random = [0; 32];
        (options.entropy)(&mut random).map_err(Fault::store("give random numbers"))?;
        let [volume, _] = *random.as_chunks::<16>().0 else {
            return Err(Fault::Invalid("too few random numbers"));
        };
        Self::create_as(store, key, volume, geometry, options)
    }

    /// Makes an empty volume with this id on a store that holds none, and opens it. No two volumes may have one id.
    ///
    /// # Errors
    /// [`Fault::Invalid`] where there is a volume already; [`Fault::Store`].
    pub fn create_as(
        store: S,
        key: VolumeKey,
        volume: [u8; 16],
        geometry: Geometry,
        options: &Options,
    ) -> Outcome<Self> {
        let held = store.head().map_err(Fault::store("read the head"))?.is_some()
            || !store
                .list()
                .map_err(Fault::store("list the segments"))?
                .is_empty();
        if held {
            return Err(Fault::Invalid(
                "the store holds a volume already; nothing was changed",
            ));
        }
        let keys = Ring::from(Arc::new(key));
        let nothing = Mark {
            lsn: Lsn(0),
            tag: [0; TAG],
        };
        let head = Head {
            suite: Suite::Aes256Gcm,
            geometry,
            clean: false,
            volume,
            epoch: 1,
            generation: 0,
            next_sequence: 1,
            checkpoint: CheckpointAt {
                segment: SegmentName {
                    epoch: 0,
                    sequence: 0,
                },
                offset: 0,
                bytes: 0,
                mark: nothing,
            },
            end: nothing,
            rotation: None,
        };
        let found = Found {
            head,
            map: Map::new(geometry.blocks, &[], options.memory.pages),
            segments: Segments::new(geometry, volume, head.suite, keys.clone()),
            last: nothing,
            next_sequence: 1,
            unproven: Vec::new(),
        };
        Self::begin(store, keys, found, options, None)
    }

    /// Opens a volume. With the keys of a rotation that has not begun, it begins.
    ///
    /// # Errors
    /// [`Fault::Corrupt`], [`Fault::RolledBack`], [`Fault::WrongKey`], [`Fault::Store`], [`Fault::Full`].
    pub fn open(store: S, keys: impl Into<Keys>, options: &Options) -> Outcome<Self> {
        Self::succeed(store, keys, options, Succession::default())
    }

    /// Opens a volume whose last process may have left something in its memory, and leaves its own to a successor.
    ///
    /// # Errors
    /// As for [`Volume::open`].
    pub fn succeed(
        store: S,
        keys: impl Into<Keys>,
        options: &Options,
        succession: Succession,
    ) -> Outcome<Self> {
        let keys = keys.into();
        let before = read_head(&store)?;
        let (old, ring) = Head::decode(&before, &keys)?;
        check_witness(&old, options.witness.as_ref())?;
        check_epochs(&store, &ring, &old)?;
        for rescue in &succession.rescue {
            write_what_was_left(&store, &old, rescue)?;
        }
        // No overflow: the head's format has no counters beyond 2^63.
        let head = Head {
            epoch: old.epoch + 1,
            generation: old.generation + 1,
            ..old
        };
        let claimed = store
            .replace_head(Some(&before), &head.encode(&ring)?)
            .map_err(Fault::store("replace the head"))?;
        if !claimed {
            return Err(Fault::Busy);
        }
        let found = Recovery {
            store: &store,
            keys: &ring,
            head: &head,
            witness: options.witness.as_ref(),
            memory: options.memory,
        }
        .run()?;
        // A flush finds nothing of a former life to bring to stable storage: it must be there before.
        for name in &found.unproven {
            store.sync(*name).map_err(Fault::store("sync"))?;
        }
        discard_leftovers(&store, &found)?;
        let wanted = keys.wanted(&ring);
        let volume = Self::begin(store, ring, found, options, succession.arena)?;
        if let Some(key) = wanted {
            volume.change_head(Change::Rotate(key))?;
        }
        Ok(volume)
    }

    /// Begins an epoch with a checkpoint.
    fn begin(store: S, keys: Ring, found: Found, options: &Options, arena: Option<Arena>) -> Outcome<Self> {
        let geometry = found.head.geometry;
        let log = Log::resume(keys, found, options.memory, arena);
        let volume = Volume {
            store,
            entropy: options.entropy,
            blocks: AtomicU64::new(geometry.blocks),
            segment: geometry.segment,
            log: Mutex::new(log),
            changed: Condvar::new(),
            waiting: AtomicU64::new(0),
            flushes: Flushes::default(),
            upkeep: Mutex::new(()),
            upkeep_wanted: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            work: Work::default(),
            damage: Mutex::default(),
        };
        volume.checkpoint(false)?;
        volume.leave_room_to_open()?;
        Ok(volume)
    }

    /// Closes the volume in peace: the next opening has nothing to replay. Answers what to remember of it. Every call
    /// after this one fails.
    ///
    /// # Errors
    /// As for [`Volume::flush`]. Where there is no room for a last checkpoint, what was flushed is there all the
    /// same.
    pub fn close(&self) -> Outcome<Witness> {
        self.flush()?;
        let _turn = self.take_turn();
        if !self.lock().head_has_moved() {
            self.checkpoint(false)?;
        }
        let closed = self.checkpoint(true);
        let witness = self.witness();
        self.fail();
        match closed {
            Ok(()) | Err(Fault::Full) => Ok(witness),
            Err(fault) => Err(fault),
        }
    }
}

/// What the head alone can say against a witness, before anything is written.
fn check_witness(head: &Head, witness: Option<&Witness>) -> Outcome {
    let Some(witness) = witness else {
        return Ok(());
    };
    if witness.volume != head.volume {
        return Err(Fault::Invalid(
            "the witness is another volume's; use the one of this volume",
        ));
    }
    let ends_early = head.clean && head.end.lsn < witness.mark.lsn;
    if head.epoch < witness.epoch || ends_early {
        return Err(Fault::rolled_back(head.end.lsn, witness.mark.lsn));
    }
    Ok(())
}

/// Writes the records that the last process had acknowledged and not written. What they are worth, recovery sees: to it
/// they are bytes of the store like all others.
fn write_what_was_left(store: &impl Store, head: &Head, rescue: &Rescue) -> Outcome {
    let geometry = head.geometry;
    let left = rescue.left().map_err(Fault::store("read what was left"))?;
    // What belongs to another epoch than the one that is replayed has been written, or was never acknowledged.
    let from = head.checkpoint.segment;
    let mut names = store.list().map_err(Fault::store("list the segments"))?;
    names.retain(|name| name.epoch == from.epoch && name.sequence >= from.sequence);
    names.sort_unstable();
    // INVARIANT: a record goes to the store only when all records of earlier segments are on stable storage.
    for name in names {
        for left in left.iter().filter(|left| left.name == name) {
            let fits = (left.offset as usize).saturating_add(left.length) <= geometry.segment as usize
                && left.offset >= geometry.align
                && left.offset.is_multiple_of(geometry.align)
                && left.length.is_multiple_of(geometry.align as usize);
            let bytes = left.buffer.bytes().get(..left.length).unwrap_or_default();
            if fits {
                store
                    .append(name, left.offset, bytes)
                    .map_err(Fault::store("write what was left"))?;
            }
        }
        store.sync(name).map_err(Fault::store("sync"))?;
    }
    Ok(())
}

/// Refuses a head that is older than a segment. Whoever makes a segment has put its epoch into the head first, so the
/// head of this store was another, later one.
pub(super) fn check_epochs(store: &impl Store, keys: &Ring, head: &Head) -> Outcome {
    for name in store.list().map_err(Fault::store("list the segments"))? {
        if name.epoch > head.epoch && open_segment(store, keys, name, head.volume)?.is_some() {
            return Err(Fault::corrupt(
                "the head",
                "it is older than the segments beside it; an older head has been put back",
            ));
        }
    }
    Ok(())
}

/// Deletes segments that the volume does not need: of openings that failed, or let go of and not deleted in time.
fn discard_leftovers(store: &impl Store, found: &Found) -> Outcome {
    for name in store.list().map_err(Fault::store("list the segments"))? {
        if !found.segments.iter().any(|(_, segment)| segment.name == name) {
            // The file of one that recovery looks at must not come back under its name with another segment in it. Beyond a
            // clean end it looks at none.
            let looks = found.head.replays(name) && !found.head.clean;
            let spares = if looks { 0 } else { FEW_SPARES };
            store
                .delete(name, spares)
                .map_err(Fault::store("delete a segment"))?;
        }
    }
    Ok(())
}
