//! Checkpoints: the dirty pages of the map are sealed in rounds, while writes go on; when none is left the directory
//! and the segment table are sealed; when those are durable the head moves.
//!
//! The state that a checkpoint describes is that before its first record. Whatever comes after that record is
//! replayed on top of it.

use super::{Blocked, Log, Purpose, segments::Stage};
use crate::{
    fault::Outcome,
    format::{
        checkpoint::{Checkpoint, ENTRY},
        head::{CheckpointAt, Head, Mark},
        record::Kind,
    },
    geometry::{BLOCK, Lsn, Place, SegmentName, Slot, TAG},
};

/// Rounds after which the pages that are left are sealed without a pause.
const ROUNDS: u32 = 3;

/// So few dirty pages are sealed without a pause.
const FEW: usize = 64;

/// How far a checkpoint has come.
#[derive(Debug)]
pub(crate) enum Checkpointing {
    Idle,
    /// Sealing pages.
    Pages {
        from: u32,
        rounds: u32,
    },
    /// Sealing the directory and the table.
    Payload(Payload),
    /// All sealed; the head follows.
    Sealed(Sealed),
}

/// A directory and table on their way into cells.
#[derive(Debug)]
pub(crate) struct Payload {
    bytes: Vec<u8>,
    length: u32,
    next: u64,
    idle: Vec<Slot>,
    first: (SegmentName, u32, Lsn),
}

/// A checkpoint that waits for its records to be durable.
#[derive(Debug)]
pub(crate) struct Sealed {
    at: CheckpointAt,
    pub(super) end: Mark,
    pub(super) idle: Vec<Slot>,
    clean: bool,
}

/// What a step of a checkpoint came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// There is more to seal.
    More,
    /// All is sealed; the record that must be durable before the head moves.
    Sealed(Lsn),
}

impl Log {
    /// Whether it is time for a checkpoint: much to replay, or much in memory that is not written down.
    pub(crate) fn wants_checkpoint(&self) -> bool {
        let segment = u64::from(self.geometry().segment);
        let dirty_most = (self.geometry().cells() as usize / 2).max(4);
        self.since_checkpoint > 8 * segment || self.map.dirty() > dirty_most
    }

    /// Whether no checkpoint waits for its head.
    pub(crate) fn head_has_moved(&self) -> bool {
        matches!(self.checkpointing, Checkpointing::Idle)
    }

    /// Gives up a checkpoint that is not sealed: what it has written so far is worth nothing, and does no harm.
    pub(crate) fn give_up_checkpoint(&mut self) {
        if matches!(
            self.checkpointing,
            Checkpointing::Pages { .. } | Checkpointing::Payload(_)
        ) {
            self.checkpointing = Checkpointing::Idle;
        }
    }

    /// Goes on with a checkpoint, or begins one; seals at most `most` pages. With `closing` the log ends with it:
    /// nothing may be written afterwards.
    pub(crate) fn checkpoint_step(&mut self, most: usize, closing: bool) -> Outcome<Result<Step, Blocked>> {
        if let Checkpointing::Sealed(sealed) = &self.checkpointing {
            return Ok(Ok(Step::Sealed(sealed.end.lsn)));
        }
        if matches!(self.checkpointing, Checkpointing::Idle) {
            self.checkpointing = Checkpointing::Pages { from: 0, rounds: 0 };
        }
        if let Checkpointing::Pages { rounds, .. } = self.checkpointing {
            let rest = rounds >= ROUNDS || self.map.dirty() <= FEW;
            let most = if rest { usize::MAX } else { most };
            if let Err(blocked) = self.seal_pages(most)? {
                return Ok(Err(blocked));
            }
            if self.map.dirty() > 0 {
                return Ok(Ok(Step::More));
            }
            if let Err(blocked) = self.take_snapshot()? {
                return Ok(Err(blocked));
            }
        }
        if let Err(blocked) = self.seal_payload()? {
            return Ok(Err(blocked));
        }
        if closing {
            if let Err(blocked) = self.ensure_room(self.checkpoint_purpose())? {
                return Ok(Err(blocked));
            }
            self.note_close();
            self.ended = true;
        }
        Ok(Ok(self.end_checkpoint(closing)))
    }

    fn checkpoint_purpose(&self) -> Purpose {
        if self.opening {
            return Purpose::Opening;
        }
        if self.has_idle() {
            return Purpose::Release;
        }
        Purpose::Checkpoint
    }

    /// How many cells a checkpoint would take now.
    pub(super) fn cells_for_checkpoint(&self) -> u64 {
        let payload = self.map.count() * Place::BYTES + self.segments.count() as usize * ENTRY;
        (self.map.dirty() + payload.div_ceil(BLOCK)) as u64
    }

    fn seal_pages(&mut self, most: usize) -> Outcome<Result<(), Blocked>> {
        for _ in 0..most {
            let Checkpointing::Pages { from, rounds } = self.checkpointing else {
                break;
            };
            let Some((number, bytes)) = self
                .map
                .next_dirty(from)
                .map(|(n, page)| (n, page.bytes().to_vec()))
            else {
                self.checkpointing = Checkpointing::Pages {
                    from: 0,
                    rounds: rounds + 1,
                };
                break;
            };
            let run = match self.seal(Kind::Page, u64::from(number), &bytes, self.checkpoint_purpose())? {
                Ok(run) => run,
                Err(blocked) => return Ok(Err(blocked)),
            };
            for place in run.places() {
                let before = self.map.cleaned(number, place);
                self.segments.gain(place.slot());
                if !before.is_nowhere() {
                    self.segments.lose(before.slot());
                }
            }
            self.checkpointing = Checkpointing::Pages {
                from: number + 1,
                rounds,
            };
        }
        Ok(Ok(()))
    }

