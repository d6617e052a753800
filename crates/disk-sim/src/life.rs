//! A life, decided by a seed: what the disk is like, what is done with it, what fails when.

use crate::{
    Wrong,
    medium::Medium,
    oracle::Oracle,
    random::Random,
    rot::{Back, Damage, Victim, fork},
    session::{Ground, KeyState, Op, Opening, Session, Went},
    store::Faults,
};
use cofferdam_disk::{Geometry, Memory};

/// How a life went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tale {
    /// Operations.
    pub operations: u64,
    /// How often it went down and came up again.
    pub recoveries: u64,
    /// How often damage was done to it.
    pub damages: u64,
}

/// A copy of the store as it once was.
#[derive(Debug)]
struct Copy {
    medium: Medium,
    oracle: Oracle,
    keys: KeyState,
}

/// A life under way.
#[derive(Debug)]
struct Life {
    session: Session,
    random: Random,
    copies: Vec<Copy>,
    hot: usize,
    most: usize,
    /// Whether each write is settled, as servers do.
    settles: bool,
    tale: Tale,
}

/// Lives the life of a seed.
///
/// # Errors
/// What the engine did wrong, and after how many operations.
pub fn live(seed: u64) -> Result<Tale, Wrong> {
    let mut random = Random::new(seed);
    let ground = ground(&mut random);
    let session = Session::create(ground, random.fork())?;
    let blocks = session.oracle.blocks();
    let share = random.pick(&[100, 60, 20]);
    let mut life = Life {
        hot: (blocks * share / 100).max(1),
        most: random.pick(&[1, 8, 40, 300]),
        settles: random.percent(50),
        session,
        random,
        copies: Vec::new(),
        tale: Tale::default(),
    };
    let operations = 30 + life.random.below(120);
    while life.tale.operations < operations {
        let step = life.step();
        step.map_err(|wrong| {
            Wrong::new(format!(
                "operation {} after {} recoveries: {wrong}",
                life.tale.operations, life.tale.recoveries
            ))
        })?;
    }
    Ok(life.tale)
}

fn ground(random: &mut Random) -> Ground {
    let blocks = random.pick(&[40, 300, 1000, 2500, 9000]);
    let segment = random.pick(&[64 << 10, 64 << 10, 128 << 10, 256 << 10]);
    let align = random.pick(&[512, 512, 4096]);
    let geometry = Geometry::new(blocks, segment, align).unwrap_or(Geometry {
        blocks,
        segment,
        align,
    });
    let tight = random.percent(25);
    let full = blocks / u64::from(geometry.cells()) + 14;
    let room = if tight {
        full * (30 + random.below(80)) / 100
    } else {
        u64::MAX
    };
    Ground {
        geometry,
        memory: Memory {
            buffers: 2 + random.index(3),
            pages: 4,
        },
        room: usize::try_from(room).unwrap_or(usize::MAX).max(14),
    }
}

impl Life {
    fn step(&mut self) -> Result<(), Wrong> {
        self.tale.operations += 1;
        if self.random.percent(6) {
            self.order();
        }
        if self.random.percent(5) {
            self.copy();
        }
        let op = self.op();
        let mut went = self.session.apply(op)?;
        if went == Went::On && self.settles && matches!(op, Op::Write { .. }) {
            went = self.session.apply(Op::Settle)?;
        }
        if self.random.percent(15) {
            self.session.audit()?;
        }
        if went == Went::Down {
            self.down(op)?;
        }
        Ok(())
    }

    fn order(&mut self) {
        let after = 1 + self.random.below(40);
        let mut faults = Faults::default();
        match self.random.below(10) {
            0 => faults.write_error_at = Some(after),
            1 => faults.read_error_at = Some(after * 3),
            2 => faults.make_error_at = Some(after / 8),
            _ => faults.crash_at = Some(after),
        }
        self.session.order(faults);
    }

