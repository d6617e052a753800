//! A worker that ends or hangs is followed by another: users see a pause, never an error.

use crate::{
    ground::{alone, volume},
    load::{copy_until, fio_until, tree},
};
use e2e::{
    Outcome,
    disk::{ledger::Random, volume::CACHES},
    failure::ensure,
};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

/// As many as a minder forgives within five minutes.
const KILLS: usize = 5;

#[test]
fn users_see_nothing_of_a_worker_that_is_killed() {
    for cache in CACHES {
        users_see_nothing(cache);
    }
}

fn users_see_nothing(cache: &'static [&'static str]) {
    alone(|place| {
        let volume = volume(place, "1G")?;
        let mut server = volume.serve(cache)?;
        let (source, mount) = (place.directory("tree")?, &volume.mount);
        tree(&source)?;
        let enough = &AtomicBool::new(false);
        thread::scope(|scope| -> Outcome {
            let fio = scope.spawn(|| fio_until(mount, 24, enough));
            let copy = scope.spawn(|| copy_until(&source, mount, enough));
            let mut random = Random::seeded(u64::from(std::process::id()));
            let killed = (0..KILLS).try_for_each(|_| {
                // Now and then at once: one that has not taken over yet may be killed too.
                thread::sleep(Duration::from_millis(random.below(3) * random.below(1000)));
                server.kill_worker()
            });
            enough.store(true, Ordering::SeqCst);
            let failed = "a user's thread panicked";
            fio.join().expect(failed)?;
            copy.join().expect(failed)?;
            killed
        })?;
        server.stop()?;
        let successions = server.log().matches("another one takes over").count();
        ensure(successions == KILLS, || server.log())?;
        volume.is_sound()
    });
}
