//! The one command that passes all tests on a fresh machine.

use crate::{
    build::{self, cargo_command, target},
    check, judge, outside,
    totals::Totals,
};
use e2e::{Outcome, failure::During, ground, progress::step, suite};
use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

/// Ground, checks, brief fuzzing, unit and golden tests, end-to-end cases, totals: a later part runs also where an earlier
/// one failed.
pub(crate) fn run(filter: &str, install: bool) -> Outcome<u8> {
    ground::prepare(install)?;
    ground::prepare_disk_tests(install)?;
    let mut totals = if filter.is_empty() {
        check::run(install)?
    } else {
        Totals::default()
    };
    if filter.is_empty() {
        totals += step("fuzzing, briefly", judge::fuzz_briefly)?;
    }
    totals += step("unit and golden tests", || unit_tests(filter))?;
    totals += step("end-to-end cases", || end_to_end(filter))?;
    println!("{totals}");
    Ok(totals.exit_code())
}

/// `cargo test`, its lines passed on as they come and its results counted.
fn unit_tests(filter: &str) -> Outcome<Totals> {
    let mut child = cargo_command(&[
        "test",
        "--workspace",
        "--no-fail-fast",
        "--features",
        build::THOROUGH,
        "--",
        filter,
    ])
    .stdout(Stdio::piped())
    .spawn()
    .during("cargo test")?;
    let mut totals = Totals::default();
    let lines = child.stdout.take().during("cargo's output")?;
    for line in BufReader::new(lines).lines() {
        let line = line?;
        println!("{line}");
        totals += Totals::in_line(&line).unwrap_or_default();
    }
    let ended_well = child.wait()?.success();
    if !ended_well && totals.failed == 0 {
        eprintln!("cargo test failed before its tests ran");
        totals += Totals::one(false);
    }
    Ok(totals)
}

/// The cases run in another process; their counts come back in a file.
fn end_to_end(filter: &str) -> Outcome<Totals> {
    let report = target()?.join("images").join(suite::REPORT);
    match std::fs::remove_file(&report) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    build::for_tests()?;
    let code = outside::suite(filter)?;
    let Ok(text) = std::fs::read_to_string(&report) else {
        eprintln!("the cases ended early, with code {code}");
        return Ok(Totals::one(false));
    };
    let counts: suite::Report = serde_json::from_str(&text)?;
    Ok(Totals {
        passed: counts.passed,
        failed: counts.failed,
    })
}
