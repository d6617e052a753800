//! Those who use the disk: fio, and cp with sync.

use e2e::{
    Outcome,
    command::{Ran, finish, run},
    failure::ensure,
};
use std::{
    fs,
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
};

/// Kinds of access: name, pattern, block size, whether direct, writes between two fsyncs.
const JOBS: [(&str, &str, &str, bool, u32); 4] = [
    ("random-buffered", "randwrite", "4k", false, 32),
    ("random-direct", "randwrite", "4k", true, 64),
    ("sequential-buffered", "write", "128k", false, 16),
    ("sequential-direct", "write", "256k", true, 0),
];

/// One run of fio on files in a directory: all kinds at once, then everything is read and compared.
pub(crate) fn fio(directory: &Path, megabytes: u32) -> Outcome<Ran> {
    let mut command = Command::new("fio");
    command.args(["--output-format=terse", "--minimal"]);
    command.arg(format!("--directory={}", directory.display()));
    command.args([
        "--ioengine=psync",
        "--verify=crc32c",
        "--verify_fatal=1",
        "--verify_state_save=0",
        "--thread",
    ]);
    command.arg(format!("--size={megabytes}m"));
    // The same seed for reading it back in another run.
    command.args(["--randseed=7", "--allrandrepeat=1"]);
    for (name, pattern, size, direct, fsync) in JOBS {
        command.arg(format!("--name={name}"));
        command.arg(format!("--rw={pattern}"));
        command.arg(format!("--bs={size}"));
        command.arg(format!("--direct={}", u32::from(direct)));
        if fsync > 0 {
            command.arg(format!("--fsync={fsync}"));
        }
        command.arg("--end_fsync=1");
    }
    finish(&command)?.ok()?.silent_on(&["verify", "error="])
}

/// Runs of fio until `enough`, at least one.
pub(crate) fn fio_until(directory: &Path, megabytes: u32, enough: &AtomicBool) -> Outcome {
    loop {
        fio(directory, megabytes)?;
        if enough.load(Ordering::SeqCst) {
            return Ok(());
        }
    }
}

/// Copies a tree, syncs, compares, until `enough`, at least once. What is copied last stays.
pub(crate) fn copy_until(source: &Path, directory: &Path, enough: &AtomicBool) -> Outcome {
    for round in 0.. {
        let target = directory.join(format!("copy-{}", round % 2));
        if target.exists() {
            fs::remove_dir_all(&target)?;
        }
        run("cp", &[Path::new("-r"), source, &target])?.ok()?;
        run("sync", &[Path::new("-f"), &target])?.ok()?;
        same_trees(source, &target)?;
        if enough.load(Ordering::SeqCst) {
            break;
        }
    }
    Ok(())
}

/// Two directories must hold the same.
pub(crate) fn same_trees(one: &Path, other: &Path) -> Outcome {
    let ran = run("diff", &[Path::new("-r"), one, other])?;
    ensure(ran.is_ok(), || ran.said())
}

/// A tree to copy: many small files, some larger.
pub(crate) fn tree(directory: &Path) -> Outcome {
    let mut random = e2e::disk::ledger::Random::seeded(1);
    for number in 0..200_u64 {
        let branch = directory.join((number % 10).to_string());
        fs::create_dir_all(&branch)?;
        let length = 1 + random.below(if number % 20 == 0 { 1 << 20 } else { 8 << 10 });
        let bytes: Vec<u8> = (0..length).map(|_| random.next().to_le_bytes()[7]).collect();
        fs::write(branch.join(number.to_string()), bytes)?;
    }
    Ok(())
}
