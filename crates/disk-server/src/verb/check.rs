//! `check`: reads a whole disk offline and verifies it; writes nothing.

use crate::{arguments::Check, key_file, opened, problem::of_fault, witness_file::WitnessFile};
use cofferdam_disk::volume::{Options, check::check};
use cofferdam_model::{ByteSize, Result};
use indicatif::{ProgressBar, ProgressStyle};
use std::process::ExitCode;

/// Does it; the exit code is 1 where something is damaged.
///
/// # Errors
/// What keeps the disk from being read at all.
pub(crate) fn run(line: &Check, json: bool) -> Result<ExitCode> {
    let keys = key_file::read_keys(&line.keys)?.into_keys();
    let witness = line.witness.witness.as_deref().map(WitnessFile::at).transpose()?;
    let store = opened::store_to_read(&line.store)?;
    let options = Options {
        witness: witness.as_ref().map(WitnessFile::read).transpose()?.flatten(),
        ..Options::default()
    };
    let bar = ProgressBar::new(0);
    bar.set_style(style());
    let found = check(&store, keys, &options, |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let found = found.map_err(of_fault)?;
    if json {
        let findings: Vec<_> = found
            .findings
            .iter()
            .map(|finding| serde_json::json!({ "place": finding.place, "what": finding.what, "hurts": finding.hurts }))
            .collect();
        let answer = serde_json::json!({
            "sound": found.is_sound(),
            "segments": found.segments,
            "bytes": found.bytes,
            "live": found.live,
            "dead": found.dead,
            "damaged": found.damaged,
            "leftovers": found.leftovers,
            "findings": findings,
        });
        println!("{answer}");
    } else {
        for finding in &found.findings {
            println!("{}: {}", finding.place, finding.what);
        }
        println!(
            "{} segments, {} read: {} cells live, {} dead, {} damaged; {}",
            found.segments,
            ByteSize::bytes(found.bytes),
            found.live,
            found.dead,
            found.damaged,
            if found.is_sound() {
                "sound"
            } else {
                "DAMAGED: restore from a copy what is hurt"
            },
        );
    }
    Ok(ExitCode::from(u8::from(!found.is_sound())))
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{bar:40} {bytes} of {total_bytes}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
