//! The device without a filesystem: fio writes and verifies all of it, also after another start and after a crash.

use crate::ground::{alone, program};
use e2e::{
    Outcome,
    command::finish,
    disk::{Server, Volume},
};
use std::process::Command;

#[test]
fn the_whole_device_holds_what_was_written() {
    alone(|place| {
        let volume = Volume::at(place, &program(), &place.path("store"))?;
        volume.make("96M", &["--no-filesystem"])?;
        let mut server = volume.serve_device()?;
        fio(&server, "randwrite", &[])?;
        server.stop()?;
        let mut server = volume.serve_device()?;
        fio(&server, "randwrite", &["--verify_only"])?;
        // All of it once more, in another order, and with a worker that is killed.
        std::thread::scope(|scope| -> Outcome {
            let fio = scope.spawn(|| fio(&server, "write", &["--do_verify=0"]));
            let killed = server.kill_worker();
            fio.join().expect("fio's thread")?;
            killed
        })?;
        // Right after the last flush.
        server.kill()?;
        let mut server = volume.serve_device()?;
        fio(&server, "write", &["--verify_only"])?;
        server.stop()?;
        volume.store_is_sound()
    });
}

/// Every block of the device once, in pieces of several sizes; then all of it is flushed, read and compared.
fn fio(server: &Server, pattern: &str, more: &[&str]) -> Outcome {
    let mut command = Command::new("fio");
    command.arg("--name=raw").arg(format!("--rw={pattern}"));
    command.arg(format!("--filename={}", server.device().display()));
    command.args(["--direct=1", "--ioengine=psync", "--bsrange=4k-64k"]);
    command.args([
        "--verify=crc32c",
        "--verify_fatal=1",
        "--verify_state_save=0",
        "--randseed=7",
        "--end_fsync=1",
        "--thread",
    ]);
    command.args(more);
    finish(&command)?.ok().map(drop)
}
