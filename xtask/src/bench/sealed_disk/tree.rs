//! Many small files: one archive, the same for everybody and in every run, and what is done with it.

use super::{mounts, noise::Noise, plan::LIMIT};
use e2e::{
    Outcome,
    command::finish_within,
    failure::{During, ensure},
};
use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

/// Files in one directory.
const IN_DIRECTORY: u32 = 100;

/// The smallest file, in bytes.
const SMALLEST: u64 = 512;

/// Sizes double so often: the largest file is just below 16 KiB.
const DOUBLINGS: u64 = 5;

/// The archive.
#[derive(Debug)]
pub(crate) struct Tree {
    archive: PathBuf,
    files: u32,
    bytes: u64,
}

impl Tree {
    /// Makes it in a directory: as many files of each power of two, so about 5 KiB on average.
    pub(crate) fn make(directory: &Path, files: u32) -> Outcome<Self> {
        let source = directory.join("tree");
        let archive = directory.join("tree.tar");
        let mut noise = Noise::new(1);
        let mut buffer = vec![0; 16 << 10];
        let mut bytes = 0;
        for number in 0..files {
            let parent = source.join(format!("d{:03}", number / IN_DIRECTORY));
            fs::create_dir_all(&parent)?;
            let octave = SMALLEST << noise.below(DOUBLINGS);
            let size = octave + noise.below(octave);
            let content = buffer.get_mut(..usize::try_from(size)?).during("a file's size")?;
            noise.fill(content);
            fs::write(parent.join(format!("f{number:05}")), content)?;
            bytes += size;
        }
        let mut tar = Command::new("tar");
        tar.args([
            "--sort=name",
            "--mtime=@0",
            "--owner=0",
            "--group=0",
            "--numeric-owner",
        ])
        .arg("-cf")
        .arg(&archive)
        .arg("-C")
        .arg(directory)
        .arg("tree");
        finish_within(&tar, LIMIT)?.ok()?;
        fs::remove_dir_all(source)?;
        Ok(Tree {
            archive,
            files,
            bytes,
        })
    }

    /// Whether it is unpacked there.
    pub(crate) fn is_below(place: &Path) -> bool {
        place.join("tree").exists()
    }

    /// Unpacks it and syncs, in seconds. The archive itself is in the page cache before.
    pub(crate) fn unpack(&self, place: &Path) -> Outcome<f64> {
        std::io::copy(&mut File::open(&self.archive)?, &mut std::io::sink())?;
        let mut tar = Command::new("tar");
        tar.arg("-xf").arg(&self.archive).arg("-C").arg(place);
        let begun = Instant::now();
        finish_within(&tar, LIMIT)?.ok()?;
        mounts::sync(place)?;
        Ok(begun.elapsed().as_secs_f64())
    }

    /// Finds every file and looks at its size and times, in seconds.
    pub(crate) fn find(&self, place: &Path) -> Outcome<f64> {
        let mut find = Command::new("find");
        find.arg(place.join("tree"))
            .args(["-type", "f", "-printf", "%s %T@\\n"]);
        let begun = Instant::now();
        let ran = finish_within(&find, LIMIT)?.ok()?;
        let seconds = begun.elapsed().as_secs_f64();
        let found = ran.out.lines().count();
        ensure(u32::try_from(found) == Ok(self.files), || {
            format!("found {found} of {} files", self.files)
        })?;
        Ok(seconds)
    }

    /// Reads every file, directory by directory in the order that the filesystem gives, in seconds.
    pub(crate) fn read(&self, place: &Path) -> Outcome<f64> {
        let begun = Instant::now();
        let mut buffer = vec![0; 64 << 10];
        let mut bytes = 0;
        let mut open = vec![place.join("tree")];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(directory)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    open.push(entry.path());
                } else {
                    bytes += read_to_end(&entry.path(), &mut buffer)?;
                }
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        ensure(bytes == self.bytes, || {
            format!("read {bytes} bytes of {}", self.bytes)
        })?;
        Ok(seconds)
    }

    /// Removes what is unpacked and syncs, in seconds.
    pub(crate) fn remove(place: &Path) -> Outcome<f64> {
        let mut rm = Command::new("rm");
        rm.arg("-rf").arg(place.join("tree"));
        let begun = Instant::now();
        finish_within(&rm, LIMIT)?.ok()?;
        mounts::sync(place)?;
        Ok(begun.elapsed().as_secs_f64())
    }
}

fn read_to_end(path: &Path, buffer: &mut [u8]) -> Outcome<u64> {
    let mut file = File::open(path)?;
    let mut bytes = 0;
    loop {
        match file.read(buffer)? {
            0 => return Ok(bytes),
            read => bytes += u64::try_from(read)?,
        }
    }
}
