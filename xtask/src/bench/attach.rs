//! What the wrapper and the daemon add to `create`: with one volume that is already open, and without any.
//!
//! Each run of ours is followed by one of plain runc on the same bundle, so that both see the same machine.

use super::{
    bundle::Caught,
    sample::Sample,
    table::{Row, Table},
};
use e2e::{Host, Outcome};

/// Runs of each.
const RUNS: usize = 200;

/// Runs that warm the caches and are not counted.
const WARM: usize = 5;

pub(crate) fn run(host: &mut Host, table: &mut Table, quick: bool) -> Outcome {
    let runs = if quick { RUNS / 10 } else { RUNS };
    for line in [
        &["tenant", "create", "bench"][..],
        &["volume", "create", "bench.shared", "--access", "shared"],
        &[
            "app",
            "create",
            "bench.keeper",
            "--image",
            "tiny:1",
            "--",
            "/bin/keep",
        ],
        &["app", "create", "bench.app", "--image", "tiny:1"],
        &["grant", "bench.shared", "bench.keeper"],
        &["grant", "bench.shared", "bench.app"],
    ] {
        host.cofferdam(line)?.ok()?;
    }
    // Holds the volume open throughout.
    let keep = [
        "run",
        "-d",
        "--runtime",
        "cofferdam",
        "-v",
        "bench.shared:/data",
        "tiny:1",
        "/bin/keep",
    ];
    let keeper = host.docker(&keep)?.ok()?.text();
    measure(
        host,
        table,
        "with an open volume",
        &["-v", "bench.shared:/data", "tiny:1"],
        runs,
        Some((8.0, 20.0)),
    )?;
    measure(
        host,
        table,
        "without guarded mounts",
        &["tiny:1", "true"],
        runs,
        Some((2.0, f64::INFINITY)),
    )?;
    host.docker(&["rm", "--force", &keeper])?.ok()?;
    Ok(())
}

/// Rows for one kind of container; `limits` are what may be added, in ms: median and 99th percentile.
fn measure(
    host: &Host,
    table: &mut Table,
    what: &str,
    arguments: &[&str],
    runs: usize,
    limits: Option<(f64, f64)>,
) -> Outcome {
    let caught = Caught::new(host, arguments)?;
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    for number in 0..runs + WARM {
        let (through, direct) = (
            caught.create(host, "cofferdam-runtime")?,
            caught.create(host, "runc")?,
        );
        if number >= WARM {
            ours.push(through);
            plain.push(direct);
        }
    }
    caught.release()?;
    let (ours, plain) = (Sample::new(ours), Sample::new(plain));
    for (name, percent) in [("median", 50), ("p99", 99)] {
        let (our, theirs) = (ours.percentile(percent), plain.percentile(percent));
        table.push(Row::beside(format!("create {what}, {name}"), "ms", our, theirs));
        let limit = limits.map_or(
            f64::INFINITY,
            |(median, p99)| if percent == 50 { median } else { p99 },
        );
        if limit.is_finite() {
            let row = Row::alone(format!("  added to create {what}, {name}"), "ms", our - theirs);
            table.push(row.hold(our - theirs, limit));
        }
    }
    Ok(())
}
