//! Recovery: head → checkpoint → replay, verifying the chain.
//!
//! The log of the checkpoint's epoch is followed from the checkpoint's first record to the first one that does not
//! belong to the chain. Up to the last flush that anything proves (a later record, the head, the witness) every
//! record must be there; what is missing before that is damage, reported with its place. What comes after may be
//! torn, and is cut there.

use super::{
    read::read_page,
    scan::{Scan, open_segment},
};
use crate::{
    fault::{Fault, Outcome},
    format::{
        Sealer, Witness,
        checkpoint::{Checkpoint, SegmentEntry},
        head::{Head, Mark},
        record::{Extent, Kind, RecordHeader},
        segment_header::SegmentHeader,
    },
    geometry::{BLOCK, Lsn, Place, SegmentName, TAG},
    keys::Ring,
    log::{
        Found, Memory,
        map::Map,
        segments::{Segments, Stage},
    },
    store::Store,
};

/// A record of the chain.
struct Link {
    segment: usize,
    offset: u32,
    tag: [u8; TAG],
    header: RecordHeader,
}

/// A segment of the chain.
struct Stretch {
    header: SegmentHeader,
    sealer: Sealer,
    end: u32,
}

/// What recovery works on.
pub(super) struct Recovery<'a, S> {
    pub(super) store: &'a S,
    pub(super) keys: &'a Ring,
    pub(super) head: &'a Head,
    pub(super) witness: Option<&'a Witness>,
    pub(super) memory: Memory,
}

/// The chain, and the segments that it runs through.
struct Chain {
    stretches: Vec<Stretch>,
    links: Vec<Link>,
    /// All up to here was flushed once.
    proven: Lsn,
}