    /// The directory and the table as they are now: no page is dirty.
    ///
    /// INVARIANT: the record that will have the first piece is open and empty at this moment, so nothing can come
    /// between the state that is described and the record from which replay begins.
    fn take_snapshot(&mut self) -> Outcome<Result<(), Blocked>> {
        self.close_record();
        if let Err(blocked) = self.ensure_room(self.checkpoint_purpose())? {
            return Ok(Err(blocked));
        }
        let Some(batch) = &self.batch else {
            return Ok(Err(Blocked::Buffers));
        };
        let first = (batch.name(), batch.end(), self.next_lsn);
        self.since_checkpoint = 0;
        let (segments, idle) = self.segments.for_checkpoint(first.0.sequence);
        let mut bytes = Checkpoint {
            pages: self.map.directory(),
            segments,
        }
        .encode();
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        self.checkpointing = Checkpointing::Payload(Payload {
            bytes,
            length,
            next: 0,
            idle,
            first,
        });
        self.watched = Some((first.2, None));
        Ok(Ok(()))
    }

    fn seal_payload(&mut self) -> Outcome<Result<(), Blocked>> {
        loop {
            let state = std::mem::replace(&mut self.checkpointing, Checkpointing::Idle);
            let Checkpointing::Payload(mut payload) = state else {
                self.checkpointing = state;
                return Ok(Ok(()));
            };
            let start = usize::try_from(payload.next)
                .unwrap_or(usize::MAX)
                .saturating_mul(BLOCK);
            let rest = payload.bytes.get(start..).unwrap_or_default();
            if rest.is_empty() {
                self.checkpointing = Checkpointing::Payload(payload);
                return Ok(Ok(()));
            }
            let sealed = self.seal_piece(&mut payload, start);
            self.checkpointing = Checkpointing::Payload(payload);
            if let Err(blocked) = sealed? {
                return Ok(Err(blocked));
            }
        }
    }

    fn seal_piece(&mut self, payload: &mut Payload, start: usize) -> Outcome<Result<(), Blocked>> {
        let rest = payload.bytes.get(start..).unwrap_or_default();
        let run = match self.seal(Kind::Checkpoint, payload.next, rest, self.checkpoint_purpose())? {
            Ok(run) => run,
            Err(blocked) => return Ok(Err(blocked)),
        };
        payload.next += run.count as u64;
        Ok(Ok(()))
    }

    /// A record was closed: is it the checkpoint's first?
    pub(super) fn note_record_of_checkpoint(&mut self, lsn: Lsn, tag: [u8; TAG]) {
        if let Some((watched, seen)) = &mut self.watched
            && *watched == lsn
        {
            *seen = Some(tag);
        }
    }

    fn end_checkpoint(&mut self, clean: bool) -> Step {
        let end = self.request_flush();
        let state = std::mem::replace(&mut self.checkpointing, Checkpointing::Idle);
        let Checkpointing::Payload(payload) = state else {
            self.checkpointing = state;
            return Step::More;
        };
        let (segment, offset, lsn) = payload.first;
        let Some((_, Some(tag))) = self.watched else {
            return Step::More;
        };
        self.checkpointing = Checkpointing::Sealed(Sealed {
            at: CheckpointAt {
                segment,
                offset,
                bytes: payload.length,
                mark: Mark { lsn, tag },
            },
            end: Mark {
                lsn: end,
                tag: self.previous,
            },
            idle: payload.idle,
            clean,
        });
        Step::Sealed(end)
    }

    /// The head that a checkpoint leads to.
    pub(super) fn head_after(&self, sealed: &Sealed) -> Head {
        Head {
            clean: sealed.clean,
            generation: self.head.generation + 1,
            next_sequence: self.next_sequence,
            checkpoint: sealed.at,
            end: sealed.end,
            ..self.head
        }
    }

    /// Whether a segment is one that the next checkpoint lets go of.
    pub(super) fn is_idle(&self, slot: Slot) -> bool {
        self.segments
            .get(slot)
            .is_some_and(|segment| segment.stage == Stage::Closed && segment.live == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        Haste,
        scene::{act, log},
    };
    use super::*;
    use crate::format::page::PAGE_BLOCKS;

    #[test]
    fn what_is_written_while_a_checkpoint_waits_for_memory_is_replayed_or_in_it() {
        let blocks = PAGE_BLOCKS * 20;
        let mut log = log(blocks, 2);
        while act(&mut log, Haste::Make) {}
        // Fifteen pages are dirty: blocks and pages fill a segment each, and so both buffers.
        for page in 0..15 {
            log.write(page * PAGE_BLOCKS, &[1; BLOCK]).unwrap().unwrap();
        }
        assert_eq!(log.checkpoint_step(128, false).unwrap(), Err(Blocked::Buffers));
        while act(&mut log, Haste::Make) {}
        let intruder = PAGE_BLOCKS * 17;
        log.write(intruder, &[2; BLOCK]).unwrap().unwrap();
        let written = log.request_flush();
        while act(&mut log, Haste::Make) {}
        loop {
            match log.checkpoint_step(128, false).unwrap() {
                Ok(Step::Sealed(_)) => break,
                _ => assert!(act(&mut log, Haste::Make), "it waits for nothing"),
            }
        }
        let Checkpointing::Sealed(sealed) = &log.checkpointing else {
            panic!("not sealed");
        };
        let is_in_it = log.map.dirty() == 0;
        assert!(is_in_it || sealed.at.mark.lsn <= written, "{sealed:?}");
    }
}
