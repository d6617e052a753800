//! Two processes on one store, as where a store is shared and nothing locks it: from the second one's opening on, the
//! first acknowledges nothing, and nothing of it counts.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on must stop"
)]

use cofferdam_disk::{Fault, Geometry, Memory, Volume};
use cofferdam_disk_sim::{
    oracle::content,
    random::Random,
    session::{Ground, Op, Session, everything, key, options},
    store::{Faults, SimStore},
};
use std::sync::{Arc, Mutex};

/// What the second process saw and holds.
struct Second {
    volume: Volume<SimStore>,
    saw: Vec<Option<u64>>,
}

fn ground() -> Ground {
    Ground {
        geometry: Geometry::new(2000, 64 << 10, 512).unwrap(),
        memory: Memory { buffers: 3, pages: 4 },
        room: usize::MAX,
    }
}

fn history() -> Vec<Op> {
    let mut ops = Vec::new();
    for round in 0..12 {
        let first = round * 37 % 900;
        ops.extend([
            Op::Write {
                first,
                count: 1 + round * 3,
            },
            Op::Flush,
        ]);
        ops.extend([Op::Write { first: 0, count: 9 }, Op::TendOnce]);
        ops.extend([
            Op::Discard {
                first: first + 1,
                count: 2,
            },
            Op::Flush,
        ]);
    }
    ops.extend([Op::Tend, Op::Close]);
    ops
}

/// The first lives its history; at its act `at` the second opens. Answers whether it came to that.
fn intrude(at: u64) -> bool {
    let mut first = Session::create(ground(), Random::new(at)).unwrap();
    let second = Arc::new(Mutex::new(None));
    let other = first.store.again(Faults::default());
    let place = Arc::clone(&second);
    first.store.intrude(at, move || {
        let volume = Volume::open(other, key().unwrap(), &options(&ground(), None)).unwrap();
        let saw = everything(&volume, false).unwrap();
        *place.lock().unwrap() = Some(Second { volume, saw });
    });
    for op in history() {
        let before = first.oracle.clone();
        // What it says of its own end is judged below; a wrong read would be an error here too.
        let went = first.apply(op);
        let Some(second) = second.lock().unwrap().take() else {
            went.unwrap();
            continue;
        };
        // All that was acknowledged before is there; what was under way may be.
        let saw = before.explains(&second.saw).or_else(|wrong| {
            let after = first.oracle.explains(&second.saw);
            after.map_err(|_| format!("act {at}, {op:?}, went {went:?}: {wrong}"))
        });
        saw.unwrap();
        stays_away(&first, &second);
        return true;
    }
    false
}

/// Neither what the first does from now on, nor what it has not yet done, changes anything for the second.
fn stays_away(first: &Session, second: &Second) {
    let zombie = first.volume();
    if let Ok(zombie) = zombie {
        for block in 0..3 {
            drop(zombie.write(block * 4096, &content(0, 1 << 40)));
            let flushed = zombie.flush();
            assert!(
                matches!(flushed, Err(Fault::Fenced | Fault::Failed | Fault::Store { .. })),
                "acknowledged: {flushed:?}"
            );
            drop(zombie.tend());
        }
        assert!(zombie.close().is_err());
    }
    assert_eq!(everything(&second.volume, false).unwrap(), second.saw);
    second.volume.write(0, &content(0, 77)).unwrap();
    second.volume.flush().unwrap();
    let third = first.store.again(Faults::default());
    let third = Volume::open(
        third,
        key().unwrap(),
        &options(&ground(), Some(second.volume.witness())),
    )
    .unwrap();
    let mut expected = second.saw.clone();
    expected[0] = Some(77);
    assert_eq!(everything(&third, false).unwrap(), expected);
    assert!(matches!(second.volume.flush(), Err(Fault::Fenced)));
}

#[test]
fn whoever_is_fenced_acknowledges_nothing() {
    let mut at = 0;
    while intrude(at) {
        at += 1;
    }
    assert!(at > 60, "only {at} acts");
}
