//! Changing the head between two checkpoints: another key, a larger disk. And cleaning what is under the key before.
//!
//! A rotation begins with a head under the new key that names the next sequence: every segment from there on is under it.
//! Those below are emptied as cleaning empties them, whatever is alive in them. When none is left and the checkpoint is under
//! the new key too, a head follows that does not speak of the key before, which nobody needs any more.

use super::{
    Log, Victim,
    checkpoint::Checkpointing,
    segments::{Segment, Stage},
};
use crate::{
    fault::{Fault, Outcome},
    format::head::Head,
    geometry::{Geometry, SegmentName, Slot},
    keys::Ring,
};
use cofferdam_vault::VolumeKey;
use std::sync::Arc;

/// The most segments that are encrypted anew before a checkpoint lets them go: writes from above wait no longer than for these.
pub(crate) const MOST_AT_ONCE: usize = 4;

/// A change of the head.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// What is sealed from here on is under this key.
    Rotate(Arc<VolumeKey>),
    /// Nothing is under the key before any more.
    EndRotation,
    /// The disk has so many blocks.
    Grow(u64),
}

/// What a rotation needs next.
#[derive(Debug)]
pub(crate) enum Turn {
    /// Nothing that can be done now.
    Rest,
    /// All that is alive in this segment is to be moved.
    Empty(Victim),
    /// A checkpoint lets go of segments, or is the first under the new key.
    Checkpoint,
    /// Nothing is under the key before: the head can say so.
    End,
}

/// How far a rotation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// Cells that something refers to and that are under the key before.
    pub left: u64,
    /// Cells that something refers to.
    pub all: u64,
    /// Those of the former that lie in damaged segments: they stay where they are.
    pub damaged: u64,
}

impl Log {
    /// How far the rotation is; none where there is none.
    pub(crate) fn rotation(&self) -> Option<Rotation> {
        let below = self.head.rotation?;
        let old = |segment: &&Segment| segment.name.sequence < below;
        let live = |segment: &Segment| u64::from(segment.live);
        let segments = || self.segments.iter().map(|(_, segment)| segment).filter(old);
        Some(Rotation {
            left: segments().map(live).sum(),
            all: self.segments.live(),
            damaged: segments().filter(|segment| segment.unreadable).map(live).sum(),
        })
    }

    /// Has the head changed. No checkpoint may be under way.
    ///
    /// # Errors
    /// [`Fault::Invalid`] where that cannot be.
    pub(crate) fn change_head(&mut self, change: Change) -> Outcome {
        let idle =
            matches!(self.checkpointing, Checkpointing::Idle) && !self.opening && self.moving.is_none();
        if !idle || self.change.is_some() {
            return Err(Fault::Invalid("the head is just being changed"));
        }
        match change {
            Change::Rotate(_) if self.head.rotation.is_some() => {
                return Err(Fault::Invalid(
                    "the volume is being encrypted anew already; wait until that has ended",
                ));
            }
            Change::Grow(blocks) if self.grown(blocks).is_none() => {
                return Err(Fault::Invalid(
                    "the disk cannot have this size: it never becomes smaller, and its segments bound how large it can be",
                ));
            }
            _ => {}
        }
        self.change = Some(change);
        Ok(())
    }

    fn grown(&self, blocks: u64) -> Option<Geometry> {
        let Geometry { segment, align, .. } = self.geometry();
        let bounded = blocks >= self.geometry().blocks;
        bounded.then(|| Geometry::new(blocks, segment, align)).flatten()
    }

    /// Whether the head is still to be changed.
    pub(crate) fn head_is_to_change(&self) -> bool {
        self.change.is_some()
    }

    /// The head that the change leads to, and which key is whose then.
    pub(super) fn changed_head(&self, change: &Change) -> (Head, Ring) {
        let head = Head {
            generation: self.head.generation + 1,
            next_sequence: self.next_sequence,
            ..self.head
        };
        match change {
            // No segment is made meanwhile, so none has this number or a higher one.
            Change::Rotate(key) => {
                let below = self.next_sequence;
                let head = Head {
                    rotation: Some(below),
                    ..head
                };
                (head, self.keys.turned(Arc::clone(key), below))
            }
            Change::EndRotation => {
                let head = Head {
                    rotation: None,
                    ..head
                };
                (head, self.keys.alone())
            }
            Change::Grow(blocks) => {
                let geometry = self.grown(*blocks).unwrap_or(self.geometry());
                (Head { geometry, ..head }, self.keys.clone())
            }
        }
    }

