//! What a store takes on the disk, and its server in memory, after a volume that is 80 % full has been
//! overwritten at random with twice its size.
//!
//! Live data is what df(1) says is used in the volume: files and directories, not the inner journal, which
//! therefore counts against us.

use super::{
    acts::large_file,
    contestants::{Contestant, Kind, Workshop},
    ext4::Ext4,
    figures::Figures,
    fio::{Done, Job, gibibytes},
    mounts,
    plan::{MIB, Plan},
    promises::Subject,
};
use e2e::{Failure, Outcome, command::run as run_program, failure::During, progress::step};
use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

/// How often the store is looked at while it is written to.
const PACE: Duration = Duration::from_millis(500);

/// Measures ours; the rivals take what they hold.
pub(crate) fn run(workshop: &Workshop, plan: &Plan, figures: &mut Figures) -> Outcome {
    let mut add = |subject, value| figures.add(subject, Kind::Ours, 1, value);
    let size = plan.space_bytes;
    let mut volume = Contestant::make(Kind::Ours, "space", size, &Ext4::usual(), workshop)?;
    let empty = reopened(&mut volume)?;

    let file = large_file(&volume.mount());
    let filled = capacity(&volume.mount())? / 5 * 4 / MIB * MIB;
    step("filling a volume to 80 %", || {
        Job::sequential_write(filled).run(&file)
    })?;
    let (done, most) = step("overwriting it", || overwrite(&volume, &file, filled, 2 * size))?;
    mounts::sync(&volume.mount())?;
    let live = gibibytes(used(&volume.mount())?);
    add(Subject::Space, gibibytes(on_disk(&volume.store())?) / live);
    add(Subject::SpacePeak, gibibytes(most) / live);
    add(Subject::Overwrite, done.megabytes_per_second);
    add(Subject::OverwriteLongest, done.longest);

    let full = reopened(&mut volume)?;
    add(Subject::MapMemory, (full - empty).max(0.0) / live);
    volume.remove()
}

/// What a server that has just been started holds in memory, in MiB.
fn reopened(volume: &mut Contestant) -> Outcome<f64> {
    volume.close()?;
    volume.open()?;
    Ok(volume.memory()?.during("the server's memory")?.resident)
}

/// Overwrites the file and answers also the most that the store took meanwhile, in bytes.
fn overwrite(volume: &Contestant, file: &Path, size: u64, bytes: u64) -> Outcome<(Done, u64)> {
    let over = Arc::new(AtomicBool::new(false));
    let watcher = watch(volume.store(), Arc::clone(&over));
    let done = Job::overwrite(size, bytes).run(file);
    over.store(true, Ordering::Relaxed);
    let most = watcher
        .join()
        .map_err(|_panic| Failure::new("the thread that watches the store panicked"))??;
    Ok((done?, most))
}

fn watch(store: PathBuf, over: Arc<AtomicBool>) -> JoinHandle<Outcome<u64>> {
    thread::spawn(move || {
        let mut most = 0;
        while !over.load(Ordering::Relaxed) {
            most = most.max(on_disk(&store)?);
            thread::sleep(PACE);
        }
        Ok(most)
    })
}

/// What a directory takes on its disk, in bytes; files may vanish while they are counted.
fn on_disk(store: &Path) -> Outcome<u64> {
    let ran = run_program("du", &[Path::new("-s"), Path::new("-B1"), store])?;
    let first = ran.out.split_whitespace().next().during("du's count")?;
    Ok(first.parse()?)
}

fn capacity(mount: &Path) -> Outcome<u64> {
    let all = rustix::fs::statvfs(mount)?;
    Ok(all.f_bavail * all.f_frsize)
}

fn used(mount: &Path) -> Outcome<u64> {
    let all = rustix::fs::statvfs(mount)?;
    Ok((all.f_blocks - all.f_bfree) * all.f_frsize)
}
