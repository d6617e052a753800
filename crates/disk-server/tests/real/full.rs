//! No room: in the ext4 on the disk, and on the store below it.

use crate::{
    ground::{alone, program, volume},
    small_disk::small_disk,
};
use e2e::{
    Outcome,
    command::run,
    disk::Volume,
    failure::{During, Failure, ensure},
};
use rustix::io::Errno;
use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

const CHUNK: usize = 1 << 20;

#[test]
fn a_full_filesystem_is_full_and_no_more() {
    alone(|place| {
        let volume = volume(place, "48M")?;
        let mut server = volume.serve(&[])?;
        for round in 0..2 {
            let written = fill(&volume.mount.join("large"), round)?;
            // ext4's own tables take a part.
            ensure(written > 30, || format!("only {written} MiB fit in"))?;
            holds(&volume.mount.join("large"), written, round)?;
            fs::remove_file(volume.mount.join("large"))?;
        }
        fs::write(volume.mount.join("small"), "fits again")?;
        server.stop()?;
        volume.is_sound()
    });
}

#[test]
fn a_full_store_loses_nothing_that_was_flushed_and_goes_on_when_there_is_room() {
    alone(|place| {
        let small = small_disk(place, 112)?;
        let volume = Volume::at(place, &program(), &small.join("store"))?;
        volume.make("256M", &[])?;
        let ballast = small.join("ballast");
        run("fallocate", &[Path::new("-l"), Path::new("40M"), &ballast])?.ok()?;
        let mut server = volume.serve(&[])?;
        let first = volume.mount.join("first");
        write(&first, 8, 1)?;
        // The filesystem has room for that, the store has not.
        let error = write(&volume.mount.join("large"), 120, 2)
            .err()
            .during("an error")?;
        let expected = [Errno::IO, Errno::NOSPC, Errno::ROFS].map(|errno| Some(errno.raw_os_error()));
        ensure(expected.contains(&error.raw_os_error()), || error.to_string())?;
        holds(&first, 8, 1)?;
        fs::remove_file(&ballast)?;
        // The filesystem may have turned read-only: then another mount takes it up again.
        let again = volume.mount.join("again");
        if write(&again, 8, 3).is_err() {
            server.stop()?;
            server = volume.serve(&[])?;
            fs::remove_file(volume.mount.join("large")).or_else(|error| match error.kind() {
                io::ErrorKind::NotFound => Ok(()),
                _ => Err(error),
            })?;
            write(&again, 8, 3)?;
        }
        holds(&first, 8, 1)?;
        holds(&again, 8, 3)?;
        server.stop()?;
        let mut server = volume.serve(&[])?;
        holds(&first, 8, 1)?;
        holds(&again, 8, 3)?;
        server.stop()?;
        volume.is_sound()
    });
}

/// Writes until there is no more room; answers how many chunks fit in.
fn fill(path: &Path, seed: u8) -> Outcome<usize> {
    let mut file = File::create(path)?;
    for number in 0.. {
        match file
            .write_all(&chunk(number, seed))
            .and_then(|()| file.sync_data())
        {
            Ok(()) => {}
            Err(error) if error.raw_os_error() == Some(Errno::NOSPC.raw_os_error()) => return Ok(number),
            Err(error) => return Err(error.into()),
        }
    }
    Err(Failure::new("it has no end"))
}

/// Writes chunks, each on stable storage before the next.
fn write(path: &Path, chunks: usize, seed: u8) -> io::Result<()> {
    let mut file = File::create(path)?;
    for number in 0..chunks {
        file.write_all(&chunk(number, seed))?;
        file.sync_data()?;
    }
    file.sync_all()
}

/// Reads from the disk, not from memory.
fn holds(path: &Path, chunks: usize, seed: u8) -> Outcome {
    let found = {
        let file = File::open(path)?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        fs::read(path)?
    };
    for number in 0..chunks {
        let part = found.get(number * CHUNK..(number + 1) * CHUNK);
        ensure(part == Some(&chunk(number, seed)[..]), || {
            format!("chunk {number} of {} is not what was written", path.display())
        })?;
    }
    Ok(())
}

fn chunk(number: usize, seed: u8) -> Vec<u8> {
    let mut random = e2e::disk::ledger::Random::seeded(number as u64 ^ u64::from(seed) << 32);
    let mut bytes = Vec::with_capacity(CHUNK);
    while bytes.len() < CHUNK {
        bytes.extend(random.next().to_le_bytes());
    }
    bytes
}
