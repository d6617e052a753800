//! Damage: bits that flip, segments that are dropped, swapped, doubled or taken from an older copy, whole stores put
//! back. What must come of it: an error that names a place, or the right data. Never a mix, never anything else.

use crate::{
    Wrong,
    medium::Medium,
    oracle::{Oracle, content},
    random::Random,
    session::{Ground, KeyState, everything, options},
    store::{Faults, SimStore},
};
use cofferdam_disk::{BLOCK, Fault, Volume, Witness, geometry::SegmentName, volume::check::check};

/// What was done to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// One bit of one segment is another.
    Bit,
    /// Many bits are.
    Bits,
    /// A bit of the head is another.
    Head,
    /// A segment is gone.
    Dropped,
    /// A segment's end is gone.
    Cut,
    /// Two segments have each other's bytes.
    Swapped,
    /// A segment's bytes are also there under another name.
    Doubled,
    /// A segment is as it was in an older copy, or as it became where that was written to elsewhere.
    Older,
    /// A sector is what it was in an older copy, or zeros.
    Sector,
}

impl Damage {
    /// All of them.
    pub const ALL: [Damage; 9] = [
        Damage::Bit,
        Damage::Bits,
        Damage::Head,
        Damage::Dropped,
        Damage::Cut,
        Damage::Swapped,
        Damage::Doubled,
        Damage::Older,
        Damage::Sector,
    ];

    /// Does it; false where there is nothing to do it to.
    pub fn inflict(self, medium: &mut Medium, older: &Medium, random: &mut Random) -> bool {
        let names: Vec<_> = medium.segments.keys().copied().collect();
        if names.is_empty() {
            return false;
        }
        // More often one of the newest, where the log ends.
        let newest = &names[names.len().saturating_sub(6)..];
        let some = if random.percent(50) { newest } else { &names };
        let (name, other) = (random.pick(some), random.pick(&names));
        match self {
            Damage::Bit => flip(medium, name, random),
            Damage::Bits => {
                for _ in 0..=random.below(40) {
                    flip(medium, random.pick(&names), random);
                }
                true
            }
            Damage::Head => medium.head.as_mut().is_some_and(|head| {
                let at = random.index(head.len());
                head[at] ^= 1 << random.below(8);
                true
            }),
            Damage::Dropped => medium.segments.remove(&name).is_some(),
            Damage::Cut => medium.segments.get_mut(&name).is_some_and(|body| {
                let length = random.index(body.bytes.len());
                body.bytes.truncate(length);
                true
            }),
            Damage::Swapped => {
                let (one, two) = (medium.segments.remove(&name), medium.segments.remove(&other));
                medium.segments.extend(one.map(|body| (other, body)));
                medium.segments.extend(two.map(|body| (name, body)));
                name != other
            }
            Damage::Doubled => {
                let body = medium.segments.get(&name).cloned().unwrap_or_default();
                let new = SegmentName {
                    epoch: other.epoch + random.below(2),
                    sequence: other.sequence + random.below(3),
                };
                medium.segments.insert(new, body);
                new != name
            }
            Damage::Older => match older.segments.get(&name) {
                Some(body) => {
                    let before = medium.segments.insert(name, body.clone());
                    before.is_none_or(|before| before.bytes != body.bytes)
                }
                None => false,
            },
            Damage::Sector => medium.segments.get_mut(&name).is_some_and(|body| {
                let start = random.index(body.bytes.len() / 512) * 512;
                let place = &mut body.bytes[start..start + 512];
                match older.segments.get(&name).filter(|_| random.percent(50)) {
                    Some(old) => place.copy_from_slice(&old.bytes[start..start + 512]),
                    None => place.fill(0),
                }
                true
            }),
        }
    }
}

fn flip(medium: &mut Medium, name: SegmentName, random: &mut Random) -> bool {
    medium.segments.get_mut(&name).is_some_and(|body| {
        // More often where something is written than in the empty end.
        let end = body
            .bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(1, |last| last + 1);
        let end = if random.percent(20) { 96.min(end) } else { end };
        let at = random.index(end);
        body.bytes[at] ^= 1 << random.below(8);
        true
    })
}

