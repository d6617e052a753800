//! `cofferdam-disk-seeds DIRECTORY`: writes what every fuzz target begins with, each below a directory of its name.

use cofferdam_disk_sim::targets::ALL;
use std::{fs, io, path::PathBuf};

fn main() -> io::Result<()> {
    let Some(directory) = std::env::args_os().nth(1).map(PathBuf::from) else {
        return Err(io::Error::other("usage: cofferdam-disk-seeds DIRECTORY"));
    };
    for target in ALL {
        let below = directory.join(target.name);
        fs::create_dir_all(&below)?;
        for (number, bytes) in (target.seeds)().iter().enumerate() {
            fs::write(below.join(format!("seed-{number}")), bytes)?;
        }
    }
    Ok(())
}
