//! Reading everything, offline: every block that the map has, every record of every segment. Never writes.

use super::{
    Options,
    open::{check_epochs, read_head},
    recover::Recovery,
    scan::{Scan, open_segment},
};
use crate::{
    fault::{Fault, Outcome},
    format::{head::Head, page::PAGE_BLOCKS, record::Kind},
    geometry::{Place, SegmentName, Slot},
    keys::{Keys, Ring},
    log::Found,
    store::Store,
};

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where.
    pub place: String,
    /// What.
    pub what: String,
    /// Whether the disk's content is hurt: a block that cannot be read any more.
    pub hurts: bool,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Check {
    /// Segments on the store that the volume needs.
    pub segments: u32,
    /// Bytes of records in them.
    pub bytes: u64,
    /// Cells that the disk's content needs, all verified.
    pub live: u64,
    /// Cells that nothing needs any more.
    pub dead: u64,
    /// Cells that the disk's content needs and that do not verify.
    pub damaged: u64,
    /// Segments that are left over.
    pub leftovers: u32,
    /// Everything that is wrong, in the order of the store.
    pub findings: Vec<Finding>,
}

impl Check {
    /// Whether everything is as it was written.
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Reads a whole volume; `progress` is told how many of how many bytes are read.
///
/// # Errors
/// What keeps the volume from being opened at all: the head, the checkpoint, the chain since then, the witness.
pub fn check(
    store: &impl Store,
    keys: impl Into<Keys>,
    options: &Options,
    mut progress: impl FnMut(u64, u64),
) -> Outcome<Check> {
    let (head, keys) = Head::decode(&read_head(store)?, &keys.into())?;
    check_epochs(store, &keys, &head)?;
    let mut found = Recovery {
        store,
        keys: &keys,
        head: &head,
        witness: options.witness.as_ref(),
        memory: options.memory,
    }
    .run()?;
    let mut check = Check::default();
    let needed: Vec<_> = found
        .segments
        .iter()
        .map(|(slot, segment)| (slot, segment.name, segment.used, segment.live))
        .collect();
    let all = needed.iter().map(|(_, _, used, _)| u64::from(*used)).sum();
    let listed = store.list().map_err(Fault::store("list the segments"))?;
    check.leftovers = u32::try_from(listed.len().saturating_sub(needed.len())).unwrap_or(u32::MAX);
    check.segments = u32::try_from(needed.len()).unwrap_or(u32::MAX);
    let mut lost = Vec::new();
    let mut sorted = needed;
    sorted.sort_unstable_by_key(|(_, name, ..)| name.sequence);
    for (slot, name, used, live) in sorted {
        let mut walk = Walk {
            store,
            keys: &keys,
            found: &mut found,
            check: &mut check,
            slot,
            name,
            lost: &mut lost,
        };
        walk.segment(used, live)?;
        check.bytes += u64::from(used);
        progress(check.bytes, all);
    }
    Ok(check)
}

/// One segment's turn.
struct Walk<'a, S> {
    store: &'a S,
    keys: &'a Ring,
    found: &'a mut Found,
    check: &'a mut Check,
    slot: Slot,
    name: SegmentName,
    /// Pages of the map that cannot be read.
    lost: &'a mut Vec<u32>,
}

