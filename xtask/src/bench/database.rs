//! PostgreSQL in Docker on a sealed volume, beside a volume of Docker's own and beside gocryptfs: TPC-B, as pgbench has it.

use super::sealed_disk::pgbench::tps;
use super::table::{Row, Table};
use e2e::{
    Host, Outcome,
    command::{finish, run},
    failure::During,
    postgres_image::{self, IMAGE},
    process::until,
};
use std::{path::PathBuf, process::Command, time::Duration};

/// How often each is measured, in turns.
const REPETITIONS: usize = 3;

/// pgbench's scale: 100,000 accounts each.
const SCALE: u32 = 20;

/// Clients that work at the same time.
const CLIENTS: &str = "4";

/// Each run, in seconds.
const SECONDS: u32 = 30;

/// The server's container.
const SERVER: &str = "bench-pg";

/// Where the data lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Sealed,
    Local,
    Gocryptfs,
}

/// In the order in which they take turns.
const PLACES: [Place; 3] = [Place::Sealed, Place::Local, Place::Gocryptfs];

pub(crate) fn measure_all(host: &mut Host, table: &mut Table, quick: bool) -> Outcome {
    postgres_image::import(host)?;
    host.cofferdam(&["tenant", "create", "database"])?.ok()?;
    host.cofferdam(&["app", "create", "database.postgres", "--image", IMAGE])?
        .ok()?;
    let (scale, seconds, repetitions) = if quick {
        (2, 5, 1)
    } else {
        (SCALE, SECONDS, REPETITIONS)
    };
    let mut rates = [const { Vec::new() }; PLACES.len()];
    for _ in 0..repetitions {
        for (place, rates) in PLACES.into_iter().zip(&mut rates) {
            rates.push(measure(host, place, scale, seconds)?);
        }
    }
    let [ours, local, gocryptfs] = rates.map(median);
    let (to_local, to_gocryptfs) = (ours / local, ours / gocryptfs);
    let row = Row::alone("PostgreSQL in Docker, TPC-B, 4 clients", "tps", ours)
        .rival("a volume of Docker's own", local, Some(to_local))
        .rival("gocryptfs", gocryptfs, Some(to_gocryptfs));
    let holds = to_local >= 0.6 && to_gocryptfs >= 1.5;
    table.push(row.promise("≥ 0.6 × local, ≥ 1.5 × gocryptfs".to_owned(), Some(holds)));
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}

/// A new database in this place: made, filled, worked on, removed.
fn measure(host: &Host, place: Place, scale: u32, seconds: u32) -> Outcome<f64> {
    let source = prepare(host, place)?;
    let mount = format!("{source}:/data");
    let runtime = match place {
        Place::Sealed => "cofferdam",
        Place::Local | Place::Gocryptfs => "runc",
    };
    let line = [
        "run",
        "--detach",
        "--name",
        SERVER,
        "--runtime",
        runtime,
        "--volume",
        &mount,
        IMAGE,
    ];
    host.docker(&line)?.ok()?;
    let rate = work(host, scale, seconds).during(host.docker(&["logs", SERVER])?.said());
    host.docker(&["stop", "--time", "60", SERVER])?.ok()?;
    host.docker(&["rm", SERVER])?.ok()?;
    put_away(host, place)?;
    rate
}

fn work(host: &Host, scale: u32, seconds: u32) -> Outcome<f64> {
    until("PostgreSQL answers", Duration::from_secs(120), || {
        client(host, &["psql", "--command", "select 1"]).is_ok()
    })?;
    client(host, &["pgbench", "-i", "-s", &scale.to_string(), "--quiet"])?;
    client(host, &["psql", "--command", "checkpoint"])?;
    let seconds = seconds.to_string();
    let work = ["pgbench", "--client", CLIENTS, "--jobs", "2", "--time", &seconds];
    let report = client(host, &work)?;
    tps(&report).during(report)
}

/// A client in the server's own container would be an exec; so in one of its own, which shares the server's loopback.
fn client(host: &Host, argv: &[&str]) -> Outcome<String> {
    let network = format!("container:{SERVER}");
    let mut line = vec!["run", "--rm", "--network", &network, "--env", "PGHOST=127.0.0.1"];
    line.extend(["--env", "PGUSER=postgres", IMAGE]);
    line.extend(argv);
    Ok(host.docker(&line)?.ok()?.out)
}

/// What Docker is told to mount.
fn prepare(host: &Host, place: Place) -> Outcome<String> {
    match place {
        Place::Sealed => {
            host.cofferdam(&["volume", "create", "database.data", "--size", "10G"])?
                .ok()?;
            host.cofferdam(&["grant", "database.data", "database.postgres"])?
                .ok()?;
            Ok("database.data".to_owned())
        }
        Place::Local => Ok("bench-local".to_owned()),
        Place::Gocryptfs => {
            let places = Gocryptfs::of(host);
            places.mount(host)?;
            Ok(places.plain.join("data").to_string_lossy().into_owned())
        }
    }
}

fn put_away(host: &Host, place: Place) -> Outcome {
    match place {
        Place::Sealed => until("nobody holds the volume", Duration::from_secs(20), || {
            host.cofferdam(&["volume", "rm", "database.data", "--yes"])
                .is_ok_and(|ran| ran.is_ok())
        }),
        Place::Local => host.docker(&["volume", "rm", "bench-local"])?.ok().map(drop),
        Place::Gocryptfs => Gocryptfs::of(host).remove(),
    }
}

/// gocryptfs as its package comes, on the filesystem that Docker's and our volumes lie on.
struct Gocryptfs {
    all: PathBuf,
    cipher: PathBuf,
    plain: PathBuf,
    secret: PathBuf,
}

impl Gocryptfs {
    fn of(host: &Host) -> Self {
        let all = host.scratch().join("gocryptfs");
        Gocryptfs {
            cipher: all.join("cipher"),
            plain: all.join("plain"),
            secret: all.join("secret"),
            all,
        }
    }

    fn command(&self) -> Command {
        let mut command = Command::new("gocryptfs");
        command.arg("-q").arg("-passfile").arg(&self.secret);
        command
    }

    fn mount(&self, host: &Host) -> Outcome {
        std::fs::create_dir_all(&self.cipher)?;
        std::fs::create_dir_all(&self.plain)?;
        std::fs::write(&self.secret, "not a secret\n")?;
        let mut init = self.command();
        init.args(["-init", "-scryptn", "10"]).arg(&self.cipher);
        finish(&init)?.ok()?;
        let mut mount = self.command();
        mount
            .args(["-nosyslog", "-allow_other"])
            .arg(&self.cipher)
            .arg(&self.plain);
        finish(&mount)?.ok()?;
        // The image's own user makes the cluster there.
        let ids = host
            .docker(&["run", "--rm", IMAGE, "sh", "-c", "echo $(id -u):$(id -g)"])?
            .ok()?
            .text();
        let data = self.plain.join("data");
        std::fs::create_dir(&data)?;
        run("chown", &[ids.as_str(), &data.to_string_lossy()])?
            .ok()
            .map(drop)
    }

    fn remove(&self) -> Outcome {
        run("umount", &[&self.plain.to_string_lossy().into_owned()])?.ok()?;
        std::fs::remove_dir_all(&self.all)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_one_is_the_median() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![7.0]), 7.0);
    }
}
