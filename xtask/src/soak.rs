//! `soak`: one sealed disk, crashed again and again under load, for as long as one likes.
//!
//! Each round serves it, writes from several threads, now and then kills a worker alone, kills all of it at once,
//! checks the store, mounts it again, compares every promise that was made, and has e2fsck look at it.

use crate::build;
use e2e::{
    Outcome,
    disk::{Place, Volume, crash::Crashes},
    failure::During,
    ground,
};
use std::{
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

/// How long a round may take: against hangs only.
const ROUND: Duration = Duration::from_secs(15 * 60);

/// For how long, and how.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// How long, in minutes; the round that runs then is finished.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Size of the disk: the smaller, the more is cleaned.
    #[arg(long, default_value = "256M")]
    size: String,
    /// Repeats another run, as far as the scheduler does.
    #[arg(long)]
    seed: Option<u64>,
    /// Install nothing; say what is missing instead.
    #[arg(long)]
    no_install: bool,
}

/// Does it.
///
/// # Errors
/// The first thing that was lost, hung, or was not sound.
pub(crate) fn run(options: Options) -> Outcome<u8> {
    ground::prepare_disk_tests(!options.no_install)?;
    build::disk_server()?;
    let target = build::target()?;
    let program = std::path::absolute(target.join("release/cofferdam-disk"))?;
    let parent = std::path::absolute(target.join("soak"))?;
    let time = Duration::from_secs(options.minutes * 60);
    Place::with(&parent, time + ROUND, move |place| {
        crash_for(time, place, program, &options)
    })?;
    Ok(0)
}

fn crash_for(time: Duration, place: &Place, program: PathBuf, options: &Options) -> Outcome {
    let seed = match options.seed {
        Some(seed) => seed,
        None => SystemTime::UNIX_EPOCH.elapsed()?.as_secs(),
    };
    println!("seed {seed}");
    let volume = Volume::create(place, &program, &options.size)?;
    let begun = Instant::now();
    let mut crashes = Crashes::begin(volume, seed)?;
    let mut promises = 0;
    for round in 1.. {
        promises += crashes
            .round()
            .during(format_args!("seed {seed}, round {round}"))?;
        println!(
            "round {round}: {promises} promises compared, all kept; {} s",
            begun.elapsed().as_secs()
        );
        if begun.elapsed() >= time {
            break;
        }
    }
    Ok(())
}