    fn op(&mut self) -> Op {
        let blocks = self.session.oracle.blocks();
        let end = if self.random.percent(85) { self.hot } else { blocks };
        let first = self.random.index(end);
        let count = 1 + self.random.index(self.most).min(blocks - first - 1);
        match self.random.below(100) {
            0..50 => Op::Write { first, count },
            50..58 => Op::Discard {
                first,
                count: (count * 4).min(blocks - first),
            },
            58..70 => Op::Read { first, count },
            70..84 => Op::Flush,
            84..88 => Op::Tend,
            88..92 => Op::TendOnce,
            92..94 => Op::Close,
            94..96 => Op::Crash,
            96..98 => Op::Kill,
            98 if self.random.percent(50) => Op::Rotate,
            98 if self.random.percent(40) => Op::Grow {
                blocks: blocks + 1 + self.random.index(blocks / 4 + 1),
            },
            _ => Op::Check,
        }
    }

    fn copy(&mut self) {
        let mut medium = self.session.store.medium().clone();
        medium.crash();
        let oracle = self.session.oracle.clone();
        if self.copies.len() >= 3 {
            self.copies.remove(0);
        }
        let keys = self.session.keys();
        self.copies.push(Copy { medium, oracle, keys });
    }

    fn down(&mut self, op: Op) -> Result<(), Wrong> {
        // A process may die of itself, or with the power.
        let dead = self.session.store.is_dead();
        let power = op == Op::Crash || dead && self.random.percent(60);
        if power && dead {
            self.session.store.medium().crash();
        }
        if self.random.percent(25) {
            self.damage()?;
        }
        if self.random.percent(15) {
            self.roll_back()?;
        }
        let mut deaths = Vec::new();
        while self.random.percent(25) {
            deaths.push((self.random.below(12), self.random.percent(50)));
        }
        let opening = Opening {
            power,
            deaths,
            with_witness: self.random.percent(50),
            with_arena: self.random.percent(40),
        };
        self.tale.recoveries += 1;
        self.session.recover(&opening)?;
        self.session.audit()
    }

    /// Damages a copy of the store, which the life does not go on with.
    fn damage(&mut self) -> Result<(), Wrong> {
        // A bit more often than all else: it is what happens of itself.
        let damage = if self.random.percent(30) {
            Damage::Bit
        } else {
            self.random.pick(&Damage::ALL)
        };
        let mut medium = self.session.store.medium().clone();
        let mut older = self.copies.first().map_or(&medium, |copy| &copy.medium).clone();
        if matches!(damage, Damage::Older | Damage::Sector) && self.random.percent(60) {
            let keys = self.copies.first().map_or(self.session.keys(), |copy| copy.keys);
            older = fork(&self.session.ground, keys, older, &mut self.random)?;
        }
        if !damage.inflict(&mut medium, &older, &mut self.random) {
            return Ok(());
        }
        self.tale.damages += 1;
        let witness = self.session.witness.filter(|_| self.random.percent(70));
        let slight = damage == Damage::Bit && self.session.ground.room > 1000;
        let victim = Victim {
            ground: &self.session.ground,
            keys: self.session.keys(),
            medium,
            oracle: &self.session.oracle,
            witness,
            back: if slight { Back::LastFlush } else { Back::Ever },
        };
        let judged = victim.judge();
        judged.map_err(|wrong| Wrong::new(format!("{damage:?} (witness: {}): {wrong}", witness.is_some())))
    }

    /// Puts an old copy of the whole store in its place.
    fn roll_back(&mut self) -> Result<(), Wrong> {
        let Some(copy) = self.copies.first() else {
            return Ok(());
        };
        self.tale.damages += 1;
        let witness = self.session.witness.filter(|_| self.random.percent(70));
        let victim = Victim {
            ground: &self.session.ground,
            // Who has forgotten the witness may have the keys of then, too.
            keys: witness.map_or(copy.keys, |_| self.session.keys()),
            medium: copy.medium.clone(),
            // With a witness only what is now is right; without, what was then.
            oracle: witness.map_or(&copy.oracle, |_| &self.session.oracle),
            witness,
            back: Back::LastFlush,
        };
        let judged = victim.judge();
        judged.map_err(|wrong| Wrong::new(format!("an old copy (witness: {}): {wrong}", witness.is_some())))
    }
}
