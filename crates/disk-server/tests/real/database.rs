//! PostgreSQL on the disk, which is crashed under it in the middle of pgbench: it recovers, and what was committed is
//! there.

use crate::ground::{alone, volume};
use e2e::{
    Failure, Outcome,
    command::start,
    disk::{Server, Volume, postgres::Postgres, volume::THROUGH},
    failure::{During, ensure},
    process::until,
};
use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader, Write},
    process::{ChildStdin, ChildStdout, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

/// Crashes.
const ROUNDS: usize = 2;

/// Transactions that are committed before something is killed.
const ENOUGH: usize = 40;

/// Against hangs only.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn no_committed_transaction_is_lost_in_a_crash() {
    alone(|place| {
        let volume = volume(place, "1G")?;
        let mut server = volume.serve(THROUGH)?;
        let found = Postgres::find(&volume.mount.join("pg"), &place.path("outside"))?;
        let Some(postgres) = found else {
            eprintln!("SKIPPED: PostgreSQL is not installed; on Debian: apt-get install postgresql");
            return Ok(());
        };
        postgres.initialise()?;
        let mut running = postgres.start()?;
        postgres
            .run("pgbench", &["--initialize", "--scale=4", "--quiet"])?
            .ok()?;
        postgres.query("create table promised (id bigint primary key)")?;
        postgres.query("create extension amcheck")?;
        let promises = Promises::default();
        for _ in 0..ROUNDS {
            crash_under_load(&postgres, &volume, &mut server, &promises)?;
            running.crash()?;
            // What PostgreSQL had started ends by itself.
            until("the mount is free", PATIENCE, || volume.unmount().is_ok())?;
            volume.store_is_sound()?;
            server = volume.serve(THROUGH)?;
            running = postgres.start()?;
            promises.are_kept(&postgres)?;
        }
        postgres
            .run(
                "pg_amcheck",
                &["--heapallindexed", "--parent-check", "--database=postgres"],
            )?
            .ok()?;
        running.stop()?;
        let data = postgres.data.to_string_lossy().into_owned();
        postgres
            .run("pg_checksums", &["--check", "--pgdata", &data])?
            .ok()?;
        server.stop()?;
        volume.is_sound()
    });
}

/// pgbench, a client that counts, a worker that is killed, which nobody may notice, and then all of it.
fn crash_under_load(
    postgres: &Postgres,
    volume: &Volume,
    server: &mut Server,
    promises: &Promises,
) -> Outcome {
    let mut load = postgres.command("pgbench");
    load.args(["--client=4", "--time=600", "--no-vacuum"]);
    let load = start(&load)?;
    thread::scope(|scope| -> Outcome {
        let client = scope.spawn(|| promises.make(postgres));
        let killed = promises
            .until_more(ENOUGH)
            .and_then(|()| server.kill_worker())
            .and_then(|()| promises.until_more(ENOUGH))
            .and_then(|()| server.kill());
        client.join().expect("the client's thread")?;
        killed
    })
    .during(format_args!("{}: {}", volume.store.display(), server.log()))?;
    // It ends when its server does.
    load.end().map(drop)
}

/// Transactions whose commit was reported.
#[derive(Default)]
struct Promises {
    next: AtomicU64,
    made: Mutex<Vec<u64>>,
}

impl Promises {
    /// Commits one after the other until PostgreSQL is gone.
    fn make(&self, postgres: &Postgres) -> Outcome {
        let mut child = postgres
            .command("psql")
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (to, from) = pipes.during("psql's pipes")?;
        self.talk(to, &mut BufReader::new(from));
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    fn talk(&self, mut to: ChildStdin, from: &mut BufReader<ChildStdout>) {
        loop {
            let id = self.next.fetch_add(1, Ordering::SeqCst);
            let mut answer = String::new();
            let asked = writeln!(to, "insert into promised values ({id}) returning id;");
            if asked.and_then(|()| from.read_line(&mut answer)).is_err() || answer.trim() != id.to_string() {
                return;
            }
            self.made.lock().unwrap().push(id);
        }
    }

    fn count(&self) -> usize {
        self.made.lock().unwrap().len()
    }

    fn until_more(&self, count: usize) -> Outcome {
        let enough = self.count() + count;
        until("transactions are committed", PATIENCE, || self.count() >= enough)
    }

    fn are_kept(&self, postgres: &Postgres) -> Outcome {
        let there: BTreeSet<u64> = postgres
            .query("select id from promised")?
            .lines()
            .map(|line| line.parse().map_err(Failure::from))
            .collect::<Outcome<_>>()?;
        let made = self.made.lock().unwrap();
        let lost: Vec<_> = made.iter().filter(|id| !there.contains(id)).collect();
        ensure(lost.is_empty(), || format!("lost: {lost:?} of {}", made.len()))
    }
}
