//! `cofferdam-disk-lives [COUNT [SEED]]`: that many lives, from that seed on; prints the seeds that fail.

use cofferdam_disk_sim::lives::lead;
use indicatif::{ProgressBar, ProgressStyle};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).map(|word| word.parse::<u64>());
    let (count, seed) = match (words.next(), words.next(), words.next()) {
        (None, ..) => (10_000, 1),
        (Some(Ok(count)), None, _) => (count, 1),
        (Some(Ok(count)), Some(Ok(seed)), None) => (count, seed),
        _ => {
            eprintln!("usage: cofferdam-disk-lives [COUNT [SEED]]");
            return ExitCode::from(2);
        }
    };
    let bar = ProgressBar::new(count);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} lives, {eta} left") {
        bar.set_style(style);
    }
    let report = lead(seed, count, || bar.inc(1));
    bar.finish_and_clear();
    let tale = report.tale;
    println!(
        "{count} lives from seed {seed}: {} operations, {} recoveries, {} times damaged; {} went wrong",
        tale.operations,
        tale.recoveries,
        tale.damages,
        report.failures.len()
    );
    for failure in &report.failures {
        println!("seed {}: {}", failure.seed, failure.what);
    }
    if report.failures.is_empty() {
        return ExitCode::SUCCESS;
    }
    ExitCode::FAILURE
}
