//! What sealed volumes cost a host: the first opening of one, and a thousand of them.

use super::{
    bundle::Caught,
    sample::Sample,
    table::{Row, Table},
};
use e2e::{Host, Outcome, failure::During, progress::step};
use std::{fs, time::Instant};

/// First openings that are timed.
const OPENINGS: usize = 30;

/// Volumes that are made.
const VOLUMES: usize = 1000;

/// How often they are listed.
const LISTINGS: usize = 10;

pub(crate) fn run(host: &mut Host, table: &mut Table, quick: bool) -> Outcome {
    let part = if quick { 10 } else { 1 };
    host.cofferdam(&["tenant", "create", "sealed"])?.ok()?;
    openings(host, table, OPENINGS / part)?;
    many(host, table, VOLUMES / part)
}

/// `create` with a volume of 10 GiB that nobody has open: deed, key, disk server, mount.
fn openings(host: &Host, table: &mut Table, count: usize) -> Outcome {
    for line in [
        &[
            "volume",
            "create",
            "sealed.first",
            "--size",
            "10G",
            "--access",
            "shared",
        ][..],
        &["app", "create", "sealed.app", "--image", "tiny:1"],
        &["grant", "sealed.first", "sealed.app"],
    ] {
        host.cofferdam(line)?.ok()?;
    }
    let options = ["-v", "sealed.first:/data", "tiny:1"];
    // Once, for its first content.
    let mut first = vec!["run", "--rm", "--runtime", "cofferdam"];
    first.extend(options);
    host.docker(&first)?.ok()?;
    let caught = Caught::new(host, &options)?;
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..count {
        closed(host)?;
        ours.push(caught.create(host, "cofferdam-runtime")?);
        plain.push(caught.create(host, "runc")?);
    }
    caught.release()?;
    let (ours, plain) = (Sample::new(ours), Sample::new(plain));
    let (our, theirs) = (ours.percentile(50), plain.percentile(50));
    table.push(Row::beside(
        "create with a sealed 10 GiB volume, closed, median",
        "ms",
        our,
        theirs,
    ));
    let row = Row::alone("  its first opening, median", "ms", our - theirs);
    table.push(row.hold(our - theirs, 60.0));
    Ok(())
}

/// Waits until the lease of the last round has ended and the volume is closed.
fn closed(host: &Host) -> Outcome {
    e2e::process::until("the volume is closed", std::time::Duration::from_secs(20), || {
        host.cofferdam(&["volume", "seal", "sealed.first"])
            .is_ok_and(|ran| ran.is_ok())
    })
}

fn many(host: &Host, table: &mut Table, count: usize) -> Outcome {
    let begun = Instant::now();
    step(&format!("making {count} sealed volumes"), || {
        (0..count).try_for_each(|number| {
            let name = format!("sealed.v{number}");
            host.cofferdam(&["volume", "create", &name, "--size", "64M"])?
                .ok()
                .map(drop)
        })
    })?;
    let each = begun.elapsed().as_secs_f64() * 1e3 / count as f64;
    table.push(Row::alone("making one sealed volume", "ms", each));
    let mut listings = Vec::new();
    for _ in 0..LISTINGS {
        let begun = Instant::now();
        host.cofferdam(&["volume", "ls"])?.ok()?;
        listings.push(begun.elapsed());
    }
    let listed = Sample::new(listings).percentile(50);
    table.push(Row::alone(format!("volume ls of {count}, median"), "ms", listed).hold(listed, 200.0));
    let resident = super::decide::resident(host)?;
    let what = format!("daemon with {count} sealed volumes, resident");
    table.push(Row::alone(what, "MiB", resident).hold(resident, 60.0));
    let servers = fs::read_dir("/run/cofferdam/servers")
        .during("the servers' sockets")?
        .count() as f64;
    table.push(Row::alone("  servers that run for them", "", servers).hold(servers, 0.0));
    Ok(())
}
