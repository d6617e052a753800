//! A real PostgreSQL with its data directory on a volume: its own user, another uid, stops, kills, checksums.

use super::{Scene, cases};
use crate::{
    Outcome, Ran,
    command::same,
    failure::ensure,
    postgres_image::{self, IMAGE},
    process::until,
};
use std::time::Duration;

cases!("postgres":
    a_real_database_lives_through_stops_other_uids_and_a_kill,
);

/// The name of the server's container.
pub(super) const SERVER: &str = "pg";

/// Starts the server, under its own user or another, and waits until it answers.
pub(super) fn start(scene: &Scene, volume: &str, user: &[&str]) -> Outcome {
    let mount = format!("{volume}:/data");
    let mut line = vec![
        "run",
        "--detach",
        "--name",
        SERVER,
        "--runtime",
        "cofferdam",
        "--volume",
        &mount,
    ];
    line.extend(user);
    line.push(IMAGE);
    scene.docker(&line)?.ok()?;
    let answered = until("PostgreSQL answers", Duration::from_secs(60), || {
        client(scene, &["psql", "--command", "select 1"]).is_ok_and(|ran| ran.is_ok())
    });
    if let Err(failure) = answered {
        let logs = scene.docker(&["logs", SERVER])?.said();
        return Err(crate::Failure::new(format!("{failure}\n{logs}")));
    }
    Ok(())
}

/// A client in a container of its own that holds no volume and shares the server's loopback.
pub(super) fn client(scene: &Scene, argv: &[&str]) -> Outcome<Ran> {
    let network = format!("container:{SERVER}");
    let mut line = vec![
        "run",
        "--rm",
        "--network",
        &network,
        "--env",
        "PGHOST=127.0.0.1",
        "--env",
        "PGUSER=postgres",
        IMAGE,
    ];
    line.extend(argv);
    scene.docker(&line)
}

pub(super) fn ask(scene: &Scene, question: &str) -> Outcome<String> {
    Ok(client(
        scene,
        &["psql", "--tuples-only", "--no-align", "--command", question],
    )?
    .ok()?
    .text())
}

/// Ends the server and removes its container, so that the next start is a new one.
pub(super) fn stop(scene: &Scene) -> Outcome {
    scene.docker(&["stop", "--time", "60", SERVER])?.ok()?;
    scene.docker(&["rm", SERVER])?.ok()?;
    scene.nothing_is_held()
}

/// Every page's checksum, by PostgreSQL's own tool, as an app of its own that may only read.
pub(super) fn verify_checksums(scene: &Scene, volume: &str) -> Outcome {
    let ran = scene
        .run(volume, &[], IMAGE, &["pg_checksums", "--check", "--pgdata=/data"])?
        .ok()?;
    ran.says(&["Bad checksums:  0", "Data checksum version: 1"])?;
    Ok(())
}

fn a_real_database_lives_through_stops_other_uids_and_a_kill(scene: &mut Scene) -> Outcome {
    postgres_image::import(scene.host)?;
    let volume = scene.volume("pgdata", &["--size", "10G"])?;
    let server = scene.app("postgres", IMAGE, &[])?;
    scene.grant(&volume, &server, &[])?;
    let verifier = scene.app(
        "verify",
        IMAGE,
        &["--", "pg_checksums", "--check", "--pgdata=/data"],
    )?;
    scene.grant(&volume, &verifier, &["--read-only"])?;

    start(scene, &volume, &[])?;
    client(scene, &["pgbench", "-i", "-s", "10", "--quiet"])?.ok()?;
    same(
        "accounts",
        ask(scene, "select count(*) from pgbench_accounts")?,
        "1000000".to_owned(),
    )?;
    client(scene, &["pgbench", "--client", "4", "--time", "3"])?.ok()?;
    // A thief with the same image and another command gets nothing while it runs, nor after.
    scene
        .run(&volume, &[], IMAGE, &["sh", "-c", "cat /data/PG_VERSION"])?
        .refused(&["cofferdam:"])?;
    stop(scene)?;
    verify_checksums(scene, &volume)?;

    for user in [&["--user", "4321:4321"][..], &["--user", "1000"], &[]] {
        start(scene, &volume, user)?;
        same(
            "accounts",
            ask(scene, "select count(*) from pgbench_accounts")?,
            "1000000".to_owned(),
        )?;
        client(scene, &["pgbench", "--client", "2", "--time", "1"])?.ok()?;
        stop(scene)?;
    }

    start(scene, &volume, &["--user", "4321:4321"])?;
    let network = format!("container:{SERVER}");
    let load = [
        "run",
        "--rm",
        "--network",
        &network,
        "--env",
        "PGHOST=127.0.0.1",
        "--env",
        "PGUSER=postgres",
        IMAGE,
        "pgbench",
        "--client",
        "4",
        "--time",
        "30",
    ];
    let load = crate::command::start(&scene.host.command("docker", &load))?;
    until("pgbench writes", Duration::from_secs(20), || {
        ask(scene, "select count(*) > 100 from pgbench_history").is_ok_and(|answer| answer == "t")
    })?;
    scene.docker(&["kill", "--signal", "KILL", SERVER])?.ok()?;
    let ended = load.end()?;
    ensure(!ended.is_ok(), || format!("pgbench did not notice: {ended:?}"))?;
    scene.docker(&["rm", "--force", SERVER])?.ok()?;
    scene.nothing_is_held()?;

    start(scene, &volume, &[])?;
    // Every transaction adds the same amount to an account, a teller and a branch.
    let consistent = "select (select sum(abalance) from pgbench_accounts) = (select sum(bbalance) from pgbench_branches) \
        and (select sum(tbalance) from pgbench_tellers) = (select sum(bbalance) from pgbench_branches)";
    same(
        "the books balance after the kill",
        ask(scene, consistent)?,
        "t".to_owned(),
    )?;
    stop(scene)?;
    verify_checksums(scene, &volume)
}