/// Another future of a copy: it is opened and written to elsewhere, under the same key, and has segments of the same
/// names with other contents.
///
/// # Errors
/// What the engine did wrong.
pub fn fork(ground: &Ground, keys: KeyState, copy: Medium, random: &mut Random) -> Result<Medium, Wrong> {
    let store = SimStore::new(copy);
    for _ in 0..=random.below(2) {
        let process = store.again(Faults::default());
        let Ok(volume) = Volume::open(process, keys.keys()?, &options(ground, None)) else {
            break;
        };
        for _ in 0..random.below(12) {
            let blocks = volume.size() / BLOCK as u64;
            let (block, stamp) = (random.index(usize::try_from(blocks).unwrap_or(1)), random.bits());
            for done in [
                volume.write((block * BLOCK) as u64, &content(block, stamp)),
                volume.flush(),
            ] {
                if let Err(fault) = done {
                    expected(&fault, "write")?;
                }
            }
        }
    }
    let medium = store.medium().clone();
    Ok(medium)
}

/// A store that has been damaged, and what it would have to hold.
#[derive(Debug)]
pub struct Victim<'a> {
    /// What it stands on.
    pub ground: &'a Ground,
    /// What is known of its keys.
    pub keys: KeyState,
    /// The damaged store; nobody has it open.
    pub medium: Medium,
    /// What it held.
    pub oracle: &'a Oracle,
    /// What is remembered of it, if anything is.
    pub witness: Option<Witness>,
    /// How far back it may go without a witness.
    pub back: Back,
}

/// How far back a store without a witness may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Back {
    /// By what nothing proves: the last flush.
    LastFlush,
    /// To any moment.
    Ever,
}

impl Victim<'_> {
    /// Opens it, reads everything, goes on using it.
    ///
    /// # Errors
    /// What the engine did wrong.
    pub fn judge(self) -> Result<(), Wrong> {
        let options = options(self.ground, self.witness);
        let store = SimStore::new(self.medium.clone());
        let offline = check(&store, self.keys.keys()?, &options, |_, _| {});
        let volume = match Volume::open(store.again(Faults::default()), self.keys.keys()?, &options) {
            Ok(volume) => volume,
            Err(fault) => {
                if offline.is_ok() && !matches!(fault, Fault::Full) {
                    return Err(Wrong::new(format!("check opens what open does not: {fault}")));
                }
                return expected(&fault, "open");
            }
        };
        let check =
            offline.map_err(|fault| Wrong::new(format!("open opens what check does not: {fault}")))?;
        let read = everything(&volume, true)?;
        self.explain(&read)?;
        let lost = read.iter().filter(|stamp| stamp.is_none()).count() as u64;
        if lost > 0 && (check.is_sound() || !check.findings.iter().any(|finding| finding.hurts)) {
            return Err(Wrong::new(format!(
                "check did not see that {lost} blocks are lost"
            )));
        }
        self.use_further(&volume, read)
    }

    fn explain(&self, read: &[Option<u64>]) -> Result<(), Wrong> {
        match (self.witness, self.back) {
            (Some(_), _) => self.oracle.explains(read),
            (None, Back::LastFlush) => self.oracle.explains_but_for_the_last_flush(read),
            (None, Back::Ever) => self.oracle.explains_ever(read),
        }
        .map(|_| ())
    }

    /// Upkeep and writes on a damaged volume: what was readable stays what it was.
    fn use_further(&self, volume: &Volume<SimStore>, mut read: Vec<Option<u64>>) -> Result<(), Wrong> {
        let mut oracle = self.oracle.clone();
        for round in 0..4 {
            let block = round * 7 % read.len();
            let stamp = oracle.fresh();
            match volume.write((block * BLOCK) as u64, &content(block, stamp)) {
                Ok(()) => read[block] = Some(stamp),
                Err(fault) => expected(&fault, "write")?,
            }
            for done in [volume.flush(), volume.tend().map(|_| ())] {
                if let Err(fault) = done {
                    expected(&fault, "flush or upkeep")?;
                }
            }
        }
        let again = everything(volume, true)?;
        for (block, (before, after)) in read.iter().zip(&again).enumerate() {
            if after.is_some() && after != before {
                return Err(Wrong::new(format!(
                    "block {block} was {before:?} and became {after:?}"
                )));
            }
            if after.is_none() && before.is_some() {
                return Err(Wrong::new(format!("block {block} was lost by using the volume")));
            }
        }
        Ok(())
    }
}

/// Damage is answered with an error that says so.
fn expected(fault: &Fault, act: &str) -> Result<(), Wrong> {
    match fault {
        Fault::Corrupt { .. }
        | Fault::RolledBack { .. }
        | Fault::WrongKey
        | Fault::PreviousKey
        | Fault::Full => Ok(()),
        fault => Err(Wrong::new(format!("{act} of a damaged store: {fault}"))),
    }
}
