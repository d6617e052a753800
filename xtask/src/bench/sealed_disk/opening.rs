//! How long a clean volume takes to open: ours of two sizes, and gocryptfs, which has no size.

use super::{
    contestants::{Contestant, Kind, Workshop},
    ext4::Ext4,
    figures::Figures,
    mounts,
    noise::Noise,
    plan::{GIB, Plan},
    promises::Subject,
};
use e2e::{Outcome, failure::During, progress::step};
use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::FileExt,
    path::Path,
};

/// Directories, each of which ext4 puts into another region of the disk, with one file in each.
const DIRECTORIES: u64 = 256;

/// One block in so many is written again afterwards.
const TOUCHED: u64 = 16;

/// A block.
const BLOCK: usize = 4096;

/// Fills the volumes, then opens them in turn.
pub(crate) fn run(workshop: &Workshop, kinds: &[Kind], plan: &Plan, figures: &mut Figures) -> Outcome {
    let mut volumes = Vec::new();
    if kinds.contains(&Kind::Gocryptfs) {
        let both = vec![Subject::OpenSmall, Subject::OpenLarge];
        volumes.push((
            both,
            filled(Kind::Gocryptfs, "open-gocryptfs", 0, workshop, plan)?,
        ));
    }
    if kinds.contains(&Kind::Ours) {
        for (subject, size) in [(Subject::OpenSmall, 10), (Subject::OpenLarge, 100)] {
            let name = format!("open-{size}");
            let volume = filled(Kind::Ours, &name, size * GIB, workshop, plan)?;
            volumes.push((vec![subject], volume));
        }
    }
    for repetition in 1..=plan.repetitions {
        for _ in 0..plan.opens {
            for (subjects, volume) in &mut volumes {
                volume.close()?;
                mounts::sync(&volume.mount())?;
                mounts::drop_caches()?;
                let taken = volume.open()?.as_secs_f64() * 1e3;
                eprintln!(
                    "· {repetition}/{} open, {}: {taken:.1} ms",
                    plan.repetitions,
                    volume.kind()
                );
                for subject in subjects {
                    figures.add(*subject, volume.kind(), repetition, taken);
                }
            }
        }
    }
    volumes.into_iter().try_for_each(|(_, volume)| volume.remove())
}

fn filled(kind: Kind, name: &str, bytes: u64, workshop: &Workshop, plan: &Plan) -> Outcome<Contestant> {
    step(&format!("filling {name}"), || {
        let volume = Contestant::make(kind, name, bytes, &Ext4::usual(), workshop)?;
        fill(&volume.mount(), plan.open_bytes)?;
        mounts::sync(&volume.mount())?;
        Ok(volume)
    })
}

/// Stores so many bytes all over the disk, then writes single blocks of them again.
fn fill(mount: &Path, bytes: u64) -> Outcome {
    let mut noise = Noise::new(2);
    let size = bytes / DIRECTORIES;
    let mut buffer = vec![0; usize::try_from(size)?];
    for number in 0..DIRECTORIES {
        let path = path_of(mount, number);
        fs::create_dir(path.parent().during("a directory")?)?;
        noise.fill(&mut buffer);
        let file = File::create(&path)?;
        file.write_all_at(&buffer, 0)?;
        file.sync_data()?;
    }
    let block_bytes = u64::try_from(BLOCK)?;
    let blocks = size / block_bytes;
    for number in 0..DIRECTORIES {
        let file = OpenOptions::new().write(true).open(path_of(mount, number))?;
        for _ in 0..blocks / TOUCHED {
            let block = buffer.get_mut(..BLOCK).during("a block")?;
            noise.fill(block);
            file.write_all_at(block, noise.below(blocks) * block_bytes)?;
        }
    }
    Ok(())
}

fn path_of(mount: &Path, number: u64) -> std::path::PathBuf {
    mount.join(format!("d{number:03}")).join("file")
}