impl<S: Store> Recovery<'_, S> {
    /// The state at the end of the log; nothing is written.
    ///
    /// # Errors
    /// [`Fault::Corrupt`], [`Fault::RolledBack`], [`Fault::Store`].
    pub(super) fn run(&self) -> Outcome<Found> {
        let listed = self.store.list().map_err(Fault::store("list the segments"))?;
        let mut chain = self.chain(&listed)?;
        self.cut(&mut chain)?;
        self.compare(&chain)?;
        let checkpoint = self.checkpoint(&chain)?;
        let mut found = self.rebuild(&chain, &checkpoint, &listed)?;
        for link in &chain.links {
            self.replay(&mut found, &chain, link)?;
        }
        Ok(found)
    }

    /// Follows the headers.
    fn chain(&self, listed: &[SegmentName]) -> Outcome<Chain> {
        let at = &self.head.checkpoint;
        let mut names: Vec<_> = listed
            .iter()
            .filter(|name| self.head.replays(**name))
            .copied()
            .collect();
        names.sort_unstable();
        let mut chain = Chain {
            stretches: Vec::new(),
            links: Vec::new(),
            proven: self.head.end.lsn,
        };
        if let Some(witness) = self.witness {
            chain.proven = chain.proven.max(witness.lsn());
        }
        let mut offset = at.offset;
        let newest = names.last().copied();
        for name in names {
            let Some((header, sealer)) = open_segment(self.store, self.keys, name, self.head.volume)? else {
                // Segments are made one after the other, each wholly before the next: a crash leaves none but the
                // last without its header. Any other's was damaged, and with its salt goes all that lies in it.
                if name == at.segment || Some(name) != newest {
                    return Err(Fault::at(name, 0, "the segment has no valid header"));
                }
                continue;
            };
            if header.align != self.head.geometry.align || header.suite != self.head.suite {
                return Err(Fault::at(name, 0, "its header does not fit the volume's head"));
            }
            self.walk(&mut chain, header, sealer, offset)?;
            offset = self.head.geometry.align;
            if self.is_at_clean_end(&chain) {
                break;
            }
        }
        match chain.links.first() {
            Some(first) if (first.header.lsn, first.tag) == (at.mark.lsn, at.mark.tag) => Ok(chain),
            _ => Err(Fault::at(at.segment, at.offset, "the checkpoint is not here")),
        }
    }

    fn is_at_clean_end(&self, chain: &Chain) -> bool {
        self.head.clean
            && chain
                .links
                .last()
                .is_some_and(|link| link.header.lsn >= self.head.end.lsn)
    }

    /// Follows the chain through one segment. Records that lie behind its end are looked for, since they may prove
    /// that something between has been lost.
    fn walk(&self, chain: &mut Chain, header: SegmentHeader, sealer: Sealer, from: u32) -> Outcome {
        let segment = self.head.geometry.segment;
        let index = chain.stretches.len();
        let mut scan = Scan::new(self.store, header.name, &sealer, segment);
        let mut offset = from;
        while let Some((record, tag)) = scan.header(offset)? {
            if !self.follows(chain.links.last(), &record) {
                break;
            }
            chain.proven = chain.proven.max(record.durable);
            let length = record.length;
            chain.links.push(Link {
                segment: index,
                offset,
                tag,
                header: record,
            });
            offset += length;
            if self.is_at_clean_end(chain) {
                break;
            }
        }
        let end = offset;
        let last = chain.links.last().map_or(Lsn(0), |link| link.header.lsn);
        while !self.is_at_clean_end(chain) && offset < segment {
            if let Some((record, _)) = scan.header(offset)? {
                chain.proven = chain.proven.max(record.durable);
                if record.durable > last {
                    return Err(Fault::at(
                        header.name,
                        end,
                        "a record that had been flushed is missing or damaged",
                    ));
                }
            }
            offset += self.head.geometry.align;
        }
        chain.stretches.push(Stretch { header, sealer, end });
        Ok(())
    }

    fn follows(&self, last: Option<&Link>, record: &RecordHeader) -> bool {
        match last {
            // Whether it is the right one, its tag tells.
            None => record.lsn == self.head.checkpoint.mark.lsn,
            Some(last) => record.lsn == last.header.lsn.next() && record.previous == last.tag,
        }
    }

    /// Cuts what is torn: a record whose flush nothing proves counts only if all its cells verify.
    fn cut(&self, chain: &mut Chain) -> Outcome {
        let mut whole = chain.links.len();
        for (index, link) in chain.links.iter().enumerate() {
            if link.header.lsn <= chain.proven {
                continue;
            }
            match self.verify(chain, link) {
                Ok(()) => {}
                Err(Fault::Corrupt { .. }) => {
                    whole = index;
                    break;
                }
                // What cannot be read now may be there all the same.
                Err(fault) => return Err(fault),
            }
        }
        chain.links.truncate(whole);
        for (index, stretch) in chain.stretches.iter_mut().enumerate() {
            let last = chain.links.iter().rfind(|link| link.segment == index);
            stretch.end = last.map_or(stretch.header.align, |link| link.offset + link.header.length);
        }
        Ok(())
    }

    fn verify(&self, chain: &Chain, link: &Link) -> Outcome {
        let stretch = self.stretch(chain, link)?;
        let scan = Scan::new(
            self.store,
            stretch.header.name,
            &stretch.sealer,
            self.head.geometry.segment,
        );
        scan.cells(link.offset, &link.header, |_, _, _, _| Ok(()))
    }

    fn stretch<'c>(&self, chain: &'c Chain, link: &Link) -> Outcome<&'c Stretch> {
        chain
            .stretches
            .get(link.segment)
            .ok_or(Fault::Invalid("a record without its segment"))
    }

    /// Compares the end of the chain with what the head and the witness vouch for.
    fn compare(&self, chain: &Chain) -> Outcome {
        let last = chain.links.last();
        let reached = last.map_or(Lsn(0), |link| link.header.lsn);
        let place = last.and_then(|link| Some((link, chain.stretches.get(link.segment)?)));
        let (name, offset) = place.map_or((self.head.checkpoint.segment, 0), |(link, stretch)| {
            (stretch.header.name, link.offset + link.header.length)
        });
        let lost = |what| Err(Fault::at(name, offset, what));
        let agrees = |mark: Mark| {
            let known = chain.links.iter().find(|link| link.header.lsn == mark.lsn);
            known.is_none_or(|link| link.tag == mark.tag)
        };
        if reached < self.head.end.lsn || !agrees(self.head.end) {
            return lost("the log ends before the record that the head vouches for");
        }
        if let Some(witness) = self.witness {
            if witness.volume != self.head.volume {
                return Err(Fault::Invalid("the witness is another volume's"));
            }
            if reached < witness.lsn() || self.head.epoch < witness.epoch {
                return Err(Fault::rolled_back(reached, witness.lsn()));
            }
            if !agrees(witness.mark) {
                return Err(Fault::rolled_back(reached, witness.lsn()));
            }
        }
        if reached < chain.proven {
            return lost("a record that had been flushed is missing or damaged");
        }
        Ok(())
    }

    /// The checkpoint's bytes, out of its cells.
    fn checkpoint(&self, chain: &Chain) -> Outcome<Checkpoint> {
        let at = &self.head.checkpoint;
        let length = at.bytes as usize;
        let mut bytes = Vec::with_capacity(length.min(64 << 20));
        for link in &chain.links {
            if bytes.len() >= length {
                break;
            }
            if !link
                .header
                .extents
                .iter()
                .any(|extent| extent.kind == Kind::Checkpoint)
            {
                continue;
            }
            let stretch = self.stretch(chain, link)?;
            let segment = self.head.geometry.segment;
            let scan = Scan::new(self.store, stretch.header.name, &stretch.sealer, segment);
            scan.cells(link.offset, &link.header, |kind, number, _, block| {
                if kind == Kind::Checkpoint && number == (bytes.len() / BLOCK) as u64 {
                    bytes.extend_from_slice(block);
                }
                Ok(())
            })?;
        }
        bytes
            .get(..length)
            .and_then(|bytes| Checkpoint::decode(bytes, self.head.geometry))
            .ok_or_else(|| Fault::at(at.segment, at.offset, "the checkpoint is not whole"))
    }

    /// The state that the checkpoint describes, and the segments that came after it.
    fn rebuild(&self, chain: &Chain, checkpoint: &Checkpoint, listed: &[SegmentName]) -> Outcome<Found> {
        let head = self.head;
        let mut segments = Segments::new(head.geometry, head.volume, head.suite, self.keys.clone());
        for entry in &checkpoint.segments {
            if entry.live > 0 && !listed.contains(&entry.name) {
                return Err(Fault::at(entry.name, 0, "the segment is missing"));
            }
            segments
                .restore(*entry, Stage::Closed)
                .ok_or_else(|| Fault::at(entry.name, 0, "its slot is taken"))?;
        }
        // Only of verified headers: a name alone can be anybody's. Names of failed openings are of other epochs.
        let mut sequence = head.next_sequence;
        for stretch in &chain.stretches {
            let SegmentHeader { slot, name, salt, .. } = stretch.header;
            sequence = sequence.max(name.sequence.saturating_add(1));
            // One that was made and never used is a leftover; its slot may have been used again.
            if !chain.links.iter().any(|link| self.is_in(chain, link, name)) {
                continue;
            }
            match segments.get_mut(slot) {
                Some(known) if known.name == name && known.salt == salt => known.used = stretch.end,
                Some(_) => return Err(Fault::at(name, 0, "its slot is taken")),
                None => {
                    let entry = SegmentEntry {
                        slot,
                        live: 0,
                        used: stretch.end,
                        name,
                        salt,
                    };
                    segments
                        .restore(entry, Stage::Closed)
                        .ok_or_else(|| Fault::at(name, 0, "its slot is out of range"))?;
                }
            }
        }
        let last = chain.links.last();
        Ok(Found {
            head: *head,
            map: Map::new(head.geometry.blocks, &checkpoint.pages, self.memory.pages),
            segments,
            last: last.map_or(head.end, |link| Mark {
                lsn: link.header.lsn,
                tag: link.tag,
            }),
            next_sequence: sequence,
            unproven: self.unproven(chain),
        })
    }

    fn unproven(&self, chain: &Chain) -> Vec<SegmentName> {
        let later = |index| {
            let mut links = chain.links.iter().rev();
            links.any(|link: &Link| link.segment == index && link.header.lsn > chain.proven)
        };
        let stretches = chain.stretches.iter().enumerate();
        stretches
            .filter(|(index, _)| later(*index))
            .map(|(_, stretch)| stretch.header.name)
            .collect()
    }

    fn is_in(&self, chain: &Chain, link: &Link, name: SegmentName) -> bool {
        chain
            .stretches
            .get(link.segment)
            .is_some_and(|stretch| stretch.header.name == name)
    }

    /// Does to the map what a record did, extent by extent.
    fn replay(&self, found: &mut Found, chain: &Chain, link: &Link) -> Outcome {
        let slot = self.stretch(chain, link)?.header.slot;
        let mut places = link.header.places(link.offset);
        for extent in &link.header.extents {
            if extent.kind == Kind::Discard {
                self.forget(found, extent)?;
            }
            if !extent.kind.has_cells() {
                continue;
            }
            for (kind, number, offset) in places.by_ref().take(usize::from(extent.count)) {
                if kind == Kind::Data {
                    self.set(found, number, Place::new(slot, offset))?;
                }
            }
        }
        Ok(())
    }

    fn forget(&self, found: &mut Found, extent: &Extent) -> Outcome {
        let end = (extent.first + u64::from(extent.count)).min(self.head.geometry.blocks);
        let mut from = extent.first;
        while let Some(block) = found.map.next_mapped(from, end) {
            self.set(found, block, Place::NOWHERE)?;
            from = block + 1;
        }
        Ok(())
    }

    fn set(&self, found: &mut Found, block: u64, place: Place) -> Outcome {
        if block >= self.head.geometry.blocks {
            return Err(Fault::corrupt(
                format_args!("block {block}"),
                "it is beyond the end of the disk",
            ));
        }
        if let Some((number, at)) = found.map.missing(block..block + 1) {
            let page = read_page(self.store, &mut found.segments, number, at)?;
            found.map.admit(number, at, page);
        }
        let before = found.map.set(block, place);
        if before == place {
            return Ok(());
        }
        if !before.is_nowhere() {
            found.segments.lose(before.slot());
        }
        if !place.is_nowhere() {
            found.segments.gain(place.slot());
        }
        Ok(())
    }
}