    /// The head was changed.
    pub(super) fn head_has_changed(&mut self, head: Head, change: &Change) {
        let (_, keys) = self.changed_head(change);
        self.head = head;
        self.keys = keys;
        self.segments.have(&self.keys, head.geometry);
        match change {
            Change::Rotate(_) => self.leave_old_segments(),
            Change::EndRotation => {}
            Change::Grow(blocks) => self.map.grow(*blocks),
        }
        self.upkeep = true;
    }

    /// Nothing more is sealed under the key before, but what is in the open batch.
    fn leave_old_segments(&mut self) {
        self.close_batch();
        // Nothing refers to them, and no checkpoint has them.
        while let Some(slot) = self.ready.pop_front() {
            self.doom(slot);
        }
        if let Some((slot, _)) = self.tail {
            self.tail = Some((slot, self.geometry().segment));
        }
    }

    /// Whether a segment is under the key before.
    pub(super) fn is_old(&self, slot: Slot) -> bool {
        let segment = self.segments.get(slot);
        segment
            .zip(self.head.rotation)
            .is_some_and(|(segment, below)| segment.name.sequence < below)
    }

    pub(super) fn doom(&mut self, slot: Slot) {
        if let Some(segment) = self.segments.get_mut(slot) {
            segment.stage = Stage::Doomed;
        }
    }

    /// All that was alive in a segment was moved; with the next checkpoint nothing is alive there any more.
    pub(crate) fn note_emptied(&mut self, victim: &Victim) {
        self.emptied
            .push((victim.slot, victim.name, self.head.generation));
    }

    /// Leaves a segment alone that was emptied, and in which something is alive still after a checkpoint: whoever has the key
    /// before can count so in a table of his own, and rotation would go on for ever.
    pub(crate) fn spare_what_stays(&mut self) -> Option<SegmentName> {
        let generation = self.head.generation;
        let judged = |(_, _, then): &mut (Slot, SegmentName, u64)| *then < generation;
        let judged: Vec<_> = self.emptied.extract_if(.., judged).collect();
        let stays = |(slot, name, _): &(Slot, SegmentName, u64)| {
            let segment = self.segments.get(*slot);
            segment.is_some_and(|segment| segment.name == *name && segment.live > 0)
        };
        let (slot, name, _) = judged.into_iter().find(stays)?;
        self.spare(slot);
        Some(name)
    }

    /// What the rotation needs next; not one of `done`.
    pub(crate) fn next_turn(&mut self, done: &[Slot]) -> Outcome<Turn> {
        let Some(below) = self.head.rotation else {
            return Ok(Turn::Rest);
        };
        let old: Vec<_> = self
            .segments
            .iter()
            .map(|(slot, _)| slot)
            .filter(|slot| self.is_old(*slot))
            .collect();
        if old.is_empty() {
            let checkpoint = self.head.checkpoint.segment.sequence;
            return Ok(if checkpoint < below {
                Turn::Checkpoint
            } else {
                Turn::End
            });
        }
        let empties = |(slot, segment): (Slot, &Segment)| {
            let whole = segment.stage == Stage::Closed && !segment.unreadable && segment.live > 0;
            let settled = !self.pending.iter().any(|record| record.is_in(slot));
            (whole && settled && self.is_old(slot) && !done.contains(&slot)).then_some((segment.name, slot))
        };
        if let Some((_, slot)) = self.segments.iter().filter_map(empties).min() {
            return self.victim(slot).map(Turn::Empty);
        }
        let tail = self.tail.is_some_and(|(slot, _)| self.is_old(slot));
        let idle = old.iter().any(|slot| self.is_idle(*slot));
        Ok(if tail || idle {
            Turn::Checkpoint
        } else {
            Turn::Rest
        })
    }
}
