//! Several threads at once on one volume: on a simulated store with crashes, and on a real directory.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on must stop"
)]

use cofferdam_disk::{
    Access, Directory, Geometry, Volume,
    volume::{Keeper, Options, check::check},
};
use cofferdam_disk_sim::{
    crowd::{Member, meet},
    random::Random,
    session::{key, stamps},
};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

/// Runs it in a thread of its own, so that threads that wait for each other for ever fail the test.
fn in_time(work: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let worker = std::thread::spawn(move || {
        work();
        done.send(()).unwrap();
    });
    match is_done.recv_timeout(Duration::from_secs(300)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        _ => worker.join().unwrap(),
    }
}

#[test]
fn each_thread_finds_its_own_after_a_crash() {
    in_time(|| {
        for seed in 0..60 {
            meet(seed).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}"));
        }
    });
}

const BLOCKS: usize = 16 << 10; // 64 MiB
const WRITERS: usize = 4;

fn options() -> Options {
    let mut options = Options::default();
    options.memory.buffers = 4;
    options.memory.pages = 8;
    options
}

fn open(path: &Path) -> Volume<Directory> {
    let store = Directory::open(path, Access::default()).unwrap();
    Volume::open(store, key().unwrap(), &options()).unwrap()
}

/// Writers on blocks of their own, readers on everybody's, the keeper. The members are answered.
fn life(volume: Arc<Volume<Directory>>, mut members: Vec<Member>) -> Vec<Member> {
    let keeper = Keeper::start(Arc::clone(&volume), Box::new(|_| ())).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for reader in 0..2 {
            let (volume, over) = (&volume, &over);
            scope.spawn(move || {
                let mut random = Random::new(reader);
                while !over.load(Ordering::SeqCst) {
                    let first = random.index(BLOCKS - 32);
                    // Whatever they hold meanwhile, each is a whole block of its own place.
                    stamps(volume, first..first + 1 + random.index(31))
                        .unwrap()
                        .unwrap();
                }
            });
        }
        let writers: Vec<_> = members
            .iter_mut()
            .map(|member| scope.spawn(|| assert!(!member.work(&volume, 700).unwrap())))
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        over.store(true, Ordering::SeqCst);
    });
    keeper.stop();
    assert!(volume.take_damage().is_empty());
    volume.audit().unwrap();
    members
}

#[test]
fn a_crowd_on_a_directory_survives_closing_and_sudden_ends() {
    in_time(|| {
        let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let path = scratch.path().join("v");
        let store = Directory::create(&path, Access::default()).unwrap();
        let geometry = Geometry::new(BLOCKS as u64, 512 << 10, store.alignment()).unwrap();
        let volume = Volume::create(store, key().unwrap(), geometry, &options()).unwrap();
        let share = BLOCKS / WRITERS;
        let mut members: Vec<_> = (0..WRITERS)
            .map(|n| {
                let hot = n * share..n * share + share / (n + 1);
                Member::new(hot, 1 + n * 20, Random::new(n as u64))
            })
            .collect();
        let mut volume = Arc::new(volume);
        for peace in [true, false, false, true] {
            members = life(Arc::clone(&volume), members);
            if peace {
                volume.close().unwrap();
                members.iter_mut().for_each(Member::flushed);
            }
            drop(volume);
            volume = Arc::new(open(&path));
            for member in &mut members {
                member.recovered(&volume).unwrap();
            }
        }
        volume.close().unwrap();
        drop(volume);
        let store = Directory::open_to_read(&path, Access::Buffered).unwrap();
        let found = check(&store, key().unwrap(), &options(), |_, _| {}).unwrap();
        assert!(found.is_sound(), "{found:?}");
    });
}
