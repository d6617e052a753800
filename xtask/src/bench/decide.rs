//! Decisions with 100,000 grants, and the daemon's memory: idle, and with as many.
//!
//! The decision is timed by the policy crate's own example, which prints one line of JSON.

use super::table::{Row, Table};
use e2e::{
    Failure, Host, Outcome, command::run as run_program, daemon::ADMIN, failure::During, http::request,
    progress::step,
};
use serde_json::{Value, json};
use std::{fs, path::Path, thread, time::Duration};

/// Volumes, and apps that may open each.
const SHAPE: (usize, usize) = (1000, 100);

pub(crate) fn run(host: &mut Host, table: &mut Table, examples: &Path, quick: bool) -> Outcome {
    let timed = run_program(examples.join("decide"), &[] as &[&str])?
        .ok()?
        .json()?;
    let number = |name: &str| timed.get(name).and_then(Value::as_f64).during(name.to_owned());
    let what = format!("decision with {} grants", number("grants")?);
    table.push(Row::alone(format!("{what}, p50"), "µs", number("p50_us")?));
    table.push(Row::alone(format!("{what}, p99"), "µs", number("p99_us")?).hold(number("p99_us")?, 200.0));

    host.daemon.stop()?;
    host.daemon.start()?;
    thread::sleep(Duration::from_secs(2));
    let idle = resident(host)?;
    table.push(Row::alone("idle daemon, resident", "MiB", idle).hold(idle, 30.0));

    let shape = if quick { (SHAPE.0 / 100, SHAPE.1) } else { SHAPE };
    let count = shape.0 * shape.1;
    step(&format!("making {count} grants through the API"), || {
        make_grants(shape)
    })?;
    let full = resident(host)?;
    table.push(Row::alone(format!("daemon with {count} grants, resident"), "MiB", full).hold(full, 200.0));
    host.daemon.stop()?;
    host.daemon.start()?;
    let again = resident(host)?;
    table.push(Row::alone("  the same after a restart", "MiB", again).hold(again, 200.0));
    Ok(())
}

/// Resident memory, in MiB (`VmRSS`, proc(5)).
pub(super) fn resident(host: &Host) -> Outcome<f64> {
    let status = fs::read_to_string(format!("/proc/{}/status", host.daemon.pid()?))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .during("VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}

fn make_grants((volumes, apps): (usize, usize)) -> Outcome {
    call("POST", "/v1/tenants", &json!({ "name": "many" }))?;
    let image = format!("sha256:{}", "5a".repeat(32));
    for app in 0..apps {
        call(
            "POST",
            "/v1/apps",
            &json!({ "name": format!("many.a{app}"), "image": image }),
        )?;
    }
    for volume in 0..volumes {
        let name = format!("many.v{volume}");
        call("POST", "/v1/volumes", &json!({ "name": name, "kind": "plain" }))?;
        for app in 0..apps {
            let grant = json!({ "volume": name, "app": format!("many.a{app}"), "write": true });
            call("PUT", "/v1/grants", &grant)?;
        }
    }
    Ok(())
}

fn call(method: &str, path: &str, body: &Value) -> Outcome {
    let answer = request(Path::new(ADMIN), method, path, body.to_string().as_bytes())?;
    if answer.status < 300 {
        return Ok(());
    }
    Err(Failure::new(format!("{method} {path} {body}: {answer:?}")))
}
