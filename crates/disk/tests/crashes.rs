//! Short histories, with a crash at each of their acts in turn: the state after recovery is that of one moment, at
//! the last flush or later, and the volume goes on from there.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use cofferdam_disk::{Geometry, Memory};
use cofferdam_disk_sim::{
    random::Random,
    session::{Ground, Op, Opening, Session, Went},
};
use proptest::prelude::*;

const BLOCKS: usize = 2500;

/// Tiny segments, as little memory as may be.
fn ground(align: u32) -> Ground {
    Ground {
        geometry: Geometry::new(BLOCKS as u64, 64 << 10, align).unwrap(),
        memory: Memory { buffers: 2, pages: 4 },
        room: usize::MAX,
    }
}

fn op() -> impl Strategy<Value = Op> {
    // Near each other, so that they overwrite each other; across the border of a page of the map, so that it counts.
    let range = (0..60_usize, prop_oneof![3 => 1..6_usize, 1 => 1..60_usize])
        .prop_map(|(first, count)| (800 + first, count));
    prop_oneof![
        6 => range.clone().prop_map(|(first, count)| Op::Write { first, count }),
        1 => (0..BLOCKS - 300, 1..=300_usize).prop_map(|(first, count)| Op::Write { first, count }),
        2 => range.clone().prop_map(|(first, count)| Op::Discard { first, count }),
        1 => Just(Op::Discard { first: 0, count: BLOCKS }),
        1 => range.prop_map(|(first, count)| Op::Read { first, count }),
        4 => Just(Op::Flush),
        2 => Just(Op::Settle),
        2 => Just(Op::Tend),
        1 => Just(Op::Close),
        1 => Just(Op::Kill),
        1 => Just(Op::Check),
    ]
}

/// Does the operations until the process dies, or all of them where it died while it opened the volume again.
fn run(session: &mut Session, ops: &[Op]) -> Result<(), TestCaseError> {
    for op in ops {
        let went = session.apply(*op)?;
        if session.store.is_dead() {
            break;
        }
        session.audit()?;
        if went == Went::Down {
            session.recover(&Opening::default())?;
        }
    }
    Ok(())
}

/// The whole history with a death at act `crash_at`; then openings that die at `deaths`; then, now and again, the same
/// operations once more. Answers whether the history was long enough for its death.
fn live(ops: &[Op], align: u32, crash_at: u64, deaths: &[(u64, bool)]) -> Result<bool, TestCaseError> {
    let mut session = Session::create(ground(align), Random::new(crash_at + 1))?;
    session.order_death(crash_at);
    run(&mut session, ops)?;
    let died = !session.is_to_die();
    session.call_off();
    let opening = Opening {
        power: true,
        deaths: deaths.to_vec(),
        with_witness: true,
        with_arena: false,
    };
    session.recover(&opening)?;
    session.audit()?;
    if crash_at.is_multiple_of(3) {
        run(&mut session, ops)?;
        session.apply(Op::Close)?;
        session.recover(&Opening::default())?;
    }
    Ok(died)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn a_crash_at_any_act_leaves_one_moment(
        ops in proptest::collection::vec(op(), 1..16),
        align in prop_oneof![Just(512), Just(4096)],
    ) {
        let mut last = 0;
        for act in 0.. {
            // Every second opening dies as well, each time at another act.
            let deaths = [(act / 2 % 9, true)];
            let died = live(&ops, align, act, &deaths[..usize::try_from(act % 2).unwrap()])?;
            if !died {
                break;
            }
            last = act;
        }
        // Every act of the opening after it, and of the one after that.
        for death in 0..10 {
            for power in [true, false] {
                live(&ops, align, last / 2, &[(death, power), (9 - death, power)])?;
            }
        }
    }
}
