//! Free space that was never written. On thin disks, as virtual machines have them, the first write to a block takes several
//! times as long as all later ones: then whoever is measured on blocks that another has used before wins. So they are all
//! used before.

use super::{fio::Job, mounts, plan::MIB};
use e2e::{Outcome, progress::step};
use std::{fs, path::Path};

/// Writes so many bytes of the free space below a place once, but no more than half of it, and gives them back.
///
/// # Errors
/// As fio(1).
pub(crate) fn write_over(place: &Path, bytes: u64) -> Outcome {
    let all = rustix::fs::statvfs(place)?;
    let bytes = bytes.min(all.f_bavail * all.f_frsize / 2) / MIB * MIB;
    if bytes == 0 {
        return Ok(());
    }
    let file = place.join("untouched");
    let written = step("writing over free space", || {
        Job::past_the_cache(bytes).run(&file)
    });
    fs::remove_file(&file)?;
    written?;
    mounts::sync(place)
}
