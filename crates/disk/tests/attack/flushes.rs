//! Flushes that wait while a store is slow: whoever asked goes its way, and is told by whoever ends what it waits for.

use crate::{
    errors::open_below,
    failing::{Failing, LONG, Request, Weather},
    world::{Content, create, open, scratch},
};
use cofferdam_disk::{Directory, Fault, Outcome, Volume};
use std::{
    io,
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    thread::{self, JoinHandle, ThreadId},
};

type Slow = Volume<Failing<Directory>>;

/// How a flush ended, and which thread said so.
type Told = Receiver<(Outcome, ThreadId)>;

fn ask(volume: &Slow) -> (Outcome, Told) {
    let (tell, told) = channel();
    let then = move |outcome| tell.send((outcome, thread::current().id())).unwrap();
    (volume.flush_then(Box::new(then)), told)
}

fn beside<T: Send + 'static>(
    volume: &Arc<Slow>,
    work: impl FnOnce(&Slow) -> T + Send + 'static,
) -> JoinHandle<T> {
    let volume = Arc::clone(volume);
    thread::spawn(move || work(&volume))
}

fn nobody_is_told(told: &[&Told]) {
    for told in told {
        assert!(told.try_recv().is_err(), "told while the store had not answered");
    }
}

#[test]
fn whoever_ends_an_append_syncs_and_tells_those_who_have_gone() {
    let scratch = scratch();
    let path = scratch.path().join("v");
    drop(create(&path));
    let weather = Weather::fair();
    let volume = Arc::new(open_below(&weather, &path).unwrap());
    let mut content = Content::empty();
    content.write(&volume, 0, 1, 1);
    // From here on a flush is expected, and what is written goes ahead of it.
    volume.flush().unwrap();
    content.write(&volume, 1, 1, 2);
    let gate = weather.holds(|request| matches!(request, Request::Append { .. }));
    let writer = beside(&volume, |volume| volume.settle());
    gate.wait_for_somebody();
    let (asked, told) = ask(&volume);
    asked.unwrap();
    nobody_is_told(&[&told]);
    let id = writer.thread().id();
    gate.open(Ok(()));
    let (outcome, by) = told.recv_timeout(LONG).unwrap();
    outcome.unwrap();
    assert_eq!(by, id, "the writer tells, and nobody else was there to");
    writer.join().unwrap().unwrap();
    drop(volume);
    content.compare(&open(&path)).unwrap();
}

#[test]
fn those_who_come_while_a_sync_is_under_way_are_told_after_one_of_their_own() {
    let scratch = scratch();
    let path = scratch.path().join("v");
    drop(create(&path));
    let weather = Weather::fair();
    let volume = Arc::new(open_below(&weather, &path).unwrap());
    let mut content = Content::empty();
    content.write(&volume, 0, 1, 1);
    let gate = weather.holds(|request| request == Request::Sync);
    let first = beside(&volume, ask);
    gate.wait_for_somebody();
    content.write(&volume, 5, 3, 2);
    let (asked, second) = ask(&volume);
    asked.unwrap();
    content.write(&volume, 9, 1, 3);
    let (asked, third) = ask(&volume);
    asked.unwrap();
    nobody_is_told(&[&second, &third]);
    gate.open(Ok(()));
    let (asked, first) = first.join().unwrap();
    asked.unwrap();
    for told in [first, second, third] {
        told.recv_timeout(LONG).unwrap().0.unwrap();
    }
    drop(volume);
    content.compare(&open(&path)).unwrap();
}

#[test]
fn a_sync_that_fails_is_told_to_all_who_wait() {
    let scratch = scratch();
    let path = scratch.path().join("v");
    drop(create(&path));
    let weather = Weather::fair();
    let volume = Arc::new(open_below(&weather, &path).unwrap());
    Content::empty().write(&volume, 0, 1, 1);
    let gate = weather.holds(|request| request == Request::Sync);
    let first = beside(&volume, ask);
    gate.wait_for_somebody();
    Content::empty().write(&volume, 5, 3, 2);
    let (asked, second) = ask(&volume);
    asked.unwrap();
    nobody_is_told(&[&second]);
    gate.open(Err(io::Error::from_raw_os_error(5)));
    let (asked, first) = first.join().unwrap();
    assert!(matches!(asked, Err(Fault::Store { .. })), "{asked:?}");
    let (asked, late) = ask(&volume);
    asked.unwrap();
    for told in [first, second, late] {
        let (outcome, _) = told.recv_timeout(LONG).unwrap();
        assert!(matches!(outcome, Err(Fault::Failed)), "{outcome:?}");
    }
}

#[test]
fn a_volume_that_is_closed_by_force_tells_those_who_wait() {
    let scratch = scratch();
    let path = scratch.path().join("v");
    drop(create(&path));
    let weather = Weather::fair();
    let volume = Arc::new(open_below(&weather, &path).unwrap());
    Content::empty().write(&volume, 0, 1, 1);
    let gate = weather.holds(|request| request == Request::Sync);
    let first = beside(&volume, ask);
    gate.wait_for_somebody();
    let (asked, second) = ask(&volume);
    asked.unwrap();
    volume.fail();
    let (outcome, _) = second.recv_timeout(LONG).unwrap();
    assert!(matches!(outcome, Err(Fault::Failed)), "{outcome:?}");
    gate.open(Ok(()));
    let (_, first) = first.join().unwrap();
    let (outcome, _) = first.recv_timeout(LONG).unwrap();
    assert!(matches!(outcome, Err(Fault::Failed)), "{outcome:?}");
}
