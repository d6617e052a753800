//! Judges for as long as one likes: simulated lives of the sealed disk, and fuzzing of all that parses what others wrote.
//!
//! Fuzzing needs no nightly compiler: libFuzzer's instrumentation is asked of the stable one by its own options, as
//! cargo-fuzz does with `--sanitizer none`. A sanitizer would look for faults of memory, which code without `unsafe` has
//! not.

use crate::{
    build::{cargo, repository, target},
    totals::Totals,
};
use e2e::{Failure, Outcome, failure::During, progress::step};
use std::{path::Path, process::Command};

/// What makes the compiler count which branches were taken.
const INSTRUMENTED: &str = "--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 \
    -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Build scripts must not be instrumented: with a target named, they are not.
fn triple() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// Leads `count` simulated lives, those of the seeds from `seed` on.
///
/// # Errors
/// Where one goes wrong; its seed has been printed.
pub(crate) fn lives(count: u64, seed: u64) -> Outcome {
    let (count, seed) = (count.to_string(), seed.to_string());
    cargo(&[
        "run",
        "--quiet",
        "--package",
        "cofferdam-disk-sim",
        "--bin",
        "cofferdam-disk-lives",
        "--",
        &count,
        &seed,
    ])
}

/// Seconds for each target where all that is asked is whether what is kept surprises none, and what comes to mind at once.
const BRIEFLY: u64 = 3;

/// Fuzzes every target briefly, whatever the first one finds.
///
/// # Errors
/// Where they do not build.
pub(crate) fn fuzz_briefly() -> Outcome<Totals> {
    let mut totals = Totals::default();
    each(None, |one| {
        let ended = one(BRIEFLY);
        if let Err(failure) = &ended {
            eprintln!("{failure}");
        }
        totals += Totals::one(ended.is_ok());
        Ok(())
    })?;
    Ok(totals)
}

/// Fuzzes one target, or each in turn.
///
/// # Errors
/// Where one is surprised: the bytes that did it are named.
pub(crate) fn fuzz(only: Option<&str>, seconds: u64) -> Outcome {
    each(only, |one| one(seconds))
}

/// Builds the targets, and has `work` fuzz one, or each in turn, for so many seconds.
fn each(only: Option<&str>, mut work: impl FnMut(&dyn Fn(u64) -> Outcome) -> Outcome) -> Outcome {
    let place = target()?.join("fuzz");
    let corpus = place.join("corpus");
    std::fs::create_dir_all(&corpus)?;
    step("building the fuzz targets", || build(&place))?;
    let seeds = corpus.display().to_string();
    cargo(&[
        "run",
        "--quiet",
        "--package",
        "cofferdam-disk-sim",
        "--bin",
        "cofferdam-disk-seeds",
        "--",
        &seeds,
    ])?;
    let kept = repository().join("fuzz/corpus");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&kept)? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    names.retain(|name| only.is_none_or(|only| only == name));
    if names.is_empty() {
        return Err(Failure::new("there is no such target; see fuzz/fuzz_targets"));
    }
    for name in names {
        work(&|seconds| step(&name, || one(&place, &name, &kept, seconds)))?;
    }
    Ok(())
}

fn build(work: &Path) -> Outcome {
    let status = Command::new("cargo")
        .args(["build", "--quiet", "--release", "--target", &triple()])
        .current_dir(repository().join("fuzz"))
        .env("CARGO_TARGET_DIR", work)
        .env("RUSTFLAGS", INSTRUMENTED)
        .status()
        .during("cargo build")?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new("the fuzz targets do not build"))
}

fn one(work: &Path, name: &str, kept: &Path, seconds: u64) -> Outcome {
    // Not every target has seeds besides what is kept.
    std::fs::create_dir_all(work.join("corpus").join(name))?;
    let status = Command::new(work.join(triple()).join("release").join(name))
        .arg(work.join("corpus").join(name))
        .arg(kept.join(name))
        .arg(format!("-max_total_time={seconds}"))
        .arg("-max_len=5000")
        // What takes ten seconds or a gigabyte for five thousand bytes is a surprise as well.
        .arg("-timeout=10")
        .arg("-rss_limit_mb=1024")
        .arg("-verbosity=0")
        .arg(format!("-artifact_prefix={}/{name}-", work.display()))
        .status()
        .during(name)?;
    if status.success() {
        return Ok(());
    }
    let message = format!("{name} was surprised; the bytes are in {}", work.display());
    Err(Failure::new(message))
}
