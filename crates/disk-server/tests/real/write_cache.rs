//! A disk without a write cache: what was answered is durable, and only then does its ext4 do without barriers.

use crate::ground::{alone, program, volume};
use cofferdam_disk_server::exporter::AlignedBuffer;
use e2e::{
    Outcome,
    disk::{
        Server, Volume,
        volume::{BACK, THROUGH},
    },
    failure::{During, ensure},
};
use rustix::fs::OFlags;
use std::{
    fs::File,
    os::unix::fs::{FileExt, OpenOptionsExt},
};

/// Crashes.
const ROUNDS: u8 = 8;

/// Blocks of the longest write: enough to be taken for a stream.
const LONG: usize = 64;

const BLOCK: usize = 4096;

#[test]
fn a_write_that_was_answered_outlives_a_crash_without_a_flush() {
    alone(|place| {
        let volume = Volume::at(place, &program(), &place.path("store"))?;
        volume.make("16M", &["--no-filesystem"])?;
        for round in 1..=ROUNDS {
            let mut server = device(&volume)?;
            let blocks = if round % 2 == 0 { LONG } else { 1 };
            let file = open(&server)?;
            file.write_all_at(&filled(blocks, round), 0)?;
            server.kill()?;
            drop(file);
            let mut server = device(&volume)?;
            let mut found = AlignedBuffer::new(blocks * BLOCK);
            open(&server)?.read_exact_at(&mut found, 0)?;
            ensure(found.iter().all(|byte| *byte == round), || {
                format!("round {round}: what was answered is not there")
            })?;
            server.stop()?;
        }
        volume.store_is_sound()
    });
}

#[test]
fn ext4_does_without_barriers_only_where_there_is_no_write_cache() {
    alone(|place| {
        let volume = volume(place, "64M")?;
        for (cache, word, without) in [(BACK, "back", false), (THROUGH, "through", true)] {
            let mut server = volume.serve(cache)?;
            let said = server.line().during("its line")?;
            ensure(said.get("write_cache") == Some(&word.into()), || said.to_string())?;
            let table = std::fs::read_to_string("/proc/thread-self/mountinfo")?;
            let mount = volume.mount.display().to_string();
            let line = table
                .lines()
                .find(|line| line.contains(&mount))
                .during("its mount")?;
            ensure(line.contains("nobarrier") == without, || line.to_owned())?;
            server.stop()?;
        }
        // By itself it is one or the other, as quick as the store is.
        let mut server = volume.serve(&[])?;
        let said = server.line().during("its line")?;
        let chosen = said
            .get("write_cache")
            .and_then(|it| it.as_str())
            .map(str::to_owned);
        ensure(matches!(chosen.as_deref(), Some("back" | "through")), || {
            said.to_string()
        })?;
        server.stop()
    });
}

fn device(volume: &Volume) -> Outcome<Server> {
    Server::start(volume.command("serve").args(THROUGH), &volume.logs)
}

fn open(server: &Server) -> Outcome<File> {
    let direct = i32::try_from(OFlags::DIRECT.bits()).during("a flag")?;
    let mut options = File::options();
    options.read(true).write(true).custom_flags(direct);
    Ok(options.open(server.device())?)
}

fn filled(blocks: usize, with: u8) -> AlignedBuffer {
    let mut bytes = AlignedBuffer::new(blocks * BLOCK);
    bytes.fill(with);
    bytes
}
