//! The keeper: what nobody flushes is flushed, and what was flushed is remembered, within its rhythm of a second; also after
//! it has slept, and also of discards.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on must stop")]

use cofferdam_disk::{
    BLOCK, Geometry, Volume, Witness,
    geometry::Lsn,
    volume::{Keeper, Options},
};
use cofferdam_disk_sim::{medium::Medium, random::Random, session::key, store::SimStore};
use std::{
    sync::{Arc, Mutex},
    thread::sleep,
    time::{Duration, Instant},
};

/// Far more than the rhythm: this machine may be busy.
const LONG: Duration = Duration::from_secs(20);

/// Long enough for the keeper to have nothing left to wait for.
const STILL: Duration = Duration::from_millis(2500);

type Told = Arc<Mutex<Vec<Witness>>>;

/// Waits until the newest witness is this far.
fn told_of(told: &Told, lsn: Lsn) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < LONG {
        if told
            .lock()
            .unwrap()
            .last()
            .is_some_and(|witness| witness.lsn() >= lsn)
        {
            return true;
        }
        sleep(Duration::from_millis(20));
    }
    false
}

#[test]
fn what_nobody_flushes_is_flushed_and_remembered_also_after_a_rest() {
    let store = SimStore::new(Medium::new(usize::MAX, Random::new(1)));
    let geometry = Geometry::new(4096, 256 << 10, 512).unwrap();
    let volume = Arc::new(Volume::create(store, key().unwrap(), geometry, &Options::default()).unwrap());
    let told = Told::default();
    let keeper = {
        let told = Arc::clone(&told);
        Keeper::start(
            Arc::clone(&volume),
            Box::new(move |witness| told.lock().unwrap().push(witness)),
        )
        .unwrap()
    };
    for round in 0..3 {
        let before = volume.witness().lsn();
        if round == 1 {
            volume.discard(0, BLOCK as u64).unwrap();
        } else {
            volume.write(0, &[7; BLOCK]).unwrap();
        }
        assert!(told_of(&told, before.next()), "round {round}");
        sleep(STILL);
    }
    // Flushed by somebody else: the keeper only has to say so.
    volume.write(0, &[8; BLOCK]).unwrap();
    volume.flush().unwrap();
    assert!(told_of(&told, volume.witness().lsn()));
    sleep(STILL);
    let count = told.lock().unwrap().len();
    sleep(STILL);
    assert_eq!(
        told.lock().unwrap().len(),
        count,
        "nothing is told while nothing happens"
    );
    keeper.stop();
}
