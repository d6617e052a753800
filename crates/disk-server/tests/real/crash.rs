//! Supervisor and worker end at once, as in a crash: errors, never a hang; and what was flushed is there afterwards.

use crate::ground::{alone, volume};
use e2e::{disk::crash::Crashes, failure::ensure};

/// How often; `cargo xtask soak` does it for as long as one likes.
const ROUNDS: usize = 3;

#[test]
fn what_was_flushed_outlives_a_crash() {
    alone(|place| {
        let seed = u64::from(std::process::id());
        println!("seed {seed}");
        let mut crashes = Crashes::begin(volume(place, "1G")?, seed)?;
        for _ in 0..ROUNDS {
            let promises = crashes.round()?;
            ensure(promises > 0, || "nothing was written".to_owned())?;
        }
        Ok(())
    });
}
