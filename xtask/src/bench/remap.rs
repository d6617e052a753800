//! A volume with a million files is given to another uid: ours by attaching it, the rival's by `chown -R` on
//! the same tree.

use super::{
    bundle::Caught,
    sample::Sample,
    table::{Row, Table},
};
use e2e::{Host, Outcome, command::run as run_program, failure::During, progress::step};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    time::Instant,
};

/// Directories, and files in each.
const SHAPE: (usize, usize) = (1000, 1000);

/// Times that the volume is attached.
const RUNS: usize = 50;

pub(crate) fn run(host: &mut Host, table: &mut Table, quick: bool) -> Outcome {
    let shape = if quick { (SHAPE.0 / 10, SHAPE.1) } else { SHAPE };
    for line in [
        &["tenant", "create", "remap"][..],
        &["volume", "create", "remap.million", "--plain"],
        &["app", "create", "remap.app", "--image", "tiny:1"],
        &["grant", "remap.million", "remap.app"],
    ] {
        host.cofferdam(line)?.ok()?;
    }
    let options = ["-u", "1000:1000", "-v", "remap.million:/data", "tiny:1"];
    let mut first = vec!["run", "--rm", "--runtime", "cofferdam"];
    first.extend(options);
    host.docker(&first)?.ok()?;
    let tree = on_disk(host)?;
    let count = shape.0 * shape.1;
    step(&format!("making {count} files"), || fill(&tree, shape))?;
    let before = step("noting every change time", || change_times(&tree))?;

    let caught = Caught::new(host, &["-u", "1001:1001", "-v", "remap.million:/data", "tiny:1"])?;
    let (mut ours, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..if quick { RUNS / 5 } else { RUNS } {
        ours.push(caught.create(host, "cofferdam-runtime")?);
        plain.push(caught.create(host, "runc")?);
        released(host)?;
    }
    let added = Sample::new(ours).median() - Sample::new(plain).median();
    let touched = differences(&before, &step("comparing change times", || change_times(&tree))?);

    // Only now: the application itself writes.
    caught.release()?;

    let begun = Instant::now();
    step("chown -R on the same tree", || {
        run_program("chown", &["-R", "1001:1001", &tree.to_string_lossy()])?.ok()
    })?;
    let rival = begun.elapsed().as_secs_f64() * 1e3;
    let rival_touched = differences(&before, &change_times(&tree)?);
    table.push(Row::beside(format!("{count} files to another uid"), "ms", added, rival).hold(added, 5.0));
    table.push(
        Row::beside(
            "  files whose change time changed",
            "files",
            touched,
            rival_touched,
        )
        .hold(touched, 0.0),
    );
    Ok(())
}

/// Waits until the exclusive volume is free again.
fn released(host: &Host) -> Outcome {
    e2e::process::until("the lease is released", std::time::Duration::from_secs(5), || {
        host.cofferdam(&["--json", "attachments"])
            .is_ok_and(|held| held.text() == "[]")
    })
}

fn on_disk(host: &Host) -> Outcome<PathBuf> {
    let shown = host
        .cofferdam(&["--json", "volume", "show", "remap.million"])?
        .ok()?
        .json()?;
    let id = shown
        .pointer("/volume/id")
        .and_then(|id| id.as_str())
        .during("the volume's id")?
        .to_owned();
    let kept = Path::new(e2e::host::STATE).join("volumes").join(id);
    let data = kept.join("data");
    Ok(if data.is_dir() { data } else { kept })
}

fn fill(tree: &Path, (directories, files): (usize, usize)) -> Outcome {
    for directory in 0..directories {
        let path = tree.join(format!("d{directory}"));
        fs::create_dir(&path)?;
        chown(&path, Some(1000), Some(1000))?;
        for file in 0..files {
            let path = path.join(file.to_string());
            File::create(&path)?;
            chown(&path, Some(1000), Some(1000))?;
        }
    }
    Ok(())
}

/// Change times by inode.
fn change_times(tree: &Path) -> Outcome<BTreeMap<u64, (i64, i64)>> {
    let mut found = BTreeMap::new();
    let mut open = vec![tree.to_owned()];
    while let Some(path) = open.pop() {
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            found.insert(metadata.ino(), (metadata.ctime(), metadata.ctime_nsec()));
            if metadata.is_dir() {
                open.push(entry.path());
            }
        }
    }
    Ok(found)
}

fn differences(before: &BTreeMap<u64, (i64, i64)>, after: &BTreeMap<u64, (i64, i64)>) -> f64 {
    let changed = before
        .iter()
        .filter(|(inode, time)| after.get(inode) != Some(time))
        .count();
    u32::try_from(changed).map_or(f64::INFINITY, f64::from)
}