impl<S: Store> Walk<'_, S> {
    fn segment(&mut self, used: u32, live: u32) -> Outcome {
        let (geometry, volume) = (self.found.head.geometry, self.found.head.volume);
        if open_segment(self.store, self.keys, self.name, volume)?.is_none() {
            // Blocks are read by what the checkpoint knows of the segment; this still should not be.
            self.note(0, "the segment's header is not what was written", false);
        }
        let sealer = self.found.segments.sealer(self.slot)?;
        let mut scan = Scan::new(self.store, self.name, &sealer, used);
        let mut offset = geometry.align;
        let mut previous = None;
        let (mut seen, mut torn) = (0, false);
        while offset < used {
            let Some((header, tag)) = scan.header(offset)? else {
                if !torn {
                    self.note(offset, "a record's header does not verify", false);
                }
                torn = true;
                offset += geometry.align;
                previous = None;
                continue;
            };
            torn = false;
            if previous.is_some_and(|tag| tag != header.previous) {
                self.note(offset, "a record does not follow the one before it", false);
            }
            previous = Some(tag);
            seen += self.record(&scan, offset, &header)?;
            offset += header.length;
        }
        // Live cells whose record's header is gone cannot be told one by one: the count tells.
        let lost = u64::from(live).saturating_sub(seen);
        if lost > 0 {
            self.check.damaged += lost;
            self.note(0, "live cells lie in records that cannot be read", true);
        }
        Ok(())
    }

    /// Verifies a record's cells; answers how many are live.
    fn record(
        &mut self,
        scan: &Scan<'_, S>,
        offset: u32,
        header: &crate::format::record::RecordHeader,
    ) -> Outcome<u64> {
        let places: Vec<_> = header.places(offset).collect();
        let mut live = Vec::with_capacity(places.len());
        for (kind, number, place) in &places {
            live.push(self.is_live(*kind, *number, Place::new(self.slot, *place))?);
        }
        let count = live.iter().filter(|live| **live).count() as u64;
        let whole = scan.cells(offset, header, |_, _, _, _| Ok(()));
        match whole {
            Ok(()) => {
                self.check.live += count;
                self.check.dead += live.len() as u64 - count;
            }
            Err(Fault::Corrupt { .. }) => self.one_by_one(scan, &places, &live)?,
            Err(fault) => return Err(fault),
        }
        Ok(count)
    }

    fn one_by_one(&mut self, scan: &Scan<'_, S>, places: &[(Kind, u64, u32)], live: &[bool]) -> Outcome {
        for ((kind, number, place), live) in places.iter().zip(live) {
            match (scan.cell(*kind, *number, *place), live) {
                (Ok(()), true) => self.check.live += 1,
                (Ok(()), false) => self.check.dead += 1,
                (Err(Fault::Corrupt { .. }), live) => {
                    self.check.damaged += u64::from(*live);
                    self.check.dead += u64::from(!*live);
                    let what = match kind {
                        Kind::Data => format!("block {number} does not verify"),
                        _ => "a cell of the log's own does not verify".to_owned(),
                    };
                    self.note(*place, &what, *live);
                }
                (Err(fault), _) => return Err(fault),
            }
        }
        Ok(())
    }

    fn is_live(&mut self, kind: Kind, number: u64, place: Place) -> Outcome<bool> {
        match kind {
            Kind::Data => {
                if let Some((page, at)) = self.found.map.missing(number..number + 1)
                    && !self.load(page, at)?
                {
                    return Ok(false);
                }
                Ok(self.found.map.get(number) == place)
            }
            Kind::Page => {
                Ok(u32::try_from(number).is_ok_and(|page| self.found.map.page_place(page) == place))
            }
            Kind::Discard | Kind::Checkpoint | Kind::Close => Ok(false),
        }
    }

    /// Takes in a page of the map; false where it cannot be read: that is noted once.
    fn load(&mut self, page: u32, at: Place) -> Outcome<bool> {
        if self.lost.contains(&page) {
            return Ok(false);
        }
        match super::read::read_page(self.store, &mut self.found.segments, page, at) {
            Ok(loaded) => {
                self.found.map.admit(page, at, loaded);
                Ok(true)
            }
            Err(Fault::Corrupt { place, .. }) => {
                self.lost.push(page);
                let first = u64::from(page) * PAGE_BLOCKS;
                self.check.findings.push(Finding {
                    place,
                    what: format!(
                        "the map of blocks {first} to {} does not verify: none of them can be read",
                        first + PAGE_BLOCKS - 1
                    ),
                    hurts: true,
                });
                Ok(false)
            }
            Err(fault) => Err(fault),
        }
    }

    fn note(&mut self, offset: u32, what: &str, hurts: bool) {
        self.check.findings.push(Finding {
            place: format!("segment {} at byte {offset}", self.name),
            what: what.to_owned(),
            hurts,
        });
    }
}
